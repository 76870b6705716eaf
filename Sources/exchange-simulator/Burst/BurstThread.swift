import Glibc

/// A thread for calls that block.
final class BurstThread {
    private let body: @Sendable () -> Void

    private init(_ body: @escaping @Sendable () -> Void) { self.body = body }

    static func start(_ body: @escaping @Sendable () -> Void) {
        let box = unsafe Unmanaged.passRetained(BurstThread(body)).toOpaque()
        var thread = pthread_t()
        let code = unsafe pthread_create(
            &thread, nil,
            { raw in
                if let raw = unsafe raw {
                    unsafe Unmanaged<BurstThread>.fromOpaque(raw).takeRetainedValue().body()
                }
                return nil
            }, box)
        guard code == 0 else { return unsafe Unmanaged<BurstThread>.fromOpaque(box).release() }
        pthread_detach(thread)
    }
}
