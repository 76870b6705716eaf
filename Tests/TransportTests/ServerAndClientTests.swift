import Telemetry
import Testing

@testable import Transport

/// Answers with what it was asked, so that a test sees what arrived.
private final class Echo: HTTPRequestHandler {
    func handle(_ request: HTTPServerRequest, _ reply: HTTPReply) {
        switch request.path {
        case "/stream":
            reply.begin(status: 200)
            for number in 0..<3 { reply.write(Array("piece \(number)\n".utf8)) }
            reply.end()
        case "/large": reply.send(status: 200, body: [UInt8](repeating: 0x61, count: 8 << 20))
        case "/later":
            let reply = reply
            Task { reply.send(status: 202, body: []) }
        case "/dropped": break
        case "/slow":
            reply.begin(status: 200)
            reply.write(Array("begun ".utf8))
            request.loop.schedule(after: .seconds(8)) {
                reply.write(Array("and done".utf8))
                reply.end()
            }
        case let path where path.hasPrefix("/size/"):
            let count = Int(path.dropFirst(6)) ?? 0
            Task { reply.send(status: 200, body: [UInt8](repeating: 0x62, count: count)) }
        default:
            let text =
                "\(request.method) \(request.target.count) \(request.header("x-test") ?? "-") \(request.body.count)"
            reply.send(
                status: 200, headers: [HTTPHeader("x-loop", request.loop.name)], body: Array(text.utf8))
        }
    }
}

/// Sends every message back, and keeps what it heard.
final class Recorder: WebSocketDelegate {
    enum Heard: Equatable, Sendable { case open, message([UInt8]), pong, closed(String) }
    private let heard = Guarded<[Heard]>([])
    let echoes: Bool
    init(echoes: Bool) { self.echoes = echoes }

    var all: [Heard] { heard.withLock { $0 } }
    private func note(_ item: Heard) { heard.withLock { $0.append(item) } }

    func didOpen(_ socket: WebSocket) { note(.open) }
    func didReceive(_ message: UnsafeRawBufferPointer, isText: Bool, on socket: WebSocket) {
        let bytes = unsafe [UInt8](message)
        note(.message(bytes))
        if echoes { socket.send(binary: bytes) }
    }
    func didReceivePong(_ payload: UnsafeRawBufferPointer, on socket: WebSocket) { note(.pong) }
    func didClose(_ reason: WebSocketCloseReason, on socket: WebSocket) { note(.closed(reason.text)) }
}

private final class EchoSockets: WebSocketAcceptor {
    func accept(_ request: HTTPServerRequest) -> (any WebSocketDelegate)? { Recorder(echoes: true) }
}

/// Files that live as long as the test.
private struct ServerFiles {
    let settings: TLSServerSettings
    let authorityFile: String

    init() throws {
        let directory = try TemporaryFolder()
        let authority = try CertificateAuthority.create(commonName: "test")
        let server = try authority.issue(commonName: "server", hosts: ["127.0.0.1", "localhost"])
        authorityFile = try directory.write("ca.pem", authority.credential.certificatePEM)
        settings = TLSServerSettings(
            certificateFile: try directory.write("server.pem", server.certificatePEM),
            keyFile: try directory.write("server.key", server.keyPEM))
    }
}

@Suite(.serialized) struct ServerAndClientTests {
    private func withServer(
        tls: Bool, loops count: Int = 1,
        _ body: (HTTPServer, String, TLSClientSettings, EventLoop) async throws -> Void
    ) async throws {
        let files = try ServerFiles()
        let loops = try (0..<count).map { try EventLoop(name: "loop \($0)") }
        var configuration = HTTPServerConfiguration(tls: tls ? files.settings : nil)
        configuration.maximumBodyBytes = 1 << 20
        let server = try HTTPServer(
            configuration, loops: loops, handler: Echo(), webSockets: ["/echo": EchoSockets()])
        let trust = TLSClientSettings(authorityFile: files.authorityFile)
        try await body(server, "http\(tls ? "s" : "")://127.0.0.1:\(server.port)", trust, loops[0])
        server.stop()
        for loop in loops { loop.stop() }
    }

    @Test(arguments: [false, true])
    func `requests of every method arrive whole and are answered`(tls: Bool) async throws {
        try await withServer(tls: tls, loops: 2) { _, base, trust, _ in
            let client = try HTTPClient()
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
                var request = HTTPClientRequest(
                    method: method, url: base + "/x?a=1", headers: [HTTPHeader("x-test", "yes")], tls: trust)
                if method != "GET" { request.body = [UInt8](repeating: 1, count: 100_000) }
                let answer = try await client.send(request)
                #expect(answer.status == 200)
                #expect(
                    String(decoding: answer.body, as: UTF8.self)
                        == "\(method) 6 yes \(method == "GET" ? 0 : 100_000)")
            }
            let long = try await client.send(
                HTTPClientRequest(url: base + "/x?" + String(repeating: "a=b&", count: 15_000), tls: trust))
            #expect(String(decoding: long.body, as: UTF8.self) == "GET 60003 - 0")
        }
    }

    @Test(arguments: [false, true])
    func `pieces, large answers and late answers come through`(tls: Bool) async throws {
        try await withServer(tls: tls) { _, base, trust, _ in
            let client = try HTTPClient()
            let pieces = try await client.send(HTTPClientRequest(url: base + "/stream", tls: trust))
            #expect(String(decoding: pieces.body, as: UTF8.self) == "piece 0\npiece 1\npiece 2\n")
            let large = try await client.send(HTTPClientRequest(url: base + "/large", tls: trust))
            #expect(large.body.count == 8 << 20)
            #expect(try await client.send(HTTPClientRequest(url: base + "/later", tls: trust)).status == 202)
            await #expect(throws: TransportError.self) {
                try await client.send(HTTPClientRequest(url: base + "/dropped", tls: trust))
            }
        }
    }

    /// A body just over 64 KiB once stayed half in libwebsockets' own buffer until the client gave up.
    @Test(arguments: [false, true])
    func `answers of every size around the library's buffer arrive whole`(tls: Bool) async throws {
        try await withServer(tls: tls) { _, base, trust, _ in
            let client = try HTTPClient()
            for count in [1, 49_000, 65_000, 65_536, 70_000, 72_706, 98_304, 131_200, 300_000] {
                for connection in ["keep-alive", "close"] {
                    let request = HTTPClientRequest(
                        url: base + "/size/\(count)", headers: [HTTPHeader("connection", connection)],
                        tls: trust)
                    #expect(try await client.send(request).body.count == count)
                }
            }
        }
    }

    /// libwebsockets would close an accepted TLS connection 5 s after it began, in the midst of this answer of 8 s.
    @Test func `a TLS connection outlives the time allowed for its handshake`() async throws {
        try await withServer(tls: true) { server, base, trust, _ in
            let client = try HTTPClient()
            let answer = try await client.send(HTTPClientRequest(url: base + "/slow", tls: trust))
            #expect(String(decoding: answer.body, as: UTF8.self) == "begun and done")
            #expect(server.connectionCount == 1)
        }
    }

    @Test func `too much is refused with a status`() async throws {
        try await withServer(tls: false) { server, base, _, _ in
            let client = try HTTPClient()
            let long = HTTPClientRequest(url: base + "/?" + String(repeating: "x", count: 100 << 10))
            #expect(try await client.send(long).status == 431)
            var heavy = HTTPClientRequest(method: "POST", url: base + "/")
            heavy.body = [UInt8](repeating: 0, count: 2 << 20)
            #expect(try await client.send(heavy).status == 413)
            #expect(server.refusedRequests >= 2)
            #expect(try await client.send(HTTPClientRequest(url: base + "/")).status == 200)
        }
    }

    @Test func `a port in use is named`() async throws {
        try await withServer(tls: false) { server, _, _, loop in
            let error = #expect(throws: TransportError.self) {
                try HTTPServer(HTTPServerConfiguration(port: server.port), loops: [loop], handler: Echo())
            }
            #expect(error?.message == "cannot listen on 127.0.0.1:\(server.port): Address already in use")
        }
    }

    @Test(arguments: [false, true])
    func `WebSocket messages of all sizes go both ways`(tls: Bool) async throws {
        try await withServer(tls: tls) { _, base, trust, loop in
            let recorder = Recorder(echoes: false)
            let socket = try WebSocket.connect(
                "ws\(base.dropFirst(4))/echo", on: loop, tls: trust, delegate: recorder)
            try await eventually { recorder.all.first == .open }
            let sizes = [0, 1, 125, 126, 65_535, 65_536, 1 << 20]
            for size in sizes { socket.send(binary: [UInt8](repeating: 7, count: size)) }
            socket.ping()
            try await eventually { recorder.all.count == sizes.count + 2 }
            let counts = recorder.all.compactMap {
                if case .message(let bytes) = $0 { bytes.count } else { nil }
            }
            #expect(counts == sizes)
            #expect(recorder.all.contains(.pong))
            socket.close()
            try await eventually { if case .closed = recorder.all.last { true } else { false } }
        }
    }

    @Test func `a connection that cannot be made says why`() async throws {
        try await withServer(tls: true) { server, _, _, loop in
            for url in ["wss://127.0.0.1:1/", "wss://127.0.0.1:\(server.port)/nothing"] {
                let recorder = Recorder(echoes: false)
                try WebSocket.connect(url, on: loop, delegate: recorder)
                try await eventually { if case .closed = recorder.all.last { true } else { false } }
                #expect(recorder.all.count == 1)
            }
        }
    }
}
