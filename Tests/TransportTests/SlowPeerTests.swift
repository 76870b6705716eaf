import Telemetry
import Testing

@testable import Transport

/// Answers `/large` with many bytes, and `/stream` with a body that never lets the output become empty.
private final class Generous: HTTPRequestHandler {
    static let largeCount = 256 << 10
    static let longCount = 40 << 10
    let count = Guarded(0)
    /// In which turn of the loop the last request came, how many came in it, and the most of all turns.
    let turns = Guarded((turn: UInt64(0), count: 0, most: 0))
    /// The most that an output took during a stream.
    let mostOutput = Guarded(0)

    func handle(_ request: HTTPServerRequest, _ reply: HTTPReply) {
        count.withLock { $0 += 1 }
        let turn = reply.loop.turn
        turns.withLock { turns in
            turns.count = turns.turn == turn ? turns.count + 1 : 1
            turns.turn = turn
            turns.most = max(turns.most, turns.count)
        }
        switch request.path {
        case "/large": reply.send(status: 200, body: [UInt8](repeating: 0x61, count: Self.largeCount))
        case "/long": reply.send(status: 200, body: [UInt8](repeating: 0x61, count: Self.longCount))
        case "/stream":
            reply.begin(status: 200)
            stream(reply, 64)
        default: reply.send(status: 200, body: [])
        }
    }

    private func stream(_ reply: HTTPReply, _ left: Int) {
        guard left > 0 else { return reply.end() }
        let isDue = reply.backlogBytes < 2 << 20
        if isDue { reply.write([UInt8](repeating: 0x62, count: 1 << 20)) }
        let output = reply.outputBytes
        mostOutput.withLock { $0 = max($0, output) }
        reply.loop.execute { [self] in stream(reply, isDue ? left - 1 : left) }
    }
}

/// Keeps the sockets, and greets each with `greeting` bytes.
private final class Greeter: WebSocketAcceptor, WebSocketDelegate {
    let greeting: Int
    let messages = Guarded<[[UInt8]]>([])
    init(greeting: Int = 0) { self.greeting = greeting }

    func accept(_ request: HTTPServerRequest) -> (any WebSocketDelegate)? { self }
    func didOpen(_ socket: WebSocket) {
        if greeting > 0 { socket.send(binary: [UInt8](repeating: 0, count: greeting)) }
    }
    func didReceive(_ message: UnsafeRawBufferPointer, isText: Bool, on socket: WebSocket) {
        let bytes = unsafe [UInt8](message)
        messages.withLock { $0.append(bytes) }
        if isText { socket.close() }
    }
    func didClose(_ reason: WebSocketCloseReason, on socket: WebSocket) {}
}

private final class NoLinkRequests: LinkRequestHandler {
    func handle(_ request: LinkRequest, _ reply: LinkReply) {}
}

@Suite struct SlowPeerTests {
    private static let upgrade =
        "HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

    private func withServer(
        _ webSockets: [String: any WebSocketAcceptor] = [:], maximumConnections: Int = 100,
        _ body: (HTTPServer, Generous) async throws -> Void
    ) async throws {
        let loop = try EventLoop(name: "server")
        defer { loop.stop() }
        var configuration = HTTPServerConfiguration()
        configuration.maximumConnections = maximumConnections
        let handler = Generous()
        let server = try HTTPServer(configuration, loops: [loop], handler: handler, webSockets: webSockets)
        defer { server.stop() }
        try await body(server, handler)
    }

    @Test func `a WebSocket that has closed counts no more against the connections`() async throws {
        try await withServer(["/ws": Greeter()], maximumConnections: 1) { server, _ in
            for _ in 0..<3 {
                let peer = try RawPeer(port: server.port)
                peer.send("GET /ws \(Self.upgrade)")
                #expect(peer.read { $0.hasSuffix("\r\n\r\n") }.hasPrefix("HTTP/1.1 101"))
                #expect(server.connectionCount == 1)
                peer.send(WebSocketFrame.masked(opcode: WebSocketFrame.close, []))
                _ = peer.readCount()
                try await eventually { server.connectionCount == 0 }
            }
        }
    }

    @Test func `a peer that reads fast does not keep the loop with long answers in one go`() async throws {
        try await withServer { server, handler in
            let peer = try RawPeer(port: server.port)
            let request = "GET /long HTTP/1.1\r\nHost: x\r\n"
            peer.send(
                String(repeating: request + "\r\n", count: 199) + request + "Connection: close\r\n\r\n")
            #expect(peer.readCount() > 200 * Generous.longCount)
            #expect(handler.count.withLock { $0 } == 200)
            // What may leave in one turn, and what may wait before the next request does.
            let most = ((8 * 48 + 256) << 10) / Generous.longCount + 2
            #expect(handler.turns.withLock { $0.most } <= most)
        }
    }

    @Test func `a server that stops closes its WebSockets`() async throws {
        try await withServer(["/ws": Greeter()]) { server, _ in
            let peer = try RawPeer(port: server.port)
            peer.send("GET /ws \(Self.upgrade)")
            #expect(peer.read { $0.hasSuffix("\r\n\r\n") }.hasPrefix("HTTP/1.1 101"))
            server.stop()
            #expect(peer.read().isEmpty)
            try await eventually { server.connectionCount == 0 }
        }
    }

    @Test func `requests in one go wait until the peer takes the answers`() async throws {
        try await withServer { server, handler in
            let number = 100
            let peer = try RawPeer(port: server.port, receiveBuffer: 65_536)
            peer.send(String(repeating: "GET /large HTTP/1.1\r\nHost: x\r\n\r\n", count: number - 1))
            peer.send("GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            try await eventually { handler.count.withLock { $0 } > 0 }
            // The loop has one thread: when this is answered, it has done with the others what it would do at once.
            let other = try RawPeer(port: server.port)
            other.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            _ = other.readCount()
            #expect(handler.count.withLock { $0 } < number)
            #expect(peer.readCount() > number * Generous.largeCount)
            #expect(handler.count.withLock { $0 } == number + 1)
        }
    }

    @Test func `an output that is never empty gives back what is sent`() async throws {
        try await withServer { server, handler in
            let peer = try RawPeer(port: server.port)
            peer.send("GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            #expect(peer.readCount() > 64 << 20)
            let most = handler.mostOutput.withLock { $0 }
            #expect(most > 1 << 20)
            #expect(most < 16 << 20)
        }
    }

    @Test func `pings of a peer that does not read are not all answered`() async throws {
        let greeter = Greeter(greeting: 32 << 20)
        try await withServer(["/ws": greeter]) { server, _ in
            let peer = try RawPeer(port: server.port, receiveBuffer: 65_536)
            peer.send("GET /ws \(Self.upgrade)")
            let ping = WebSocketFrame.masked(
                opcode: WebSocketFrame.ping, [UInt8](repeating: 1, count: 125))
            peer.send((0..<1_000).flatMap { _ in ping })
            peer.send(WebSocketFrame.masked(opcode: WebSocketFrame.text, [0x61]))
            try await eventually { greeter.messages.withLock { $0.count } == 1 }
            let count = peer.readCount()
            #expect(count > greeter.greeting)
            #expect(count < greeter.greeting + 10_000)
        }
    }

    @Test func `frames cut anywhere are read`() async throws {
        let greeter = Greeter()
        try await withServer(["/ws": greeter]) { server, _ in
            let sizes = [0, 1, 125, 126, 300, 200_000, 2]
            let bytes = sizes.flatMap {
                WebSocketFrame.masked(
                    opcode: WebSocketFrame.binary, [UInt8](repeating: UInt8($0 & 255), count: $0))
            }
            for piece in [1, 3, 139, 70_000, bytes.count] {
                greeter.messages.withLock { $0 = [] }
                let peer = try RawPeer(port: server.port)
                peer.send("GET /ws \(Self.upgrade)")
                var rest = bytes[...]
                while !rest.isEmpty {
                    // Small pieces for the heads, so that this does not take a packet for each of 200 000 bytes.
                    let isLong = rest.count < bytes.count - 1_000 && rest.count > 5_000
                    let next = rest.prefix(isLong ? max(piece, 4_096) : piece)
                    peer.send(Array(next))
                    rest = rest.dropFirst(next.count)
                }
                try await eventually { greeter.messages.withLock { $0.count } == sizes.count }
                #expect(
                    greeter.messages.withLock { $0 }
                        == sizes.map { [UInt8](repeating: UInt8($0 & 255), count: $0) })
            }
        }
    }

    @Test func `a peer that has not proved itself cannot send a large message`() async throws {
        var timings = LinkTimings()
        timings.connectTimeout = .seconds(60)
        let link = LinkServer(
            identity: LinkIdentity(role: .worker, name: "worker-0", uid: "uid-0", incarnation: "first"),
            keys: { LinkKeys(current: [1]) }, timings: timings, handler: NoLinkRequests())
        try await withServer(["/link/v1": link]) { server, _ in
            let peer = try RawPeer(port: server.port)
            peer.send("GET /link/v1 \(Self.upgrade)")
            #expect(peer.read { $0.hasSuffix("\r\n\r\n") }.hasPrefix("HTTP/1.1 101"))
            let frame = WebSocketFrame.masked(
                opcode: WebSocketFrame.binary, [UInt8](repeating: 0, count: 20 << 10))
            peer.send(Array(frame.prefix(100)))
            try await eventually(within: .seconds(10)) { server.connectionCount == 0 }
        }
    }
}
