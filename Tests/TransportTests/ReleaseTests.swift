import Testing

@testable import Transport

private final class Silence: HTTPRequestHandler {
    func handle(_ request: HTTPServerRequest, _ reply: HTTPReply) { reply.send(status: 200, body: []) }
}

@Suite struct ReleaseTests {
    /// A connection that is not taken once kept itself, and with it the server, for ever.
    @Test func `connections beyond the limit leave nothing behind`() async throws {
        weak var last: HTTPServer?
        do {
            let loop = try EventLoop(name: "server")
            defer { loop.stop() }
            var configuration = HTTPServerConfiguration()
            configuration.maximumConnections = 1
            let server = try HTTPServer(configuration, loops: [loop], handler: Silence())
            last = server
            let first = try RawPeer(port: server.port)
            first.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(first.read { $0.hasSuffix("\r\n\r\n") }.hasPrefix("HTTP/1.1 200"))
            for _ in 0..<3 {
                let refused = try RawPeer(port: server.port)
                #expect(refused.read().isEmpty)
            }
            #expect(server.refusedRequests == 3)
            server.stop()
        }
        #expect(last == nil)
    }
}
