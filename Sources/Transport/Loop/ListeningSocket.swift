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
        guard OpenListener.address(of: host) != nil else {
            throw TransportError("cannot listen on '\(host)': expected an IP address", source: .ours)
        }
        guard let (made, port) = OpenListener.open(host: host, port: port) else {
            let words = unsafe String(cString: strerror(errno))
            let place = IPAddress.authority(host, port)
            throw TransportError("cannot listen on \(place): \(words)", source: .ours)
        }
        descriptor = made
        self.port = port
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
            var address = SocketAddress()
            let socket = unsafe address.withKernel { unsafe cwebsockets_accept(descriptor, $0, $1) }
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
            let remote = address.address.text
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
            guard let self, let wsi = unsafe self.wsi else { return }
            unsafe lws_rx_flow_control(wsi, 1)
            // The kernel also refuses when nobody waits, and then the socket would not become readable and the end not be told.
            acceptAll()
        }
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
