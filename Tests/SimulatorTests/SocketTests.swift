import FoundationEssentials
import Telemetry
import TestSupport
import Testing
import Transport

@testable import exchange_simulator

/// Keeps what a real WebSocket brings, for a test on another thread.
private final class Listener: WebSocketDelegate {
    struct Seen {
        var isOpen = false
        var messages: [[UInt8]] = []
        var close: WebSocketCloseReason?
    }
    let seen = Guarded(Seen())

    func didOpen(_ socket: WebSocket) { seen.withLock { $0.isOpen = true } }
    func didReceive(_ message: UnsafeRawBufferPointer, isText: Bool, on socket: WebSocket) {
        let bytes = unsafe Array(message)
        seen.withLock { $0.messages.append(bytes) }
    }
    func didClose(_ reason: WebSocketCloseReason, on socket: WebSocket) {
        seen.withLock { $0.close = reason }
    }

    var messages: [[UInt8]] { seen.withLock { $0.messages } }
    var close: WebSocketCloseReason? { seen.withLock { $0.close } }
}

/// A simulator behind a real port, with a client of each kind.
private final class Rig: Sendable {
    let port: Int
    let tls: TLSClientSettings
    let loop: EventLoop
    let http: HTTPClient
    // Safe because: written once in `init` and only stopped after the last use.
    nonisolated(unsafe) private let simulator: Simulator

    init(_ change: (inout Options) -> Void = { _ in }) throws {
        var options = Options()
        options.engine.symbolCount = 6
        options.engine.depth = 60
        options.engine.ratePerSecond = 50
        options.tlsDirectory = FileManager.default.temporaryDirectory.path + "/simulator-\(UUID().uuidString)"
        change(&options)
        let simulator = try Simulator(options)
        port = simulator.port
        tls = TLSClientSettings(authorityFile: simulator.caFile)
        unsafe self.simulator = simulator
        loop = try EventLoop(name: "client")
        http = try HTTPClient()
    }

    func stop() {
        loop.stop()
        unsafe simulator.stop()
        try? FileManager.default.removeItem(
            atPath: String((tls.authorityFile ?? "").dropLast("/ca.pem".count)))
    }

    func get(_ path: String) async throws -> (status: Int, body: [UInt8], headers: [HTTPHeader]) {
        let reply = try await http.send(
            HTTPClientRequest(method: "GET", url: "https://127.0.0.1:\(port)\(path)", tls: tls))
        return (reply.status, reply.body, reply.headers)
    }

    func connect(_ path: String, _ listener: Listener) throws -> WebSocket {
        try WebSocket.connect("wss://127.0.0.1:\(port)\(path)", on: loop, tls: tls, delegate: listener)
    }
}

@Suite(.serialized) struct SocketTests {
    @Test(arguments: [
        ("/binance.com/stream", "/binance.com/api/v3", "binance.com", "BTCUSDT", "btcusdt@depth@100ms"),
        ("/binance.com/ws", "/binance.com/api/v3", "binance.com", "ETHUSDT", "ethusdt@depth@100ms"),
        (
            "/binance.com-futures/public/stream", "/binance.com-futures/fapi/v1", "binance.com-futures",
            "BTCUSDT", "btcusdt@depth@500ms"
        ),
        (
            "/binance.com-coin_futures/stream", "/binance.com-coin_futures/dapi/v1",
            "binance.com-coin_futures",
            "BTCUSD_PERP", "btcusd_perp@depth@0ms"
        ),
        (
            "/binance.com-vanilla-options/public/ws", "/binance.com-vanilla-options/eapi/v1",
            "binance.com-vanilla-options", "BTC-301227-60000-C", "btc-301227-60000-c@depth@100ms"
        ),
    ])
    func `a client over TLS ends up with the book that truth shows`(
        _ path: String, _ rest: String, _ exchange: String, _ symbol: String, _ stream: String
    ) async throws {
        let rig = try Rig()
        defer { rig.stop() }
        let listener = Listener()
        let socket = try rig.connect(path, listener)
        try await eventually("open") { listener.seen.withLock { $0.isOpen } }
        socket.send(text: #"{"method":"SUBSCRIBE","params":["\#(stream)"],"id":1}"#)
        try await eventually("acknowledged and fed") { listener.messages.count > 2 }
        let kind = try #require(Exchange.named(exchange)).kind
        let reply = try await rig.get("\(rest)/depth?symbol=\(symbol)&limit=1000")
        #expect(reply.status == 200)
        #expect(reply.headers.value(of: "x-mbx-used-weight-1m") != nil)
        let snapshot = try NaiveClient.snapshot(reply.body)
        let enough = listener.messages.count + 8
        try await eventually("eight more frames") { listener.messages.count >= enough }
        socket.close()
        let messages = listener.messages
        #expect(String(decoding: try #require(messages.first), as: UTF8.self) == #"{"result":null,"id":1}"#)
        var client = NaiveClient(snapshot, kind: kind)
        for message in messages.dropFirst() { try client.take(NaiveClient.frame(message)) }
        #expect(client.applied > 5)
        let truth = try await rig.get("/truth?exchange=\(exchange)&symbol=\(symbol)&id=\(client.id)")
        let whole = NaiveClient(try NaiveClient.snapshot(truth.body), kind: kind)
        #expect(whole.bids == client.bids && whole.asks == client.asks)
    }

    @Test func `streams named in the address flow at once, wrapped or raw`() async throws {
        let rig = try Rig()
        defer { rig.stop() }
        let (wrapped, raw) = (Listener(), Listener())
        let sockets = [
            try rig.connect("/binance.com/stream?streams=btcusdt@depth@100ms/ethusdt@depth@100ms", wrapped),
            try rig.connect("/binance.com/ws/btcusdt@depth@100ms", raw),
        ]
        try await eventually("frames on both") { wrapped.messages.count > 3 && raw.messages.count > 3 }
        #expect(wrapped.messages.allSatisfy { $0.starts(with: Array("{\"stream\":\"".utf8)) })
        #expect(raw.messages.allSatisfy { $0.starts(with: Array("{\"e\":\"depthUpdate\"".utf8)) })
        for socket in sockets { socket.close() }
    }

    @Test func `wrong paths are refused before they are WebSockets`() async throws {
        let rig = try Rig()
        defer { rig.stop() }
        for path in ["/binance.com/wrong", "/nyse/ws"] {
            let listener = Listener()
            let socket = try rig.connect(path, listener)
            try await eventually("refused") { listener.close != nil }
            #expect(listener.close?.wasOpen == false)
            socket.close()
        }
    }

    @Test func `a client that does not know the authority, or meets another host name, does not connect`()
        async throws
    {
        let rig = try Rig()
        defer { rig.stop() }
        let stranger = try CertificateAuthority.create(commonName: "Stranger")
        for (host, tls) in [
            ("127.0.0.1", TLSClientSettings(authorityPEM: stranger.credential.certificatePEM)),
            ("127.0.0.2", rig.tls), ("127.0.0.1", TLSClientSettings(authorityFile: "/nonexistent.pem")),
        ] {
            let listener = Listener()
            try WebSocket.connect(
                "wss://\(host):\(rig.port)/binance.com/ws", on: rig.loop, tls: tls, delegate: listener)
            try await eventually("refused") { listener.close != nil }
            let words = listener.close?.text ?? ""
            #expect(listener.close?.wasOpen == false)
            #expect(words.contains("certif") || words.contains("nable to connect"), "\(words)")
        }
    }

    @Test func `disconnects, bad manners and slow snapshots reach a real client`() async throws {
        let rig = try Rig()
        defer { rig.stop() }
        let (victim, rude) = (Listener(), Listener())
        let sockets = [
            try rig.connect("/binance.com/ws/btcusdt@depth@100ms", victim),
            try rig.connect("/binance.com/ws", rude),
        ]
        try await eventually("frames") { victim.messages.count > 1 && rude.seen.withLock { $0.isOpen } }
        let reply = try await rig.get("/control?exchange=binance.com&symbol=BTCUSDT&fault=disconnect")
        #expect(reply.status == 200)
        try await eventually("victim is dropped") { victim.close != nil }
        #expect(rude.close == nil)
        for _ in 0..<12 { sockets[1].send(text: #"{"method":"LIST_SUBSCRIPTIONS","id":1}"#) }
        try await eventually("rude one is closed") { rude.close != nil }
        #expect(rude.close?.code == 1008)
        _ = try await rig.get("/control?exchange=binance.com&symbol=BTCUSDT&fault=slowsnapshot&delay=0.3")
        let start = ContinuousClock.now
        #expect(try await rig.get("/binance.com/api/v3/depth?symbol=BTCUSDT").status == 200)
        #expect(ContinuousClock.now - start >= .milliseconds(300))
    }

    @Test func `a client that reads nothing is dropped at the backlog limit`() async throws {
        let rig = try Rig {
            $0.backlogLimit = 200_000
            $0.engine.ratePerSecond = 500
            $0.engine.changesPerEvent = 50
        }
        defer { rig.stop() }
        let listener = Listener()
        let streams = ["btc", "eth", "bnb", "xrp", "sol"].map { $0 + "usdt@depth@100ms" }.joined(
            separator: "/")
        let socket = try rig.connect("/binance.com/stream?streams=" + streams, listener)
        try await eventually("open") { listener.seen.withLock { $0.isOpen } }
        socket.setReading(false)
        try await eventually("dropped") {
            let text = String(decoding: try await rig.get("/status").body, as: UTF8.self)
            return text.contains("\"connections\":0")
        }
        socket.abort("done")
    }

    @Test func `a port in use is an error that names it`() throws {
        let rig = try Rig()
        defer { rig.stop() }
        var options = Options()
        options.port = rig.port
        #expect {
            try Simulator(options)
        } throws: { "\($0)".contains(String(rig.port)) }
    }
}
