import FoundationEssentials
import Telemetry
import Transport

/// The simulator's world on an event loop: HTTP and WebSocket in front, the clock behind.
///
/// Everything lives on one loop; callbacks of the transport enter by `assumeIsolated`, without a hop.
actor SimulatorServer {
    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    private let world: World
    private let backlogLimit: Int
    private let clockOffset: Int64
    private var sockets: [ObjectIdentifier: SocketWire] = [:]
    private var isRunning = true

    init(_ options: Options, recordings: [Recording], loop: EventLoop) {
        self.loop = loop
        world = World(options, recordings: recordings)
        backlogLimit = options.backlogLimit
        clockOffset = Int64(options.clockOffset) * 1_000_000
    }

    /// The simulator's wall clock, in microseconds since 1970.
    private var now: Int64 { Self.machineTime + clockOffset }
    fileprivate static var machineTime: Int64 { Int64(Date().timeIntervalSince1970 * 1_000_000) }

    /// Lets happen what is due, now and every few milliseconds from now on.
    ///
    /// Few: what comes due in between goes out at once, and holds whoever shares the machine. With many markets a look at all of
    /// them takes longer than that saves.
    func tick() {
        guard isRunning else { return }
        world.tick(at: now)
        let interval = min(max(1, world.marketsUnderWay / 200), 5)
        loop.schedule(after: .milliseconds(interval)) { [weak self] in
            self?.assumeIsolated { $0.tick() }
        }
    }

    func stop() { isRunning = false }

    fileprivate func answer(_ request: HTTPServerRequest, _ reply: HTTPReply) {
        var answer: RESTReply
        if request.method == "GET" || request.method == "POST" {
            answer = world.answer(
                QueryString.decode(request.path),
                QueryString(String(decoding: request.rawQuery, as: UTF8.self)), at: now)
        } else {
            answer = World.failure(405, "only GET is understood")
        }
        let headers = answer.headers.map { HTTPHeader($0.name, $0.value) }
        let (status, body) = (answer.status, answer.body)
        guard answer.delayMilliseconds > 0 else {
            return reply.send(status: status, headers: headers, body: body)
        }
        loop.schedule(after: .milliseconds(answer.delayMilliseconds)) {
            reply.send(status: status, headers: headers, body: body)
        }
    }

    fileprivate func accept(_ request: HTTPServerRequest) -> (any WebSocketDelegate)? {
        let wire = SocketWire(backlogLimit: backlogLimit, clockOffset: clockOffset)
        guard
            let session = world.accept(
                QueryString.decode(request.path), rawQuery: String(decoding: request.rawQuery, as: UTF8.self),
                wire: wire, at: now)
        else { return nil }
        wire.session = session
        let delegate = SimulatedSocket(self)
        sockets[ObjectIdentifier(delegate)] = wire
        return delegate
    }

    fileprivate func opened(_ delegate: ObjectIdentifier, _ socket: WebSocket) {
        sockets[delegate]?.socket = socket
    }

    fileprivate func received(_ delegate: ObjectIdentifier, _ bytes: [UInt8]) {
        sockets[delegate]?.session?.receive(bytes, at: now)
    }

    fileprivate func receivedPong(_ delegate: ObjectIdentifier, _ payload: [UInt8]) {
        sockets[delegate]?.session?.receivePong(payload, at: now)
    }

    fileprivate func receivedPing(_ delegate: ObjectIdentifier) {
        sockets[delegate]?.session?.receivePing(at: now)
    }

    fileprivate func closed(_ delegate: ObjectIdentifier) {
        guard let wire = sockets.removeValue(forKey: delegate) else { return }
        if let session = wire.session { world.forget(session) }
    }
}

/// The way from a session to its socket; drops readers that fall too far behind.
private final class SocketWire: SessionWire {
    var socket: WebSocket?
    var session: StreamSession?
    private let backlogLimit: Int
    private let clockOffset: Int64
    private static let log = Log("exchange-simulator")

    init(backlogLimit: Int, clockOffset: Int64) {
        self.backlogLimit = backlogLimit
        self.clockOffset = clockOffset
    }

    func send(text: [UInt8]) { socket?.send(SharedFrame(text: text)) }

    func send(_ frame: StreamFrame, isCombined: Bool) {
        guard let socket, let shared = isCombined ? frame.sharedCombined : frame.sharedRaw else { return }
        socket.send(shared)
        guard socket.backlogBytes > backlogLimit else { return }
        Self.log.warning(
            "Dropped WebSocket client that reads too slowly", ["backlog": "\(socket.backlogBytes)"])
        session?.drop(reason: "too slow")
    }

    func ping(_ payload: [UInt8]) { socket?.ping(payload) }
    func close(code: UInt16, reason: String) { socket?.close(code: Int(code), reason: reason) }
    func abort() { socket?.abort("dropped") }
    func stall(until microseconds: Int64) {
        guard let socket else { return }
        socket.setReading(false)
        let now = SimulatorServer.machineTime + clockOffset
        let rest = max(0, microseconds - now)
        socket.loop.schedule(after: .microseconds(rest)) { socket.setReading(true) }
    }
}

/// Hears one WebSocket and passes everything on to the server.
private final class SimulatedSocket: WebSocketDelegate {
    private let server: SimulatorServer
    private var id: ObjectIdentifier { ObjectIdentifier(self) }

    init(_ server: SimulatorServer) { self.server = server }

    func didOpen(_ socket: WebSocket) { server.assumeIsolated { $0.opened(id, socket) } }

    func didReceive(_ message: UnsafeRawBufferPointer, isText: Bool, on socket: WebSocket) {
        let bytes = unsafe Array(message)
        server.assumeIsolated { $0.received(id, bytes) }
    }

    func didReceivePong(_ payload: UnsafeRawBufferPointer, on socket: WebSocket) {
        let bytes = unsafe Array(payload)
        server.assumeIsolated { $0.receivedPong(id, bytes) }
    }

    func didReceivePing(_ payload: UnsafeRawBufferPointer, on socket: WebSocket) {
        server.assumeIsolated { $0.receivedPing(id) }
    }

    func didClose(_ reason: WebSocketCloseReason, on socket: WebSocket) {
        server.assumeIsolated { $0.closed(id) }
    }
}

/// The door from the transport to the server.
final class SimulatorDoor: HTTPRequestHandler, WebSocketAcceptor {
    private let server: SimulatorServer

    init(_ server: SimulatorServer) { self.server = server }

    func handle(_ request: HTTPServerRequest, _ reply: HTTPReply) {
        server.assumeIsolated { $0.answer(request, reply) }
    }

    func accept(_ request: HTTPServerRequest) -> (any WebSocketDelegate)? {
        server.assumeIsolated { $0.accept(request) }
    }
}
