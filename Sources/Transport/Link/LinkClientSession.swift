import Telemetry

private let log = Log("link")

/// The loop-bound part of a link client: one connection after the other.
// Safe because: used on its loop's thread only, which debug builds check.
final class LinkClientSession: @unchecked Sendable {
    let loop: EventLoop
    private let endpoint: String
    private let identity: LinkIdentity
    private let keys: @Sendable () -> LinkKeys
    private let expected: (uid: String?, incarnation: String?)
    private let timings: LinkTimings
    private let shared: LinkClientShared
    private let output: LinkOutput
    private var attempt: LinkAttempt?
    private var isStarted = false
    private var failures = 0
    private var waiting = LinkWaiting()
    private var deadlineTimer: (due: ContinuousClock.Instant, timer: LoopTimer)?
    private var beatTimer: LoopTimer?
    private var lastBeat = ContinuousClock.now
    private var lastHeard = ContinuousClock.now

    init(
        loop: EventLoop, endpoint: String, identity: LinkIdentity, keys: @escaping @Sendable () -> LinkKeys,
        expected: (uid: String?, incarnation: String?), timings: LinkTimings, shared: LinkClientShared
    ) {
        self.loop = loop
        self.endpoint = endpoint
        self.identity = identity
        self.keys = keys
        self.expected = expected
        self.timings = timings
        self.shared = shared
        output = LinkOutput(loop: loop)
    }

    /// Which batch the next request will leave with.
    var batchNumber: UInt64 { output.batchNumber }

    // MARK: Connecting

    func start() {
        loop.assertOnLoop()
        guard !isStarted else { return }
        isStarted = true
        connect()
    }

    func stop() {
        loop.assertOnLoop()
        guard isStarted || shared.state != .stopped else { return }
        isStarted = false
        output.flush()
        attempt?.socket?.close(code: 1000, reason: "stopped")
        end(.stopped, failing: .notConnected("the link was stopped"))
    }

    private func connect() {
        loop.assertOnLoop()
        guard isStarted, attempt == nil else { return }
        if failures == 0 { shared.set(.connecting) }
        do {
            let new = try LinkAttempt(session: self, identity: identity)
            attempt = new
            var options = WebSocketOptions()
            options.connectTimeout = timings.connectTimeout
            new.socket = try WebSocket.connect(
                "ws://\(endpoint)/link/v1", on: loop, options: options, delegate: new)
            loop.schedule(after: timings.connectTimeout) { [weak self, weak new] in
                guard let self, let new, attempt === new, output.socket == nil else { return }
                lose(new, "no welcome in time")
            }
        } catch {
            attempt = nil
            connectLater(error.message)
        }
    }

    private func connectLater(_ reason: String) {
        shared.set(.down(reason))
        guard isStarted else { return }
        failures += 1
        let longest = min(timings.longestBackoff, timings.firstBackoff * (1 << min(failures - 1, 16)))
        let delay = longest * Double.random(in: 0.5...1)
        loop.schedule(after: delay) { [weak self] in self?.connect() }
    }

    /// Gives up an attempt or an open connection, and tries again later.
    func lose(_ lost: LinkAttempt, _ reason: String) {
        guard attempt === lost else { return }
        if output.socket != nil { log.info("Lost link", ["endpoint": endpoint, "reason": reason]) }
        attempt = nil
        lost.socket?.abort(reason)
        end(nil, failing: .connectionLost(reason))
        connectLater(reason)
    }

    private func end(_ state: LinkState?, failing error: LinkError) {
        attempt = nil
        output.reset()
        beatTimer?.cancel()
        beatTimer = nil
        if let state { shared.set(state) }
        for request in waiting.endAll() { request.complete(.failure(error)) }
    }

    // MARK: Hello

    /// Reads a server's challenge; the proofs, or what is wrong.
    func prove(_ own: LinkHello.Introduction, _ challenge: [UInt8], _ attempt: LinkAttempt) -> [UInt8]? {
        do throws(TransportError) {
            let peer = try LinkHello.Introduction(challenge).identity
            if let uid = expected.uid, uid != peer.uid {
                throw TransportError("expected the peer \(uid), was \(peer.uid)", source: .theirs)
            }
            if let incarnation = expected.incarnation, incarnation != peer.incarnation {
                throw TransportError(
                    "expected the incarnation \(incarnation), was \(peer.incarnation)", source: .theirs)
            }
            attempt.peer = peer
            return LinkHello.proofs(keys(), hello: own.bytes, challenge: challenge)
        } catch {
            lose(attempt, error.message)
            return nil
        }
    }

    func welcome(_ attempt: LinkAttempt, _ proof: [UInt8], hello: [UInt8], challenge: [UInt8]) -> Bool {
        guard LinkHello.isWelcome(proof, keys(), hello: hello, challenge: challenge) else {
            lose(attempt, "the peer does not know the link key")
            return false
        }
        guard let socket = attempt.socket else { return false }
        failures = 0
        output.socket = socket
        if let peer = attempt.peer { shared.set(peer: peer) }
        lastHeard = .now
        lastBeat = .now
        log.info("Opened link", ["endpoint": endpoint, "peer": attempt.peer?.name ?? ""])
        beat()
        shared.set(.up)
        return true
    }

    // MARK: Beat

    private func beat() {
        let now = ContinuousClock.now
        // After a stall of our own the peer's words may still wait in the socket: judge at the next beat.
        if lastBeat.duration(to: now) > timings.suspectAfter {
            lastHeard = max(lastHeard, now - timings.heartbeat)
        }
        lastBeat = now
        let silence = lastHeard.duration(to: now)
        if silence > timings.downAfter, let attempt {
            return lose(attempt, "nothing was heard for \(timings.downAfter.components.seconds) s")
        }
        if silence > timings.suspectAfter { shared.set(.suspect) }
        output.append(kind: LinkFrame.beat, id: 0) { _ in }
        beatTimer = loop.schedule(after: timings.heartbeat) { [weak self] in
            guard let self, output.socket != nil else { return }
            beat()
        }
    }

    func heard(_ attempt: LinkAttempt) {
        guard self.attempt === attempt else { return }
        lastHeard = .now
        if output.socket != nil, shared.state == .suspect { shared.set(.up) }
    }

    // MARK: Requests

    /// The number under which the answer is waited for; nil where `completion` was told at once what is wrong.
    @discardableResult
    func request(
        _ kind: UInt8, _ payload: [UInt8], _ deadline: Duration,
        _ completion: @escaping LinkWaiting.Completion
    ) -> UInt64? {
        loop.assertOnLoop()
        guard payload.count <= LinkFrame.maximumPayload else {
            completion(.failure(.tooLarge))
            return nil
        }
        guard output.socket != nil else {
            let reason =
                switch shared.state {
                case .down(let reason): reason
                case .stopped: "the link was stopped"
                case .connecting, .up, .suspect: "connecting"
                }
            completion(.failure(.notConnected(reason)))
            return nil
        }
        let due = ContinuousClock.now + deadline
        let number = waiting.add(due: due, completion)
        if deadlineTimer.map({ due < $0.due }) ?? true { watchDeadline(due) }
        output.append(kind: kind, id: number) { $0.append(contentsOf: payload) }
        return number
    }

    /// Lets one more wait for the answer to a request; false if it has ended.
    func join(_ number: UInt64, _ completion: @escaping LinkWaiting.Completion) -> Bool {
        loop.assertOnLoop()
        return waiting.join(number, completion)
    }

    /// One timer for all requests, at the earliest deadline that was ever asked for.
    private func watchDeadline(_ due: ContinuousClock.Instant) {
        deadlineTimer?.timer.cancel()
        let timer = loop.schedule(after: ContinuousClock.now.duration(to: due)) { [weak self] in
            self?.failLate()
        }
        deadlineTimer = (due, timer)
    }

    private func failLate() {
        deadlineTimer = nil
        let late = waiting.endLate(.now)
        if let next = waiting.firstDue { watchDeadline(next) }
        for request in late { request.complete(.failure(.deadlineExceeded)) }
    }

    /// An answer; one whose request is not waited for any more is dropped.
    func answer(_ kind: UInt8, _ id: UInt64, _ payload: UnsafeRawBufferPointer) {
        guard let request = waiting.end(id) else { return }
        request.complete(.success(LinkAnswer(kind: kind, payload: unsafe [UInt8](payload))))
    }
}

/// One connection of a link client, from its first byte to its end.
// Safe because: used on its loop's thread only.
final class LinkAttempt: WebSocketDelegate, @unchecked Sendable {
    private enum Phase {
        case hello
        case proof(challenge: [UInt8])
        case open
    }
    private weak var session: LinkClientSession?
    private let own: LinkHello.Introduction
    private var phase = Phase.hello
    var socket: WebSocket?
    var peer: LinkIdentity?

    init(session: LinkClientSession, identity: LinkIdentity) throws(TransportError) {
        self.session = session
        own = try LinkHello.Introduction(identity: identity)
    }

    func didOpen(_ socket: WebSocket) {
        self.socket = socket
        send(LinkFrame.hello, own.bytes)
    }

    private func send(_ kind: UInt8, _ payload: [UInt8]) {
        var bytes: [UInt8] = []
        LinkFrame.append(kind: kind, id: 0, to: &bytes, payload)
        socket?.send(binary: bytes)
    }

    func didReceive(_ message: UnsafeRawBufferPointer, isText: Bool, on socket: WebSocket) {
        session?.heard(self)
        let isWhole = unsafe LinkFrame.forEach(in: message) { unsafe take($0, $1, $2) }
        if !isWhole || isText { session?.lose(self, "a broken message from the peer") }
    }

    /// Takes one frame; false: this connection is lost.
    private func take(_ kind: UInt8, _ id: UInt64, _ payload: UnsafeRawBufferPointer) -> Bool {
        guard let session else { return false }
        if kind == LinkFrame.refusal {
            session.lose(self, unsafe "refused: \(String(decoding: payload.prefix(200), as: UTF8.self))")
            return false
        }
        switch phase {
        case .hello:
            let challenge = unsafe [UInt8](payload)
            guard kind == LinkFrame.challenge, payload.count <= 8192,
                let proofs = session.prove(own, challenge, self)
            else { return false }
            phase = .proof(challenge: challenge)
            send(LinkFrame.proof, proofs)
        case .proof(let challenge):
            guard kind == LinkFrame.welcome else { return false }
            let proof = unsafe [UInt8](payload)
            guard session.welcome(self, proof, hello: own.bytes, challenge: challenge) else { return false }
            phase = .open
        case .open:
            if kind >= LinkFrame.firstApplicationKind { unsafe session.answer(kind, id, payload) }
        }
        return true
    }

    func didClose(_ reason: WebSocketCloseReason, on socket: WebSocket) {
        session?.lose(self, reason.text)
        self.socket = nil
    }
}
