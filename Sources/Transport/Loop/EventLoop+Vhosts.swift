internal import CWebSockets
internal import Glibc
import Telemetry

/// A socket that nobody wants.
func closeSocket(_ socket: Int32) { Glibc.close(socket) }

extension EventLoop {
    /// The name of the vhost that carries these settings; a loop has one for each certificate and each trust.
    private static func name(_ tls: TLSServerSettings) -> String { "server \(tls.certificateFile)" }

    /// Makes the TLS context of a server on this loop, so that a bad certificate is an error before anything listens.
    func prepareServer(tls: TLSServerSettings?) throws(TransportError) {
        guard let tls else { return }
        let made: Bool = runOnLoopAndWait { loop in
            let name = Self.name(tls)
            if unsafe lws_get_vhost_by_name(loop.context, name) != nil { return true }
            var info = unsafe lws_context_creation_info()
            // CONTEXT_PORT_NO_LISTEN_SERVER: with -1 libwebsockets would not speak TLS on what we accept.
            unsafe info.port = -2
            unsafe info.protocols = UnsafePointer(LoopProtocols.shared.pointer)
            unsafe info.options = UInt64(LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT)
            unsafe info.vhost_name = ConstantCString(name).constant
            unsafe info.ssl_cert_filepath = ConstantCString(tls.certificateFile).constant
            unsafe info.ssl_private_key_filepath = ConstantCString(tls.keyFile).constant
            unsafe info.alpn = ConstantCString("http/1.1").constant
            return unsafe lws_create_vhost(loop.context, &info) != nil
        }
        guard made else {
            throw TransportError(
                "cannot serve TLS with certificate \(tls.certificateFile) and key \(tls.keyFile)",
                source: .ours)
        }
    }

    func adopt(_ socket: Int32, into channel: ByteChannel, tls: TLSServerSettings?) -> Bool {
        let name = tls.map(Self.name) ?? "default"
        guard let vhost = unsafe lws_get_vhost_by_name(context, name) else {
            closeSocket(socket)
            return false
        }
        return unsafe channel.adopt(socket: socket, vhost: vhost, isTLS: tls != nil)
    }

    /// Runs a short piece of set-up on the loop and waits for it; at once when already there.
    private func runOnLoopAndWait(_ body: @escaping @Sendable (EventLoop) -> Bool) -> Bool {
        if isOnLoop { return body(self) }
        let answer = OneAnswer()
        execute { [self] in answer.give(body(self)) }
        return answer.wait()
    }
}

/// A value that one thread gives and another waits for.
// Safe because: a semaphore is made for use from several threads; it is freed after both are done.
@safe private final class OneAnswer: Sendable {
    // Safe because: a semaphore is made for use from several threads, and has one heap address for life.
    nonisolated(unsafe) private let semaphore: UnsafeMutablePointer<sem_t>
    private let value = Guarded(false)

    init() {
        unsafe semaphore = .allocate(capacity: 1)
        unsafe sem_init(semaphore, 0, 0)
    }
    deinit {
        unsafe sem_destroy(semaphore)
        unsafe semaphore.deallocate()
    }
    func give(_ answer: Bool) {
        value.withLock { $0 = answer }
        unsafe sem_post(semaphore)
    }
    func wait() -> Bool {
        while unsafe sem_wait(semaphore) != 0 {}
        return value.withLock { $0 }
    }
}
