import Transport

/// An answer to a REST request.
struct RESTReply {
    var status = 200
    var headers: [(name: String, value: String)] = [("content-type", "application/json;charset=UTF-8")]
    var body: [UInt8]
    /// How long the answer is held back.
    var delayMilliseconds = 0

    static func error(_ status: Int, _ code: Int, _ message: String) -> RESTReply {
        var writer = ByteWriter(capacity: 256)
        writer.literal("{\"code\":")
        writer.integer(Int64(code))
        writer.literal(",\"msg\":")
        writer.string(message)
        writer.literal("}")
        return RESTReply(status: status, body: writer.bytes)
    }

    func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }
}

/// The budget of request weight that one or two exchanges draw from.
final class WeightPool {
    var meter: WeightMeter
    init(limit: Int) { meter = WeightMeter(limit: limit) }
}

/// Answers the REST requests of one exchange.
final class RESTService {
    private let engine: ExchangeEngine
    private let pool: WeightPool
    private var kind: MarketKind { engine.exchange.kind }

    var usedWeight: Int { pool.meter.used }
    /// The limits of the first thousand snapshots that were given, by symbol.
    private(set) var givenSnapshots: [String: [Int]] = [:]
    var refusalCount: Int { pool.meter.refusalCount }

    init(_ engine: ExchangeEngine, pool: WeightPool) {
        self.engine = engine
        self.pool = pool
    }

    /// Answers `GET path?query`, where `path` begins after the exchange's name.
    func answer(_ path: String, _ query: QueryString, at microseconds: Int64) -> RESTReply {
        var reply = undated(path, query, at: microseconds)
        // Clients read the exchange's minute from it.
        reply.headers.append(("date", HTTPDate.text(seconds: microseconds / 1_000_000)))
        return reply
    }

    private func undated(_ path: String, _ query: QueryString, at microseconds: Int64) -> RESTReply {
        if let forced = forcedReply(at: microseconds) { return forced }
        guard path.hasPrefix(kind.restPrefix + "/") else { return other(path, at: microseconds) }
        let name = path.dropFirst(kind.restPrefix.utf8.count + 1)
        switch name {
        case "ping", "time":
            return charged(1, at: microseconds) {
                name == "ping"
                    ? RESTReply(body: Array("{}".utf8))
                    : RESTReply(body: Array("{\"serverTime\":\(microseconds / 1000)}".utf8))
            }
        case "exchangeInfo":
            return charged(kind.exchangeInfoWeight, at: microseconds) {
                self.exchangeInfo(query, at: microseconds)
            }
        case "depth":
            return depth(query, at: microseconds)
        default: return .error(404, -1000, "Unknown path: \(path)")
        }
    }

    private func other(_ path: String, at microseconds: Int64) -> RESTReply {
        guard engine.exchange.name == "trbinance.com" else {
            return .error(404, -1000, "Unknown path: \(path)")
        }
        switch path {
        case "/open/v1/common/time":
            return RESTReply(
                body: Array("{\"code\":0,\"msg\":\"success\",\"timestamp\":\(microseconds / 1000)}".utf8))
        case "/open/v1/common/symbols":
            return RESTReply(body: ExchangeInfoWriter(engine).turkishSymbols(at: microseconds / 1000))
        default: return .error(404, -1000, "Unknown path: \(path)")
        }
    }

    private func forcedReply(at microseconds: Int64) -> RESTReply? {
        guard let forced = engine.forcedStatus else { return nil }
        guard forced.until > microseconds, forced.count > 0 else {
            engine.forcedStatus = nil
            return nil
        }
        engine.forcedStatus?.count -= 1
        guard forced.status != 503 else { return .error(503, -1016, "This service is no longer available.") }
        let seconds = max(1, (forced.until - microseconds + 999_999) / 1_000_000)
        return refusal(forced.status, seconds: Int(seconds), until: forced.until / 1000)
    }

    private func refusal(_ status: Int, seconds: Int, until: Int64) -> RESTReply {
        var reply = RESTReply.error(
            status, -1003,
            status == 418
                ? "Way too much request weight used; IP banned until \(until). Please use WebSocket Streams for live updates to avoid bans."
                : "Too much request weight used; current limit is \(pool.meter.limit) request weight per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API."
        )
        reply.headers.append(("retry-after", String(seconds)))
        return reply
    }

    private func charged(_ weight: Int, at microseconds: Int64, _ body: () -> RESTReply) -> RESTReply {
        var reply: RESTReply
        switch pool.meter.charge(weight, at: microseconds / 1000) {
        case .allowed: reply = body()
        case .limited(_, let seconds): reply = refusal(429, seconds: seconds, until: 0)
        case .banned(let until, let seconds): reply = refusal(418, seconds: seconds, until: until)
        }
        let used = String(pool.meter.used)
        if kind == .spot { reply.headers.append(("x-mbx-used-weight", used)) }
        reply.headers.append(("x-mbx-used-weight-1m", used))
        return reply
    }

    private func depth(_ query: QueryString, at microseconds: Int64) -> RESTReply {
        var limit = kind.defaultSnapshotLimit
        if let text = query["limit"] {
            guard let value = Int(text), value > 0, text.utf8.allSatisfy({ (48...57).contains($0) }) else {
                return charged(1, at: microseconds) {
                    self.kind == .spot
                        ? .error(400, -1130, "Data sent for parameter 'limit' is not valid.")
                        : .error(400, -4021, "'\(text)' is not valid depth limit.")
                }
            }
            if let allowed = kind.snapshotLimits, !allowed.contains(value) {
                return charged(1, at: microseconds) {
                    .error(400, -4021, "'\(value)' is not valid depth limit.")
                }
            }
            limit = min(value, 5000)
        }
        return charged(kind.snapshotWeight(limit: limit), at: microseconds) {
            guard let symbol = query["symbol"] else {
                return .error(
                    400, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
            }
            guard let market = engine.markets[symbol] else { return .error(400, -1121, "Invalid symbol.") }
            return snapshot(market, limit: limit, at: microseconds)
        }
    }

    private func snapshot(_ market: Market, limit: Int, at microseconds: Int64) -> RESTReply {
        if givenSnapshots[market.symbol, default: []].count < 1000 {
            givenSnapshots[market.symbol, default: []].append(limit)
        }
        let snapshot = market.snapshot(limit: limit, at: microseconds)
        let milliseconds = microseconds / 1000
        var writer = ByteWriter(capacity: 64 + (snapshot.bids.count + snapshot.asks.count) * 40)
        switch kind {
        case .spot, .usdMargined, .coinMargined:
            writer.literal("{\"lastUpdateId\":")
            writer.integer(snapshot.id)
            if kind != .spot { writer.raw(",\"E\":\(milliseconds),\"T\":\(milliseconds - 3)") }
            if kind == .coinMargined {
                writer.raw(",\"symbol\":\"\(market.symbol)\",\"pair\":\"\(market.pair)\"")
            }
            writer.literal(",")
            writer.sides(snapshot, market.format)
        case .options:
            writer.literal("{")
            writer.sides(snapshot, market.format)
            writer.raw(",\"T\":\(milliseconds),\"lastUpdateId\":\(snapshot.id)")
        }
        writer.literal("}")
        var reply = RESTReply(body: writer.bytes)
        if microseconds < market.slowUntil { reply.delayMilliseconds = market.slowMilliseconds }
        return reply
    }

    private func exchangeInfo(_ query: QueryString, at microseconds: Int64) -> RESTReply {
        var wanted: [String]?
        if let symbol = query["symbol"] { wanted = [symbol] }
        if let list = query["symbols"] {
            wanted = list.split { "[],\" ".contains($0) }.map(String.init)
        }
        if kind == .spot, let missing = wanted?.first(where: { engine.markets[$0] == nil }) {
            _ = missing
            return .error(400, -1121, "Invalid symbol.")
        }
        let symbols = kind == .spot ? wanted ?? engine.symbols : engine.symbols
        return RESTReply(
            body: ExchangeInfoWriter(engine).bytes(
                symbols, weightLimit: pool.meter.limit, at: microseconds / 1000))
    }
}
