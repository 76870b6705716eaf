internal import CWebSockets
internal import Glibc
import Telemetry

/// A listening socket of our own, whose connections are dealt to several loops in turn.
///
/// libwebsockets 4.1 cannot share one port between contexts, so it never listens itself.
// Safe because: the descriptor is written once; accepting happens on the first loop's thread only.
@safe final class ListeningSocket: LoopConnection, @unchecked Sendable {
    let port: Int
    private let descriptor: Int32
    private let loops: [EventLoop]
    private let accepted: @Sendable (EventLoop, Int32, String) -> Void
    private var next = 0
    private var wsi: OpaquePointer?
    private var shortage = AcceptShortage()

    init(
        host: String, port: Int, loops: [EventLoop],
        accepted: @escaping @Sendable (EventLoop, Int32, String) -> Void
    ) throws(TransportError) {
        func refused(_ doing: String) -> TransportError {
            let words = unsafe String(cString: strerror(errno))
            return TransportError("\(doing) \(host):\(port): \(words)", source: .ours)
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        guard unsafe inet_pton(AF_INET, host, &address.sin_addr) == 1 else {
            throw TransportError("cannot listen on '\(host)': expected an IPv4 address", source: .ours)
        }
        let made = socket(
            AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard made >= 0 else { throw refused("no socket for") }
        var yes: Int32 = 1
        unsafe setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                unsafe bind(made, generic, size) == 0 && listen(made, 1_024) == 0
                    && getsockname(made, generic, &size) == 0
            }
        }
        guard bound else {
            let error = refused("cannot listen on")
            Glibc.close(made)
            throw error
        }
        descriptor = made
        self.port = Int(UInt16(bigEndian: address.sin_port))
        self.loops = loops
        self.accepted = accepted
    }

    /// Begins to accept, on the first loop.
    func start() {
        guard let loop = loops.first else { return }
        loop.execute { [self] in
            var file = lws_sock_file_fd_type()
            unsafe file.filefd = descriptor
            guard let vhost = unsafe lws_get_vhost_by_name(loop.context, "default"),
                let made = unsafe lws_adopt_descriptor_vhost(
                    vhost, LWS_ADOPT_RAW_FILE_DESC, file, LoopProtocols.name.pointer, nil)
            else { return }
            unsafe wsi = unsafe made
            unsafe lws_set_opaque_user_data(made, Unmanaged.passRetained(ConnectionBox(self)).toOpaque())
        }
    }

    /// Accepts no more; what is accepted goes on.
    func stop() {
        loops.first?.execute { [self] in
            if let wsi = unsafe wsi { unsafe lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, -1) }
            unsafe wsi = nil
        }
    }

    func receive(_ reason: lws_callback_reasons, _ bytes: UnsafeRawBufferPointer) -> Int32 {
        if reason == LWS_CALLBACK_RAW_RX_FILE { acceptAll() }
        return 0
    }

    func destroyed() { unsafe wsi = nil }

    private func acceptAll() {
        // Bounded, so that a flood of connections cannot keep the loop from its other work.
        for _ in 0..<64 {
            var address = sockaddr_in()
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let socket = unsafe withUnsafeMutablePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe cwebsockets_accept(descriptor, $0, &size)
                }
            }
            guard socket >= 0 else {
                let code = errno
                // A peer that has gone again, or a signal: the next one may be well.
                if code == ECONNABORTED || code == EINTR { continue }
                if code != EAGAIN {
                    pause(code)
                } else if shortage.end() {
                    log.info("Accepting connections again", ["port": "\(port)"])
                }
                return
            }
            var yes: Int32 = 1
            unsafe setsockopt(
                socket, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
            let loop = loops[next % loops.count]
            next += 1
            let remote = Self.text(address.sin_addr)
            let deal = accepted
            if loop === loops.first {
                deal(loop, socket, remote)
            } else {
                loop.execute { deal(loop, socket, remote) }
            }
        }
    }

    /// The process or the machine is out of descriptors or memory: the connections wait in the kernel's queue.
    ///
    /// Without a pause the loop would turn at full speed, since the socket stays readable.
    private func pause(_ code: Int32) {
        let (delay, isNews) = shortage.next(now: .now)
        if isNews {
            let words = unsafe String(cString: strerror(code))
            log.warning("Cannot accept connections", ["port": "\(port)", "error": words])
        }
        guard let wsi = unsafe wsi, let loop = loops.first else { return }
        unsafe lws_rx_flow_control(wsi, 0)
        loop.schedule(after: delay) { [weak self] in
            if let self, let wsi = unsafe self.wsi { unsafe lws_rx_flow_control(wsi, 1) }
        }
    }

    private static func text(_ address: in_addr) -> String {
        let host = UInt32(bigEndian: address.s_addr)
        return "\(host >> 24).\(host >> 16 & 255).\(host >> 8 & 255).\(host & 255)"
    }
}

/// How long to wait when `accept` fails for want of descriptors or memory: longer each time, until no connection waits.
struct AcceptShortage {
    private static let shortest = Duration.milliseconds(50)
    private static let longest = Duration.seconds(1)
    /// Shortages that follow each other faster than this are told of once.
    private static let quiet = Duration.seconds(60)
    private var last: Duration?
    private var said: ContinuousClock.Instant?
    private var isSaid = false

    /// The next pause, and whether to tell of it.
    mutating func next(now: ContinuousClock.Instant) -> (delay: Duration, isNews: Bool) {
        let delay = last.map { min($0 * 2, Self.longest) } ?? Self.shortest
        let isNews = last == nil && said.map { now - $0 >= Self.quiet } ?? true
        if isNews {
            said = now
            isSaid = true
        }
        last = delay
        return (delay, isNews)
    }

    /// No connection waits; true if that ends a shortage that was told of.
    mutating func end() -> Bool {
        defer { isSaid = false }
        last = nil
        return isSaid
    }
}

private let log = Log("listen")
