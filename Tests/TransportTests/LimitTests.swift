import Glibc
import Telemetry
import Testing

@testable import Transport

/// Answers `/large` with many bytes and everything else with few.
private final class Answerer: HTTPRequestHandler {
    static let largeCount = 4 << 20

    func handle(_ request: HTTPServerRequest, _ reply: HTTPReply) {
        let count = request.path == "/large" ? Self.largeCount : 2
        reply.send(status: 200, body: [UInt8](repeating: 0x61, count: count))
    }
}

private func withServer(
    _ change: (inout HTTPServerConfiguration) -> Void = { _ in }, _ body: (HTTPServer) async throws -> Void
) async throws {
    let loop = try EventLoop(name: "server")
    defer { loop.stop() }
    var configuration = HTTPServerConfiguration()
    change(&configuration)
    let server = try HTTPServer(configuration, loops: [loop], handler: Answerer())
    defer { server.stop() }
    try await body(server)
}

private let small = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

@Suite struct LimitTests {
    @Test func `a body that trickles in is cut off by the time of its request`() async throws {
        try await withServer {
            $0.requestTimeout = .milliseconds(100)
            $0.maximumBodyBytes = 1 << 30
        } _: { server in
            let peer = try RawPeer(port: server.port)
            peer.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
            try await eventually {
                peer.send([0x61])
                return server.refusals.count(of: .slowSender) == 1
            }
            try await eventually { server.connectionCount == 0 }
        }
    }

    @Test(arguments: [
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n", 413),
        ("GET / HTTP/1.1\r\nHost: x\r\nX: \(String(repeating: "a", count: 200 << 10))", 431),
    ])
    func `a peer that is still sending when it is refused sees the answer`(head: String, status: Int)
        async throws
    {
        try await withServer { server in
            let peer = try RawPeer(port: server.port)
            peer.send(head)
            try await eventually { server.refusedRequests == 1 }
            for _ in 0..<32 { peer.send([UInt8](repeating: 0x61, count: 64 << 10)) }
            #expect(peer.read().hasPrefix("HTTP/1.1 \(status)"))
        }
    }

    @Test func `a peer that does not stop sending, or does not close, is cut off after its refusal`()
        async throws
    {
        try await withServer { server in
            let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n"
            let sender = try RawPeer(port: server.port)
            sender.send(head)
            try await eventually { server.connectionCount == 1 && server.refusedRequests == 1 }
            try await eventually {
                sender.send([UInt8](repeating: 0x61, count: 64 << 10))
                return server.connectionCount == 0
            }
            let silent = try RawPeer(port: server.port)
            silent.send(head)
            #expect(silent.read().hasPrefix("HTTP/1.1 413"))
            #expect(server.connectionCount == 1, "our side is closed, the peer's is not")
            try await eventually { server.connectionCount == 0 }
        }
    }

    @Test func `one client cannot take all connections`() async throws {
        try await withServer {
            $0.maximumConnectionsPerClient = 2
        } _: { server in
            do {
                let first = try RawPeer(port: server.port)
                let second = try RawPeer(port: server.port)
                try await eventually { server.connectionCount == 2 }
                let third = try RawPeer(port: server.port)
                #expect(third.read().isEmpty)
                #expect(server.refusals.count(of: .clientConnections) == 1)
                first.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(first.read { $0.hasSuffix("aa") }.hasPrefix("HTTP/1.1 200"))
                second.send(small)
                #expect(second.read().hasSuffix("aa"))
            }
            try await eventually { server.connectionCount == 0 }
            let later = try RawPeer(port: server.port)
            later.send(small)
            #expect(later.read().hasSuffix("aa"))
        }
    }

    @Test func `what is kept of unfinished requests is bounded, and given back`() async throws {
        try await withServer {
            $0.maximumHeldBytes = 1 << 20
        } _: { server in
            let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 700000\r\n\r\n"
            let part = [UInt8](repeating: 0x61, count: 600_000)
            do {
                let first = try RawPeer(port: server.port)
                first.send(Array(head.utf8) + part)
                try await eventually { server.heldBytes >= part.count }
                let second = try RawPeer(port: server.port)
                second.send(Array(head.utf8) + part)
                try await eventually { server.refusals.count(of: .memory) == 1 }
                // What was refused is not kept, although its peer is still there.
                try await eventually { server.heldBytes < part.count + 1000 }
                #expect(server.connectionCount == 2)
                let third = try RawPeer(port: server.port)
                third.send(small)
                #expect(third.read().hasSuffix("aa"))
                #expect(second.read().hasPrefix("HTTP/1.1 503"))
                first.send([UInt8](repeating: 0x61, count: 100_000))
                #expect(first.read { $0.hasSuffix("aa") }.hasPrefix("HTTP/1.1 200"))
            }
            try await eventually { server.heldBytes == 0 }
        }
    }

    @Test func `large answers are refused while slow readers keep too much, small ones are not`() async throws
    {
        try await withServer {
            $0.maximumHeldBytes = 6 << 20
        } _: { server in
            do {
                let slow = try RawPeer(port: server.port, receiveBuffer: 65_536)
                slow.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
                let other = try RawPeer(port: server.port, receiveBuffer: 65_536)
                other.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
                try await eventually { server.refusals.count(of: .memory) == 1 }
                let third = try RawPeer(port: server.port)
                third.send(small)
                #expect(third.read().hasSuffix("aa"))
                let taken = slow.read { $0.count > Answerer.largeCount }
                let told = other.read { $0.contains("try again") || $0.count > Answerer.largeCount }
                #expect([taken, told].count { $0.hasPrefix("HTTP/1.1 503") } == 1)
            }
            try await eventually { server.heldBytes == 0 }
        }
    }

    @Test func `a reader that takes nothing for too long is cut off`() async throws {
        try await withServer {
            $0.writeTimeout = .milliseconds(100)
        } _: { server in
            let slow = try RawPeer(port: server.port, receiveBuffer: 65_536)
            slow.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\nGET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            try await eventually { server.refusals.count(of: .slowReader) == 1 }
            try await eventually { server.connectionCount == 0 }
            #expect(server.heldBytes == 0)
        }
    }

    @Test func `each limit writes one line a minute, with what happened since`() {
        let refusals = HTTPRefusals()
        let start = ContinuousClock.now
        let counts = [0, 1, 59, 60, 61].map { refusals.take(.connections, now: start + .seconds($0)) }
        #expect(counts == [1, nil, nil, 3, nil])
        #expect(refusals.take(.slowReader, now: start) == 1)
        #expect(refusals.count(of: .connections) == 5)
    }
}

@Suite struct CertificateTests {
    private struct Site {
        let folder: TemporaryFolder
        let authority: TLSClientSettings
        let settings: TLSServerSettings

        init() throws {
            folder = try TemporaryFolder()
            let authority = try CertificateAuthority.create(commonName: "test")
            let server = try authority.issue(commonName: "server", hosts: ["127.0.0.1"])
            self.authority = TLSClientSettings(
                authorityFile: try folder.write("ca.pem", authority.credential.certificatePEM))
            settings = TLSServerSettings(
                certificateFile: try folder.write("server.pem", server.certificatePEM),
                keyFile: try folder.write("server.key", server.keyPEM))
        }
    }

    @Test func `a new certificate is for new connections, open ones go on`() async throws {
        let (old, new) = (try Site(), try Site())
        try await withServer {
            $0.tls = old.settings
        } _: { server in
            let url = "https://127.0.0.1:\(server.port)/"
            let open = try HTTPClient()
            #expect(try await open.send(HTTPClientRequest(url: url, tls: old.authority)).status == 200)
            server.use(try TLSServerContext(new.settings))
            // The connection is kept: a new one could not trust what it sees.
            #expect(try await open.send(HTTPClientRequest(url: url, tls: old.authority)).status == 200)
            #expect(
                try await HTTPClient().send(HTTPClientRequest(url: url, tls: new.authority)).status == 200)
            await #expect(throws: TransportError.self) {
                try await HTTPClient().send(HTTPClientRequest(url: url, tls: old.authority))
            }
        }
    }

    @Test func `files that do not fit each other are refused, and the certificate's end is known`() throws {
        let (one, other) = (try Site(), try Site())
        var mixed = one.settings
        mixed.keyFile = other.settings.keyFile
        #expect(throws: TransportError.self) { try TLSServerContext(mixed) }
        mixed.keyFile = "/nowhere"
        #expect(throws: TransportError.self) { try TLSServerContext(mixed) }
        let expiry = try TLSServerContext(one.settings).expiry
        let years = (expiry - time(nil)) / (365 * 86_400)
        #expect(years == 9 || years == 10)
    }

    @Test func `a peer that does not shake hands is dropped`() async throws {
        let site = try Site()
        try await withServer {
            $0.tls = site.settings
            $0.requestTimeout = .milliseconds(100)
        } _: { server in
            let silent = try RawPeer(port: server.port)
            #expect(silent.read().isEmpty)
            let plain = try RawPeer(port: server.port)
            plain.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(!plain.read().contains("HTTP/1.1"))
            try await eventually { server.connectionCount == 0 }
            #expect(server.refusals.count(of: .slowSender) == 1)
        }
    }
}
