import Glibc
import Testing

@testable import Transport

/// Says where the request came from.
private final class Mirror: HTTPRequestHandler {
    func handle(_ request: HTTPServerRequest, _ reply: HTTPReply) {
        reply.send(status: 200, body: Array(request.remoteAddress.utf8))
    }
}

/// Whether the machine has IPv6, if only for itself.
private let hasIPv6: Bool = {
    guard let (descriptor, _) = OpenListener.open(host: "::1", port: 0) else { return false }
    close(descriptor)
    return true
}()

@Suite struct IPv6Tests {
    @Test(
        .enabled(if: hasIPv6, "this machine has no IPv6"),
        arguments: [
            ("::1", "[::1]", "::1"), ("::", "[::1]", "::1"), ("::", "127.0.0.1", "127.0.0.1"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ])
    func `a server is reached over both families and knows its clients`(
        listensOn: String, dialled: String, seen: String
    ) async throws {
        let loop = try EventLoop(name: "server")
        defer { loop.stop() }
        let server = try HTTPServer(
            HTTPServerConfiguration(host: listensOn), loops: [loop], handler: Mirror(),
            webSockets: ["/ws": Echoing()])
        defer { server.stop() }
        let client = try HTTPClient()
        let answer = try await client.send(HTTPClientRequest(url: "http://\(dialled):\(server.port)/"))
        #expect(String(decoding: answer.body, as: UTF8.self) == seen)
        let recorder = Recorder(echoes: false)
        try WebSocket.connect("ws://\(dialled):\(server.port)/ws", on: loop, delegate: recorder)
        try await eventually { recorder.all.contains { if case .open = $0 { true } else { false } } }
    }

    @Test(
        .enabled(if: hasIPv6, "this machine has no IPv6"),
        arguments: [("::1", true), ("127.0.0.1", false), ("localhost", false)])
    func `the certificate of an address in brackets must be for it`(name: String, isTrusted: Bool)
        async throws
    {
        let loop = try EventLoop(name: "server")
        defer { loop.stop() }
        let directory = try TemporaryFolder()
        let authority = try CertificateAuthority.create(commonName: "test")
        let issued = try authority.issue(commonName: "server", hosts: [name])
        var configuration = HTTPServerConfiguration(host: "::1")
        configuration.tls = TLSServerSettings(
            certificateFile: try directory.write("server.pem", issued.certificatePEM),
            keyFile: try directory.write("server.key", issued.keyPEM))
        let server = try HTTPServer(
            configuration, loops: [loop], handler: Mirror(), webSockets: ["/ws": Echoing()])
        defer { server.stop() }
        let file = try directory.write("ca.pem", authority.credential.certificatePEM)
        let recorder = Recorder(echoes: false)
        try WebSocket.connect(
            "wss://[::1]:\(server.port)/ws", on: loop, tls: TLSClientSettings(authorityFile: file),
            delegate: recorder)
        try await eventually { !recorder.all.isEmpty }
        #expect((recorder.all.first == .open) == isTrusted, "\(recorder.all)")
    }

    @Test func `a host that no certificate can be checked for is refused`() async throws {
        let loop = try EventLoop(name: "client")
        defer { loop.stop() }
        let recorder = Recorder(echoes: false)
        try WebSocket.connect("wss://127.1:9/", on: loop, delegate: recorder)
        try await eventually { !recorder.all.isEmpty }
        #expect(recorder.all == [.closed("127.1:9: no certificate can be checked for '127.1'")])
    }

    @Test(.enabled(if: hasIPv6, "this machine has no IPv6"))
    func `an address that cannot be used is named with its brackets`() throws {
        let loop = try EventLoop(name: "server")
        defer { loop.stop() }
        let error = #expect(throws: TransportError.self) {
            try HTTPServer(
                HTTPServerConfiguration(host: "2001:db8::1", port: 1), loops: [loop], handler: Mirror())
        }
        #expect(error?.message == "cannot listen on [2001:db8::1]:1: Cannot assign requested address")
    }

    @Test func `a network of 64 bits is one client`() throws {
        let loop = try EventLoop(name: "server")
        defer { loop.stop() }
        var limits = HTTPServerConfiguration()
        limits.maximumConnectionsPerClient = 2
        let server = try HTTPServer(limits, loops: [loop], handler: Mirror())
        defer { server.stop() }
        var connections = HTTPConnections()
        func add(_ address: String) -> HTTPRefusal? {
            let connection = HTTPServerConnection(server: server, loop: loop, remoteAddress: address)
            return connections.add(connection, on: loop, limits: limits)
        }
        #expect(add("2001:db8::1") == nil)
        #expect(add("2001:db8::2") == nil)
        #expect(add("2001:db8:0:0:ffff::3") == .clientConnections)
        #expect(add("2001:db8:0:1::1") == nil)
        #expect(add("10.0.0.1") == nil)
        #expect(add("10.0.0.1") == nil)
        #expect(add("10.0.0.1") == .clientConnections)
        #expect(add("10.0.0.2") == nil)
    }

    @Test(arguments: [
        ("10.0.0.1", "10.0.0.1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::", "::"),
    ])
    func `addresses are written as people write them`(text: String, written: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.text == written)
        #expect(SocketAddress(address, port: 8080).address == address)
        #expect(SocketAddress(address, port: 8080).port == 8080)
        #expect(!address.isLoopback)
    }

    @Test func `hosts stand in URLs with brackets where they need them`() {
        #expect(IPAddress.authority("::1", 80) == "[::1]:80")
        #expect(IPAddress.authority("[::1]", 80) == "[::1]:80")
        #expect(IPAddress.authority("127.0.0.1", 80) == "127.0.0.1:80")
        #expect(IPAddress.authority("localhost", 80) == "localhost:80")
    }

    @Test(arguments: [
        ("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("::1", "::1"), ("192.0.2.7", "192.0.2.7"),
        ("localhost", "localhost"),
    ])
    func `who listens everywhere is reached on loopback`(host: String, reached: String) {
        #expect(IPAddress.reachable(host) == reached)
    }
}

private final class Echoing: WebSocketAcceptor {
    func accept(_ request: HTTPServerRequest) -> (any WebSocketDelegate)? { Recorder(echoes: true) }
}
