import Glibc
import Telemetry
import Testing

@testable import Transport

/// A plain blocking socket, to send what no client of ours would.
struct RawPeer: ~Copyable {
    private let descriptor: Int32

    /// With a small receive buffer, a peer that does not read is soon noticed by who sends to it.
    init(port: Int, receiveBuffer: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        if var receiveBuffer {
            unsafe setsockopt(
                descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr = in_addr(s_addr: UInt32(0x7F00_0001).bigEndian)
        let descriptor = descriptor
        let code = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(code == 0)
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { _ = Glibc.close(descriptor) }

    func send(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = unsafe rest.withUnsafeBytes {
                unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if sent < 0, errno == EINTR { continue }
            guard sent > 0 else { return }
            rest = rest.dropFirst(sent)
        }
    }

    func send(_ text: String) { send(Array(text.utf8)) }

    /// How many bytes come until the server closes.
    func readCount() -> Int {
        var all = 0
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
            // A wait with a limit ends when the process was stopped and goes on.
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return all }
            all += count
        }
    }

    /// Everything until the server closes, or until `isEnough`.
    func read(until isEnough: (String) -> Bool = { _ in false }) -> String {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
            // A wait with a limit ends when the process was stopped and goes on.
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            all += buffer[..<count]
            if isEnough(String(decoding: all, as: UTF8.self)) { break }
        }
        return String(decoding: all, as: UTF8.self)
    }
}

/// Says how long path and query were, and one header.
final class Measure: HTTPRequestHandler {
    let count = Guarded(0)
    func handle(_ request: HTTPServerRequest, _ reply: HTTPReply) {
        count.withLock { $0 += 1 }
        let site = request.header("sec-fetch-site") ?? "-"
        let words = "\(request.rawQuery.count) \(request.rawQuery.filter { $0 == 0x26 }.count) \(site)"
        reply.send(status: 200, body: Array(words.utf8))
    }
}

/// A server on a loop of its own that measures what it is asked.
struct Bench {
    let loop: EventLoop
    let handler = Measure()
    let server: HTTPServer

    init(_ change: (inout HTTPServerConfiguration) -> Void = { _ in }) throws {
        loop = try EventLoop(name: "server")
        var configuration = HTTPServerConfiguration()
        change(&configuration)
        server = try HTTPServer(configuration, loops: [loop], handler: handler)
    }

    func stop() {
        server.stop()
        loop.stop()
    }
}

@Suite struct HostilePeerTests {
    @Test func `a query of 60 KiB and hundreds of arguments reach the handler`() throws {
        let bench = try Bench()
        defer { bench.stop() }
        let peer = try RawPeer(port: bench.server.port)
        peer.send("GET /?\(String(repeating: "a", count: 60 << 10)) HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(peer.read { $0.hasSuffix("61440 0 -") }.hasPrefix("HTTP/1.1 200"))
        let arguments = (0..<500).map { "a\($0)=\($0)" }.joined(separator: "&")
        peer.send(
            "GET /?\(arguments) HTTP/1.1\r\nHost: x\r\nSEC-Fetch-Site:  cross-site \r\nConnection: close\r\n\r\n"
        )
        #expect(peer.read().hasSuffix("\(arguments.utf8.count) 499 cross-site"))
    }

    @Test func `tens of thousands of requests in one go are answered in order`() async throws {
        let bench = try Bench()
        defer { bench.stop() }
        let peer = try RawPeer(port: bench.server.port)
        let number = 40_000
        let port = bench.server.port
        let reader = Task.detached {
            let peer = try RawPeer(port: port)
            let one = Array("GET /?a HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
            peer.send((0..<2_000).flatMap { _ in one })
            peer.send("GET /?last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return peer.read()
        }
        // This one sends and never reads: it must be bounded and must not disturb the other.
        let flood = Array("GET /?b HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
        peer.send((0..<number / 8).flatMap { _ in flood })
        let text = try await reader.value
        #expect(text.split(separator: "HTTP/1.1 200 OK").count == 2_001)
        #expect(text.hasSuffix("4 0 -"))
    }

    @Test(arguments: [
        "\u{16}\u{03}\u{01}\u{02}\u{00}\u{01}\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9\r\n\r\n",
        "G\u{0}T / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        " / HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-length: 5\r\n\r\nabcde",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\nabc",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\rGET /x HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /\r HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nhost: x\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\u{1}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n folded\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\n\rContent-Length: 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: x\r\n\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n\r\r\nA: b\r\n\r\n",
    ])
    func `what is not a request is refused, counted and closed`(text: String) async throws {
        let bench = try Bench()
        defer { bench.stop() }
        let peer = try RawPeer(port: bench.server.port)
        peer.send(text)
        #expect(peer.read().hasPrefix("HTTP/1.1 400"))
        #expect(bench.server.refusedRequests == 1)
        #expect(bench.handler.count.withLock { $0 } == 0)
    }

    @Test func `a request of HTTP 1.0 needs no host`() throws {
        let bench = try Bench()
        defer { bench.stop() }
        let peer = try RawPeer(port: bench.server.port)
        peer.send("GET /?abc HTTP/1.0\r\n\r\n")
        #expect(peer.read().hasSuffix("3 0 -"))
    }

    @Test func `a head that never ends is refused once it is too large`() throws {
        let bench = try Bench()
        defer { bench.stop() }
        let peer = try RawPeer(port: bench.server.port)
        peer.send("GET / HTTP/1.1\r\nHost: x\r\nX: \(String(repeating: "a", count: 200 << 10))")
        #expect(peer.read().hasPrefix("HTTP/1.1 431"))
    }

    @Test func `a request that does not arrive whole in time is refused`() throws {
        let bench = try Bench { $0.requestTimeout = .milliseconds(100) }
        defer { bench.stop() }
        let head = try RawPeer(port: bench.server.port)
        head.send("GET / HTTP/1.1\r\nHost: x\r\n")
        let body = try RawPeer(port: bench.server.port)
        body.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        #expect(head.read().hasPrefix("HTTP/1.1 408"))
        #expect(body.read().hasPrefix("HTTP/1.1 408"))
    }

    @Test func `an idle connection is closed, and connections over the limit are closed at once`() throws {
        let bench = try Bench {
            $0.idleTimeout = .milliseconds(100)
            $0.maximumConnections = 1
        }
        defer { bench.stop() }
        let first = try RawPeer(port: bench.server.port)
        first.send("GET /?abc HTTP/1.1\r\nHost: x\r\n\r\n")
        _ = first.read { $0.hasSuffix("3 0 -") }
        let second = try RawPeer(port: bench.server.port)
        #expect(second.read().isEmpty)
        #expect(first.read().isEmpty)
    }

    @Test func `a request cut byte by byte is read`() throws {
        let bench = try Bench()
        defer { bench.stop() }
        let peer = try RawPeer(port: bench.server.port)
        for byte in Array("\r\nGET /?a&b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".utf8) {
            peer.send([byte])
        }
        #expect(peer.read().hasSuffix("3 1 -"))
    }

    @Test func `a WebSocket peer that breaks the framing is dropped`() async throws {
        let loop = try EventLoop(name: "server")
        defer { loop.stop() }
        let server = try HTTPServer(
            HTTPServerConfiguration(), loops: [loop], handler: Measure(), webSockets: ["/ws": Accepting()])
        defer { server.stop() }
        let frames: [[UInt8]] = [
            [0x81, 0x01, 0x61],  // not masked
            [0xC1, 0x80, 0, 0, 0, 0],  // a reserved bit
            [0x80, 0x80, 0, 0, 0, 0],  // a continuation of nothing
            [0x89, 0xFE, 0, 200, 0, 0, 0, 0],  // a ping that is too long
            [0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0],
        ]
        for frame in frames {
            let peer = try RawPeer(port: server.port)
            peer.send(
                "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            #expect(peer.read { $0.hasSuffix("\r\n\r\n") }.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
            peer.send(frame)
            #expect(peer.read().isEmpty)
        }
    }

    @Test func `sockets get their turn while jobs keep coming`() async throws {
        let bench = try Bench()
        defer { bench.stop() }
        let isOver = Guarded(false)
        busy(bench.loop) { isOver.withLock { $0 } }
        let peer = try RawPeer(port: bench.server.port)
        peer.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        #expect(peer.read().hasPrefix("HTTP/1.1 200"))
        isOver.withLock { $0 = true }
    }

    @Test func `a name that nobody knows is said, and the loop goes on`() async throws {
        let loop = try EventLoop(name: "client")
        defer { loop.stop() }
        let recorder = Recorder(echoes: false)
        try WebSocket.connect("ws://nobody.invalid:1/", on: loop, delegate: recorder)
        try await eventually {
            recorder.all.contains {
                if case .closed(let why) = $0 { why.contains("nobody.invalid") } else { false }
            }
        }
    }
}

/// Puts itself in the queue again and again.
private func busy(_ loop: EventLoop, until isOver: @escaping @Sendable () -> Bool) {
    loop.execute { if !isOver() { busy(loop, until: isOver) } }
}

private final class Accepting: WebSocketAcceptor {
    func accept(_ request: HTTPServerRequest) -> (any WebSocketDelegate)? { Recorder(echoes: true) }
}
