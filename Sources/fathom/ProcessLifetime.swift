import Glibc
import Synchronization

/// How the process ends: by a signal, by the death of its parent, or because its work is done.
enum ProcessLifetime {
    /// The environment as a dictionary, read once.
    static let environment: [String: String] = {
        var variables: [String: String] = [:]
        var next = unsafe environ
        while let entry = unsafe next.pointee {
            let text = unsafe String(cString: entry)
            if let split = text.firstIndex(of: "=") {
                variables[String(text[..<split])] = String(text[text.index(after: split)...])
            }
            unsafe next += 1
        }
        return variables
    }()

    private static let endings: sigset_t = {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        unsafe sigaddset(&set, SIGINT)
        unsafe sigaddset(&set, SIGTERM)
        return set
    }()

    /// Before any thread starts: SIGINT and SIGTERM are waited for, SIGPIPE is an error of a write.
    static func prepareSignals() {
        var set = endings
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    /// Runs `body` and cancels it at the first ending signal or when `lifeline` closes; a second signal ends at once.
    static func run(lifeline: Int?, _ body: @escaping @Sendable () async throws -> Void) async throws {
        let work = Task { try await body() }
        let cancel: @Sendable () -> Void = { work.cancel() }
        watch { waitForSignals(first: cancel) }
        if let lifeline {
            watch {
                waitForEnd(of: Int32(lifeline))
                cancel()
            }
        }
        try await work.value
    }

    private static func waitForSignals(first cancel: @Sendable () -> Void) {
        var set = endings
        var number: Int32 = 0
        unsafe sigwait(&set, &number)
        cancel()
        unsafe sigwait(&set, &number)
        _exit(128 + number)
    }

    private static func waitForEnd(of descriptor: Int32) {
        var byte: UInt8 = 0
        while true {
            let count = unsafe read(descriptor, &byte, 1)
            if count == 0 || (count < 0 && errno != EINTR) { return }
        }
    }

    /// Starts a thread that lives as long as the process.
    private static func watch(_ body: @escaping @Sendable () -> Void) {
        let box = unsafe Unmanaged.passRetained(ThreadBody(body)).toOpaque()
        var thread = pthread_t()
        let code = unsafe pthread_create(&thread, nil, runThreadBody, box)
        guard code == 0 else {
            unsafe Unmanaged<ThreadBody>.fromOpaque(box).release()
            return
        }
        pthread_detach(thread)
    }
}

private final class ThreadBody: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

/// The pthread entry: takes back the reference that `watch` gave away.
private func runThreadBody(_ raw: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let raw = unsafe raw else { return nil }
    unsafe Unmanaged<ThreadBody>.fromOpaque(raw).takeRetainedValue().body()
    return nil
}
