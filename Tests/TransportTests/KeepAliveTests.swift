import Testing

@testable import Transport

/// Streams two pieces, with a date of its own.
private final class TwoPieces: HTTPRequestHandler {
    func handle(_ request: HTTPServerRequest, _ reply: HTTPReply) {
        reply.begin(status: 200, headers: [HTTPHeader("date", "today")])
        reply.write(Array("ab".utf8))
        reply.write(Array("cd".utf8))
        reply.end()
    }
}

/// Whether a connection stays, and what an answer says of it.
struct KeepAliveTests {
    private func answer(_ version: String, _ headers: String...) throws -> (text: String, stays: Bool) {
        let bench = try Bench()
        defer { bench.stop() }
        let peer = try RawPeer(port: bench.server.port)
        let lines = headers.map { $0 + "\r\n" }.joined()
        peer.send("GET /?abc HTTP/\(version)\r\nHost: x\r\n\(lines)\r\n")
        let first = peer.read { $0.hasSuffix("3 0 -") }
        peer.send("GET /?abcd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return (first, peer.read().hasSuffix("4 0 -"))
    }

    @Test(arguments: ["close", "Close", "TE, close", "close , TE", "keep-alive,close"])
    func `who says that it closes is let go, whatever else it says`(value: String) throws {
        let (text, stays) = try answer("1.1", "Connection: \(value)")
        #expect(text.contains("\r\nconnection: close\r\n"))
        #expect(!stays)
    }

    @Test func `a second field counts as the first one does`() throws {
        #expect(try !answer("1.1", "Connection: TE", "Connection: close").stays)
    }

    @Test(arguments: ["keep-alive", "closed", "TE, x-close", ""])
    func `else a connection of HTTP 1.1 stays, and nothing is said of it`(value: String) throws {
        let (text, stays) = try answer("1.1", "Connection: \(value)")
        #expect(!text.contains("\r\nconnection:"))
        #expect(stays)
    }

    @Test func `one of HTTP 1.0 stays if it is asked for, and is told so`() throws {
        let asked = try answer("1.0", "Connection: Keep-Alive")
        #expect(asked.text.contains("\r\nconnection: keep-alive\r\n"))
        #expect(asked.stays)
        let silent = try answer("1.0")
        #expect(silent.text.contains("\r\nconnection: close\r\n"))
        #expect(!silent.stays)
    }

    @Test(arguments: ["http://x/?abc", "HTTPS://x:81/?abc"]) func `a target may be a whole URL`(
        target: String
    )
        throws
    {
        let bench = try Bench()
        defer { bench.stop() }
        let peer = try RawPeer(port: bench.server.port)
        peer.send("GET \(target) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        #expect(peer.read().hasSuffix("3 0 -"))
    }

    @Test func `each answer has its date`() throws {
        let (text, _) = try answer("1.1")
        let line = try #require(text.split(separator: "\r\n").first { $0.hasPrefix("date: ") })
        #expect(
            line.wholeMatch(of: /date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} 20\d\d \d\d:\d\d:\d\d GMT/) != nil)
        #expect(HTTPDate.text(seconds: 1_795_246_000) == "Sat, 21 Nov 2026 07:26:40 GMT")
    }

    @Test(arguments: [("1.0", "abcd"), ("1.1", "2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n")])
    func `a streamed answer is cut into chunks only for who reads them, and has one date`(
        version: String, body: String
    ) throws {
        let loop = try EventLoop(name: "server")
        defer { loop.stop() }
        let server = try HTTPServer(HTTPServerConfiguration(), loops: [loop], handler: TwoPieces())
        defer { server.stop() }
        let peer = try RawPeer(port: server.port)
        peer.send("GET / HTTP/\(version)\r\nHost: x\r\nConnection: Keep-Alive\r\n\r\n")
        let text = peer.read { version == "1.1" && $0.hasSuffix(body) }
        #expect(text.hasSuffix("\r\n\r\n" + body))
        #expect(text.contains("transfer-encoding") == (version == "1.1"))
        #expect(text.contains("connection: close") == (version == "1.0"))
        #expect(text.split(separator: "date: ").count == 2 && text.contains("date: today\r\n"))
    }
}
