internal import Synchronization
import Telemetry

/// Answers requests; called on the connection's loop, must not block.
package protocol HTTPRequestHandler: AnyObject, Sendable {
    func handle(_ request: HTTPServerRequest, _ reply: HTTPReply)
}

/// Certificate and key of a server, as files.
package struct TLSServerSettings: Sendable, Hashable {
    package var certificateFile: String
    package var keyFile: String

    package init(certificateFile: String, keyFile: String) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
    }
}

/// Where a server listens and what it bears.
package struct HTTPServerConfiguration: Sendable {
    package var host = "127.0.0.1"
    /// 0 takes any free port.
    package var port = 0
    package var tls: TLSServerSettings?
    package var maximumHeaderBytes = 96 << 10
    package var maximumBodyBytes = 4 << 20
    /// More connections than this are closed at once.
    package var maximumConnections = 16_384
    /// The same for the connections of one address.
    package var maximumConnectionsPerClient = Int.max
    /// What all requests that have not come whole, and all answers that are not taken, may take in memory.
    package var maximumHeldBytes = 512 << 20
    /// A streamed answer whose reader has left more than this untaken is cut off at its next piece.
    package var maximumStreamBacklog = 16 << 20
    /// Between two requests of a connection.
    package var idleTimeout: Duration = .seconds(75)
    /// For a request to arrive whole.
    package var requestTimeout: Duration = .seconds(20)
    /// For a peer to take the next piece of an answer.
    package var writeTimeout: Duration = .seconds(20)
    /// Counts what is refused or cut off, by limit.
    package var refusals = HTTPRefusals()
    /// Makes the answer to a request that cannot be read, from its status and why; without it that is plain text.
    package var refusalBody: (@Sendable (Int, String) -> (contentType: String, body: [UInt8]))?

    package init(host: String = "127.0.0.1", port: Int = 0, tls: TLSServerSettings? = nil) {
        self.host = host
        self.port = port
        self.tls = tls
    }
}

/// An HTTP/1.1 server on one or several loops, with WebSockets on chosen paths.
package final class HTTPServer: Sendable {
    package let configuration: HTTPServerConfiguration
    let handler: any HTTPRequestHandler
    private let webSockets: [String: any WebSocketAcceptor]
    private let loops: [EventLoop]
    // Safe because: set once at the end of `init`, before any other thread knows the server.
    nonisolated(unsafe) private var listener: ListeningSocket?
    private let draining = Atomic<Bool>(false)
    private let endsKeepAlives = Atomic<Bool>(false)
    private let held = Atomic<Int>(0)
    private let connections = Guarded(HTTPConnections())
    private let certificate: Guarded<TLSServerContext>?

    /// Listens at once; a port in use is an error that names it.
    package init(
        _ configuration: HTTPServerConfiguration, loops: [EventLoop], handler: any HTTPRequestHandler,
        webSockets: [String: any WebSocketAcceptor] = [:]
    ) throws(TransportError) {
        self.configuration = configuration
        self.handler = handler
        self.webSockets = webSockets
        self.loops = loops
        if let tls = configuration.tls {
            certificate = Guarded(try TLSServerContext(tls))
        } else {
            certificate = nil
        }
        let listener = try ListeningSocket(host: configuration.host, port: configuration.port, loops: loops) {
            [weak self] loop, socket, remote in
            self?.accept(socket, from: remote, on: loop)
        }
        unsafe self.listener = listener
        listener.start()
        for loop in loops { scheduleSweep(on: loop) }
    }

    /// The port in use.
    package var port: Int { unsafe listener?.port ?? configuration.port }
    /// Requests that could not be read and were refused or closed, since the start.
    package var refusedRequests: Int { refusals.total }
    var refusals: HTTPRefusals { configuration.refusals }
    package var connectionCount: Int { connections.withLock { $0.all.count } }
    /// What slow clients make us keep.
    package var heldBytes: Int { held.load(ordering: .relaxed) }

    /// New connections get this certificate; those that are open go on with the one that they have.
    package func use(_ context: TLSServerContext) { certificate?.withLock { $0 = context } }

    /// Idle connections are closed.
    var isDraining: Bool { draining.load(ordering: .relaxed) }
    /// Answers close their connection.
    var closesAfterAnswers: Bool { isDraining || endsKeepAlives.load(ordering: .relaxed) }

    /// Goes on accepting and answering, but each answer says `connection: close` and is the last of its connection.
    package func endKeepAlives() { endsKeepAlives.store(true, ordering: .relaxed) }

    /// Accepts no more, and closes connections as they become idle.
    package func drain() {
        draining.store(true, ordering: .relaxed)
        unsafe listener?.stop()
    }

    /// Accepts no more and closes every connection.
    package func stop() {
        drain()
        let all = connections.withLock { Array($0.all.values) }
        for (connection, loop) in all {
            loop.execute { connection.channel?.close("the server stops", afterOutput: true) }
        }
    }

    func acceptor(for path: String) -> (any WebSocketAcceptor)? {
        webSockets[path]
            ?? webSockets.first { $0.key.hasSuffix("*") && path.hasPrefix($0.key.dropLast()) }?.value
    }

    func hold(_ bytes: Int) { held.wrappingAdd(bytes, ordering: .relaxed) }

    func forget(_ connection: HTTPServerConnection) { connections.withLock { $0.remove(connection) } }

    private func accept(_ socket: Int32, from remote: String, on loop: EventLoop) {
        let connection = HTTPServerConnection(server: self, loop: loop, remoteAddress: remote)
        let limit = connections.withLock { $0.add(connection, on: loop, limits: configuration) }
        if let limit {
            refusals.add(limit, client: remote)
            return closeSocket(socket)
        }
        let channel = ByteChannel(loop: loop, handler: connection)
        connection.start(channel)
        do throws(TransportError) {
            if let context = certificate?.withLock({ $0 }) { channel.use(try TLSServerFilter(context)) }
        } catch {
            closeSocket(socket)
            return channel.discard(error.message)
        }
        if !loop.adopt(socket, into: channel) { channel.discard("not taken") }
    }

    private func scheduleSweep(on loop: EventLoop) {
        loop.schedule(after: .seconds(1)) { [weak self, weak loop] in
            guard let self, let loop else { return }
            let now = ContinuousClock.now
            for (connection, _) in connections.withLock({ $0.all.values.filter { $0.loop === loop } }) {
                connection.sweep(now: now)
            }
            scheduleSweep(on: loop)
        }
    }
}
