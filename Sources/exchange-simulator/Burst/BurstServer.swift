import FoundationEssentials
import Glibc
import Telemetry
import Transport

/// Sends depth events as fast as a reader takes them, or at a given pace: for measuring readers.
///
/// One spot-like exchange under `/binance.com/`. Threads and blocking sockets, because it has few clients and every
/// microsecond that an event costs here is missing there. `/burst?rate=&records=&sending=` changes the pace and answers the
/// last id of every market.
final class BurstServer: Sendable {
    let markets: BurstMarkets
    private struct State {
        var pace = BurstPace()
        var connections: [BurstConnection] = []
        /// The most events that a sender was behind its pace.
        var mostBehind = 0
    }
    private let state = Guarded(State())
    private let listener: Int32
    private let tls: TLSServerContext
    let port: Int

    init(_ options: Options, tls settings: TLSServerSettings) throws {
        markets = try BurstMarkets(options.engine)
        tls = try TLSServerContext(settings)
        state.withLock { $0.pace.rate = Double(options.engine.symbolCount) * options.engine.ratePerSecond }
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var yes: Int32 = 1
        unsafe setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(options.port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = listener
        let isBound = unsafe withUnsafeMutableBytes(of: &address) { bytes in
            guard let base = unsafe bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else {
                return false
            }
            return unsafe bind(descriptor, base, size) == 0 && listen(descriptor, 64) == 0
                && getsockname(descriptor, base, &size) == 0
        }
        guard isBound else { throw SimulatorError("cannot listen on port \(options.port)") }
        port = Int(UInt16(bigEndian: address.sin_port))
    }

    /// Serves until the process ends.
    func start() {
        BurstThread.start { self.acceptAll() }
    }

    private func acceptAll() {
        while true {
            let socket = accept(listener, nil, nil)
            guard socket >= 0 else { return }
            var yes: Int32 = 1
            unsafe setsockopt(
                socket, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
            guard let session = try? TLSServerSession(tls) else {
                _ = Glibc.close(socket)
                continue
            }
            let connection = BurstConnection(socket: socket, server: self, tls: session)
            state.withLock { $0.connections.append(connection) }
            BurstThread.start {
                connection.read()
                _ = Glibc.close(socket)
            }
        }
    }

    func forget(_ connection: BurstConnection) {
        state.withLock { $0.connections.removeAll { $0 === connection } }
    }

    /// The pace, and which part of it is the connection's.
    func pace(for connection: BurstConnection) -> (BurstPace, share: Double) {
        let (pace, all) = state.withLock { ($0.pace, $0.connections) }
        let total = all.reduce(0) { $0 + $1.streamCount }
        return (pace, Double(connection.streamCount) / Double(max(1, total)))
    }

    func noteBehind(_ events: Int) { state.withLock { $0.mostBehind = max($0.mostBehind, events) } }

    // MARK: Requests

    /// Answers a request by its head; the second value says whether a WebSocket follows.
    func answer(_ head: String) -> (bytes: [UInt8], upgrades: Bool) {
        let lines = head.split(separator: "\r\n")
        let target = lines.first?.split(separator: " ").dropFirst().first ?? "/"
        let parts = target.split(separator: "?", maxSplits: 1)
        let path = String(parts.first ?? "/")
        let query = QueryString(parts.count > 1 ? String(parts[1]) : "")
        let key = lines.first { $0.lowercased().hasPrefix("sec-websocket-key:") }
        if path == "/binance.com/stream", let key = key?.split(separator: ":").last {
            return (WebSocketHandshake.answer(to: String(key.drop { $0 == " " })), true)
        }
        let (status, body) = reply(path, query)
        let answer =
            "HTTP/1.1 \(status) \(status == 200 ? "OK" : "Bad Request")\r\nContent-Type: application/json\r\nContent-Length: \(body.count)\r\n\r\n"
        return (Array(answer.utf8) + body, false)
    }

    private func reply(_ path: String, _ query: QueryString) -> (Int, [UInt8]) {
        switch path {
        case "/binance.com/api/v3/depth":
            guard let market = markets[query["symbol"] ?? ""] else { break }
            let limit = query["limit"].flatMap { Int($0) } ?? 100
            return (200, market.withLock { $0.snapshot(limit: limit) })
        case "/binance.com/api/v3/time":
            return (200, Array("{\"serverTime\":\(BurstMarkets.milliseconds)}".utf8))
        case "/binance.com/api/v3/exchangeInfo": return (200, markets.list)
        case "/burst":
            let most = state.withLock { state in
                let most = state.mostBehind
                guard !query.items.isEmpty else { return most }
                if let rate = query["rate"].flatMap({ Double($0) }) { state.pace.rate = rate }
                if let records = query["records"] { state.pace.isOneRecordPerFrame = records == "single" }
                if let sending = query["sending"] { state.pace.isSending = sending == "yes" }
                state.pace.version += 1
                state.mostBehind = 0
                return most
            }
            return (200, Array("{\"behind\":\(most),\"ids\":".utf8) + markets.lastIDs + Array("}".utf8))
        default: break
        }
        return (400, Array("{\"code\":-1121,\"msg\":\"Invalid symbol.\"}".utf8))
    }
}
