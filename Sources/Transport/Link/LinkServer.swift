package import Telemetry

/// The answering side of links; mount it at `/link/v1` of an `HTTPServer`.
package final class LinkServer: WebSocketAcceptor {
    let identity: LinkIdentity
    let keys: @Sendable () -> LinkKeys
    let timings: LinkTimings
    let handler: any LinkRequestHandler
    /// Links that were refused or ended for what their peer sent.
    let refused: Counter
    private let sessions = Guarded<[ObjectIdentifier: LinkServerSession]>([:])

    package init(
        identity: LinkIdentity, keys: @escaping @Sendable () -> LinkKeys,
        timings: LinkTimings = LinkTimings(), refused: Counter = Counter(),
        handler: any LinkRequestHandler
    ) {
        self.refused = refused
        self.identity = identity
        self.keys = keys
        self.timings = timings
        self.handler = handler
    }

    package func accept(_ request: HTTPServerRequest) -> (any WebSocketDelegate)? {
        LinkServerSession(server: self, loop: request.loop, remote: request.remoteAddress)
    }

    /// How many peers have proved themselves and are connected.
    package var linkCount: Int { sessions.withLock { $0.count } }

    /// Closes all links with a goodbye.
    package func stop() {
        let all = sessions.withLock { Array($0.values) }
        for session in all { session.loop.execute { session.sayGoodbye() } }
    }

    func add(_ session: LinkServerSession) { sessions.withLock { $0[ObjectIdentifier(session)] = session } }
    func remove(_ session: LinkServerSession) {
        sessions.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(session)) }
    }
}

/// The way back for one request; from any thread, once.
package struct LinkReply: Sendable {
    let session: LinkServerSession
    let id: UInt64

    package func send(kind: UInt8, payload: [UInt8]) {
        if session.loop.isOnLoop {
            session.output.append(kind: kind, id: id) { $0.append(contentsOf: payload) }
        } else {
            let (session, id) = (session, id)
            session.loop.execute {
                session.output.append(kind: kind, id: id) { $0.append(contentsOf: payload) }
            }
        }
    }

    /// Writes the payload straight into the link's outgoing batch; only on the loop's thread.
    package func send(kind: UInt8, writing body: (inout [UInt8]) -> Void) {
        session.loop.assertOnLoop()
        session.output.append(kind: kind, id: id, writing: body)
    }
}

private let log = Log("link")

/// One accepted link.
// Safe because: used on its loop's thread only.
final class LinkServerSession: WebSocketDelegate, @unchecked Sendable {
    private enum Phase {
        case waitingForHello
        case waitingForProof(hello: [UInt8], challenge: [UInt8], peer: LinkIdentity)
        case open(LinkIdentity)
        case closed
    }
    let loop: EventLoop
    let output: LinkOutput
    private let server: LinkServer
    private let remote: String
    private var phase = Phase.waitingForHello
    private var lastHeard = ContinuousClock.now
    /// The largest message of a peer that has not proved itself.
    private static let maximumHelloBytes = 16 << 10

    init(server: LinkServer, loop: EventLoop, remote: String) {
        self.server = server
        self.loop = loop
        self.remote = remote
        output = LinkOutput(loop: loop)
    }

    func didOpen(_ socket: WebSocket) {
        output.socket = socket
        socket.maximumMessageBytes = Self.maximumHelloBytes
        lastHeard = .now
        loop.schedule(after: server.timings.connectTimeout) { [weak self] in self?.watch() }
    }

    /// Ends a link whose hello does not come, or whose peer has gone silent.
    private func watch() {
        switch phase {
        case .closed: return
        case .waitingForHello, .waitingForProof: refuse("no hello in time")
        case .open:
            let limit = server.timings.downAfter * 2
            if lastHeard.duration(to: .now) > limit {
                output.socket?.abort("nothing was heard for \(limit.components.seconds) s")
            } else {
                loop.schedule(after: server.timings.downAfter) { [weak self] in self?.watch() }
            }
        }
    }

    func didReceive(_ message: UnsafeRawBufferPointer, isText: Bool, on socket: WebSocket) {
        lastHeard = .now
        let isWhole = unsafe LinkFrame.forEach(in: message) { unsafe take($0, $1, $2) }
        if !isWhole, case .closed = phase { return }
        if !isWhole || isText { refuse("a broken message") }
    }

    /// Takes one frame; false: the rest of the message must not be read.
    private func take(_ kind: UInt8, _ id: UInt64, _ payload: UnsafeRawBufferPointer) -> Bool {
        switch phase {
        case .closed: return false
        case .waitingForHello:
            guard kind == LinkFrame.hello, payload.count <= 8192 else { return false }
            return answerHello(unsafe [UInt8](payload))
        case .waitingForProof(let hello, let challenge, let peer):
            guard kind == LinkFrame.proof else { return false }
            return check(unsafe [UInt8](payload), hello: hello, challenge: challenge, peer: peer)
        case .open(let peer):
            if kind >= LinkFrame.firstApplicationKind {
                server.handler.handle(
                    unsafe LinkRequest(kind: kind, payload: payload, peer: peer, loop: loop),
                    LinkReply(session: self, id: id))
            } else if kind == LinkFrame.beat {
                output.append(kind: LinkFrame.beatAnswer, id: id) { _ in }
            }
            return true  // unknown kinds of the link itself are for later versions
        }
    }

    private func answerHello(_ hello: [UInt8]) -> Bool {
        do {
            let peer = try LinkHello.Introduction(hello)
            let challenge = try LinkHello.Introduction(identity: server.identity).bytes
            phase = .waitingForProof(hello: hello, challenge: challenge, peer: peer.identity)
            output.append(kind: LinkFrame.challenge, id: 0) { $0.append(contentsOf: challenge) }
            return true
        } catch {
            refuse(error.message)
            return false
        }
    }

    private func check(_ proofs: [UInt8], hello: [UInt8], challenge: [UInt8], peer: LinkIdentity) -> Bool {
        guard let key = LinkHello.match(proofs, server.keys(), hello: hello, challenge: challenge) else {
            log.warning("Refused link with a wrong key", ["peer": peer.name, "address": remote])
            refuse("the link key is wrong")
            return false
        }
        let proof = LinkHello.proof(.server, key: key, hello: hello, challenge: challenge)
        phase = .open(peer)
        output.socket?.maximumMessageBytes = WebSocketOptions().maxMessageBytes
        server.add(self)
        output.append(kind: LinkFrame.welcome, id: 0) { $0.append(contentsOf: proof) }
        log.info("Opened link", ["peer": peer.name, "role": "\(peer.role)", "address": remote])
        return true
    }

    private func refuse(_ words: String) {
        server.refused.add()
        output.append(kind: LinkFrame.refusal, id: 0) { $0.append(contentsOf: words.utf8) }
        output.flush()
        phase = .closed
        output.socket?.close(code: 1008, reason: words)
    }

    func sayGoodbye() {
        output.flush()
        output.socket?.close(code: 1001, reason: "the peer stops")
    }

    func didClose(_ reason: WebSocketCloseReason, on socket: WebSocket) {
        if case .open(let peer) = phase {
            log.info("Closed link", ["peer": peer.name, "reason": reason.text])
        }
        // Also one that was open until what it sent was refused.
        server.remove(self)
        phase = .closed
        output.socket = nil
    }
}

/// Gathers frames during a turn of the loop and sends them as one message, with room for its header before them.
// Safe because: used on its loop's thread only, which debug builds check.
final class LinkOutput: @unchecked Sendable {
    private let loop: EventLoop
    var socket: WebSocket?
    private var batch = LinkOutput.empty()
    private var isFlushComing = false
    /// Which batch the next frame will be in.
    private(set) var batchNumber: UInt64 = 0
    /// A peer that takes nothing is dropped when this much waits for it.
    private static let maximumBacklog = 64 << 20

    init(loop: EventLoop) { self.loop = loop }

    private static func empty(capacity: Int = 0) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(max(capacity, 1 << 10))
        bytes.append(contentsOf: repeatElement(0, count: WebSocketFrame.room))
        return bytes
    }

    func append(kind: UInt8, id: UInt64, writing body: (inout [UInt8]) -> Void) {
        loop.assertOnLoop()
        guard socket != nil else { return }
        LinkFrame.append(kind: kind, id: id, to: &batch, writing: body)
        if batch.count >= LinkFrame.batchCount { return flush() }
        guard !isFlushComing else { return }
        isFlushComing = true
        loop.execute { [weak self] in self?.flush() }
    }

    func flush() {
        isFlushComing = false
        guard let socket, batch.count > WebSocketFrame.room else { return }
        batchNumber &+= 1
        var message = Self.empty(capacity: min(batch.count, LinkFrame.batchCount))
        swap(&message, &batch)
        socket.sendNow(binaryAfterRoom: message)
        if socket.backlogBytes > Self.maximumBacklog { socket.abort("the peer does not read") }
    }

    func reset() {
        socket = nil
        batch = Self.empty()
    }
}
