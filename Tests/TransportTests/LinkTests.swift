import Telemetry
import Testing

@testable import Transport

/// Answers kind 16 with its payload, holds back kind 17 until it is told, and drops kind 18.
private final class LinkEcho: LinkRequestHandler {
    private let held = Guarded<[LinkReply]>([])

    func handle(_ request: LinkRequest, _ reply: LinkReply) {
        switch request.kind {
        case 16: reply.send(kind: 19) { unsafe $0.append(contentsOf: request.payload) }
        case 17: held.withLock { $0.append(reply) }
        default: break
        }
    }

    var heldCount: Int { held.withLock { $0.count } }
    func release() {
        let all = held.withLock { held in
            defer { held = [] }
            return held
        }
        for reply in all { reply.send(kind: 20, payload: [9]) }
    }
}

private final class NoPages: HTTPRequestHandler {
    func handle(_ request: HTTPServerRequest, _ reply: HTTPReply) { reply.send(status: 404, body: []) }
}

/// A worker's side and what a gateway needs to reach it.
private struct LinkBench {
    let serverLoop: EventLoop
    let clientLoop: EventLoop
    let echo = LinkEcho()
    let link: LinkServer
    let server: HTTPServer
    static let key = [UInt8](repeating: 7, count: 32)

    init(keys: LinkKeys = LinkKeys(current: key)) throws {
        serverLoop = try EventLoop(name: "server")
        clientLoop = try EventLoop(name: "client")
        link = LinkServer(
            identity: LinkIdentity(role: .worker, name: "worker-0", uid: "uid-0", incarnation: "first"),
            keys: { keys }, handler: echo)
        server = try HTTPServer(
            HTTPServerConfiguration(), loops: [serverLoop], handler: NoPages(), webSockets: ["/link/v1": link]
        )
    }

    func client(
        keys: LinkKeys = LinkKeys(current: key), uid: String? = nil, incarnation: String? = nil,
        timings: LinkTimings = LinkTimings(),
        onStateChange: @escaping @Sendable (LinkState) -> Void = { _ in }
    ) -> LinkClient {
        let client = LinkClient(
            loop: clientLoop, endpoint: "127.0.0.1:\(server.port)",
            identity: LinkIdentity(role: .gateway, name: "gateway-0", uid: "uid-1", incarnation: "a"),
            keys: { keys }, expectedUID: uid, expectedIncarnation: incarnation, timings: timings,
            onStateChange: onStateChange)
        client.start()
        return client
    }

    func stop() {
        server.stop()
        clientLoop.stop()
        serverLoop.stop()
    }
}

private func ask(
    _ client: LinkClient, _ kind: UInt8, _ payload: [UInt8], _ deadline: Duration = .seconds(20)
) async -> Result<LinkAnswer, LinkError> {
    await withCheckedContinuation { continuation in
        client.request(kind: kind, payload: payload, deadline: deadline) {
            continuation.resume(returning: $0)
        }
    }
}

private func isDown(_ client: LinkClient, with words: String) -> Bool {
    if case .down(let reason) = client.state { reason.contains(words) } else { false }
}

/// Proves that it knows the key, and then says what no link understands.
private final class Babbler: WebSocketDelegate {
    private let hello: [UInt8]
    private let keys: LinkKeys
    init(keys: LinkKeys) throws {
        self.keys = keys
        hello = try LinkHello.Introduction(
            identity: LinkIdentity(role: .gateway, name: "gateway-9", uid: "uid-9", incarnation: "a")
        ).bytes
    }

    private func say(_ kind: UInt8, _ payload: [UInt8], on socket: WebSocket) {
        var frame: [UInt8] = []
        LinkFrame.append(kind: kind, id: 0, to: &frame, payload)
        socket.send(binary: frame)
    }

    func didOpen(_ socket: WebSocket) { say(LinkFrame.hello, hello, on: socket) }

    func didReceive(_ message: UnsafeRawBufferPointer, isText: Bool, on socket: WebSocket) {
        unsafe _ = LinkFrame.forEach(in: message) { kind, _, payload in
            if kind == LinkFrame.challenge {
                let proofs = unsafe LinkHello.proofs(keys, hello: hello, challenge: [UInt8](payload))
                say(LinkFrame.proof, proofs, on: socket)
            } else if kind == LinkFrame.welcome {
                socket.send(text: "what no link understands")
            }
            return true
        }
    }

    func didClose(_ reason: WebSocketCloseReason, on socket: WebSocket) {}
}

@Suite struct LinkTests {
    @Test func `requests are answered to those who asked, many at once`() async throws {
        let bench = try LinkBench()
        defer { bench.stop() }
        let client = bench.client(uid: "uid-0", incarnation: "first")
        try await eventually { client.state == .up }
        #expect(client.peer?.name == "worker-0")
        #expect(bench.link.linkCount == 1)
        let right = Guarded(0)
        for number in 0..<2000 {
            let payload = Array("question \(number)".utf8)
            client.request(kind: 16, payload: payload, deadline: .seconds(20)) { result in
                if result == .success(LinkAnswer(kind: 19, payload: payload)) { right.withLock { $0 += 1 } }
            }
        }
        try await eventually { right.withLock { $0 } == 2000 }
        let large = [UInt8](repeating: 3, count: 3 << 20)
        #expect(await ask(client, 16, large) == .success(LinkAnswer(kind: 19, payload: large)))
        #expect(await ask(client, 16, [UInt8](repeating: 0, count: 9 << 20)) == .failure(.tooLarge))
        #expect(await ask(client, 16, []) == .success(LinkAnswer(kind: 19, payload: [])))
    }

    @Test func `a request ends at its deadline and its late answer is dropped`() async throws {
        let bench = try LinkBench()
        defer { bench.stop() }
        let client = bench.client()
        try await eventually { client.state == .up }
        #expect(await ask(client, 17, [1], .milliseconds(30)) == .failure(.deadlineExceeded))
        try await eventually { bench.echo.heldCount == 1 }
        bench.echo.release()
        #expect(await ask(client, 16, [2]) == .success(LinkAnswer(kind: 19, payload: [2])))
        #expect(client.state == .up)
    }

    @Test func `a wrong key is refused by either side`() async throws {
        let bench = try LinkBench()
        defer { bench.stop() }
        let client = bench.client(keys: LinkKeys(current: [1, 2, 3]))
        try await eventually { isDown(client, with: "the link key is wrong") }
        #expect(bench.link.linkCount == 0)
        guard case .failure(.notConnected) = await ask(client, 16, []) else {
            Issue.record("a request was taken without a link")
            return
        }
        client.stop()
        try await eventually { client.state == .stopped }
    }

    @Test func `a link that was open and is refused for what it says is no longer counted`() async throws {
        let bench = try LinkBench()
        defer { bench.stop() }
        let babbler = try Babbler(keys: LinkKeys(current: LinkBench.key))
        try WebSocket.connect(
            "ws://127.0.0.1:\(bench.server.port)/link/v1", on: bench.clientLoop, delegate: babbler)
        try await eventually { bench.link.refused.value == 1 }
        try await eventually { bench.link.linkCount == 0 }
    }

    @Test(arguments: [true, false])
    func `the previous key is accepted while keys change`(clientIsFirst: Bool) async throws {
        let new = LinkKeys(current: [UInt8](repeating: 8, count: 32), previous: LinkBench.key)
        let old = LinkKeys(current: LinkBench.key)
        let bench = try LinkBench(keys: clientIsFirst ? old : new)
        defer { bench.stop() }
        let client = bench.client(keys: clientIsFirst ? new : old)
        try await eventually { client.state == .up }
    }

    @Test func `an empty key opens nothing`() async throws {
        let bench = try LinkBench(keys: LinkKeys(current: []))
        defer { bench.stop() }
        let client = bench.client(keys: LinkKeys(current: []))
        try await eventually { isDown(client, with: "the link key is wrong") }
    }

    @Test func `another worker or another incarnation at the address is not taken for the right one`()
        async throws
    {
        let bench = try LinkBench()
        defer { bench.stop() }
        let stranger = bench.client(uid: "uid-9")
        let reborn = bench.client(uid: "uid-0", incarnation: "second")
        try await eventually { isDown(stranger, with: "expected the peer uid-9, was uid-0") }
        try await eventually { isDown(reborn, with: "expected the incarnation second, was first") }
    }

    @Test func `a silent peer becomes suspect and is up again when it speaks`() async throws {
        let bench = try LinkBench()
        defer { bench.stop() }
        let states = Guarded<[LinkState]>([])
        let client = bench.client { state in states.withLock { $0.append(state) } }
        try await eventually { client.state == .up }
        let gate = Guarded(false)
        bench.serverLoop.execute { while !gate.withLock({ $0 }) {} }  // as if the worker were stopped
        try await eventually { client.state == .suspect }
        let answers = Guarded(0)
        client.request(kind: 16, payload: [1], deadline: .seconds(20)) { result in
            if case .success = result { answers.withLock { $0 += 1 } }
        }
        gate.withLock { $0 = true }
        try await eventually { answers.withLock { $0 } == 1 && client.state == .up }
        #expect(states.withLock { $0 } == [.up, .suspect, .up])
    }

    @Test func `a peer that stays silent loses the link, and what was asked fails`() async throws {
        let bench = try LinkBench()
        defer { bench.stop() }
        var timings = LinkTimings()
        timings.downAfter = .milliseconds(900)
        let client = bench.client(timings: timings)
        try await eventually { client.state == .up }
        let gate = Guarded(false)
        bench.serverLoop.execute { while !gate.withLock({ $0 }) {} }
        guard case .failure(.connectionLost) = await ask(client, 16, []) else {
            Issue.record("the request did not fail with its link")
            return
        }
        gate.withLock { $0 = true }
        try await eventually { client.state == .up }  // and it connects again
    }

    @Test func `nothing but a hello is taken from a stranger`() async throws {
        let bench = try LinkBench()
        defer { bench.stop() }
        let recorder = Recorder(echoes: false)
        var frame: [UInt8] = []
        LinkFrame.append(kind: 16, id: 1, to: &frame, [1, 2, 3])
        let socket = try WebSocket.connect(
            "ws://127.0.0.1:\(bench.server.port)/link/v1", on: bench.clientLoop, delegate: recorder)
        socket.send(binary: frame)
        try await eventually { recorder.all.contains(.open) }
        socket.send(binary: frame)
        try await eventually { recorder.all.contains { if case .closed = $0 { true } else { false } } }
        #expect(bench.link.linkCount == 0)
    }

    @Test func `frames cut anywhere are refused and whole ones are read`() {
        var bytes: [UInt8] = []
        LinkFrame.append(kind: 16, id: 0x0102_0304_0506_0708, to: &bytes, [1, 2, 3])
        LinkFrame.append(kind: 17, id: 2, to: &bytes, [])
        #expect(bytes.prefix(13) == [12, 0, 0, 0, 16, 8, 7, 6, 5, 4, 3, 2, 1])
        for count in 0...bytes.count {
            var kinds: [UInt8] = []
            let isWhole = unsafe bytes.prefix(count).withUnsafeBytes { bytes in
                unsafe LinkFrame.forEach(in: bytes) { kind, _, _ in
                    kinds.append(kind)
                    return true
                }
            }
            #expect(isWhole == [0, 16, 29].contains(count))
            #expect(kinds.count == (count >= 29 ? 2 : count >= 16 ? 1 : 0))
        }
    }

    @Test func `introductions survive the wire and broken ones are errors`() throws {
        let identity = LinkIdentity(role: .gateway, name: "é", uid: "u", incarnation: "")
        let own = try LinkHello.Introduction(identity: identity)
        #expect(try LinkHello.Introduction(own.bytes) == own)
        for count in 0..<own.bytes.count {
            #expect(throws: TransportError.self) {
                try LinkHello.Introduction(Array(own.bytes.prefix(count)))
            }
        }
    }
}
