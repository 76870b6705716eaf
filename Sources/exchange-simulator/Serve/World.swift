/// All exchanges behind one port, still without sockets: requests in, replies out.
final class World {
    /// One exchange with everything that is connected to it.
    final class Venue {
        let engine: ExchangeEngine
        let rest: RESTService
        var sessions: [ObjectIdentifier: StreamSession] = [:]
        var attempts: RateMeter
        var requestCount = 0
        var acceptCount = 0

        init(_ engine: ExchangeEngine, _ pool: WeightPool, attemptLimit: Int) {
            self.engine = engine
            rest = RESTService(engine, pool: pool)
            attempts = RateMeter(limit: attemptLimit, intervalMicroseconds: 300_000_000)
        }
    }

    private let options: Options
    private let recordings: [Recording]
    private var venues: [String: Venue] = [:]
    private var pools: [String: WeightPool] = [:]
    private var nextKeepAlive: Int64 = 0

    init(_ options: Options, recordings: [Recording]) {
        self.options = options
        self.recordings = recordings
    }

    /// The exchange of that name or alias, made when it is first asked for.
    func venue(_ name: String) -> Venue? {
        guard let exchange = Exchange.named(name) else { return nil }
        if let venue = venues[exchange.name] { return venue }
        let limit = options.engine.weightLimit ?? exchange.weightPerMinute
        let pool = pools[exchange.pool] ?? WeightPool(limit: limit)
        pools[exchange.pool] = pool
        let engine = ExchangeEngine(exchange, settings: options.engine, recordings: recordings)
        let venue = Venue(engine, pool, attemptLimit: options.attemptLimit)
        venues[exchange.name] = venue
        return venue
    }

    /// How many markets have events, on all exchanges.
    var marketsUnderWay: Int { venues.values.reduce(0) { $0 + $1.engine.marketsUnderWay } }

    /// Lets everything happen that is due.
    func tick(at microseconds: Int64) {
        for venue in venues.values { venue.engine.tick(at: microseconds) }
        guard microseconds >= nextKeepAlive else { return }
        nextKeepAlive = microseconds + 500_000
        for venue in venues.values {
            for session in venue.sessions.values { session.keepAlive(at: microseconds) }
        }
    }

    private static func split(_ path: String) -> (exchange: String, rest: String) {
        let tail = path.dropFirst()
        guard let slash = tail.firstIndex(of: "/") else { return (String(tail), "/") }
        return (String(tail[..<slash]), String(tail[slash...]))
    }

    static func failure(_ status: Int, _ words: String) -> RESTReply {
        var writer = ByteWriter(capacity: 200)
        writer.literal("{\"error\":")
        writer.string(words)
        writer.literal("}")
        return RESTReply(status: status, body: writer.bytes)
    }

    /// Answers a GET request.
    func answer(_ path: String, _ query: QueryString, at microseconds: Int64) -> RESTReply {
        switch path {
        case "/truth": return truth(query)
        case "/control": return control(query, at: microseconds)
        case "/status": return status()
        case "/snapshots": return snapshots()
        case "/healthz", "/readyz": return RESTReply(body: Array("ok\n".utf8))
        default: break
        }
        let (name, rest) = Self.split(path)
        guard let venue = venue(name) else {
            return Self.failure(
                404, "no exchange '\(name)'; paths are /<exchange>/..., /truth, /control, /status, /snapshots"
            )
        }
        venue.requestCount += 1
        return venue.rest.answer(rest, query, at: microseconds)
    }

    private func truth(_ query: QueryString) -> RESTReply {
        guard let name = query["exchange"] else {
            return Self.failure(400, "parameter 'exchange' is required")
        }
        guard let venue = venue(name) else { return Self.failure(404, "unknown exchange '\(name)'") }
        guard let symbol = query["symbol"] else { return Self.failure(400, "parameter 'symbol' is required") }
        guard let market = venue.engine.markets[symbol.uppercased()] else {
            return Self.failure(404, "unknown symbol '\(symbol)' of \(name)")
        }
        var id: Int64?
        if let text = query["id"] {
            guard let value = Int64(text) else {
                return Self.failure(400, "parameter 'id': expected an update id, was '\(text)'")
            }
            id = value
        }
        let limit = query["limit"].map { Int($0) ?? 0 } ?? .max
        guard limit > 0 else {
            return Self.failure(400, "parameter 'limit': expected a number of levels above 0")
        }
        guard let truth = market.truth(at: id, limit: limit) else {
            return Self.failure(
                404, "no book at that id: it is to come, or older than the history; last id \(market.lastID)")
        }
        var writer = ByteWriter(capacity: 64 + (truth.bids.count + truth.asks.count) * 40)
        writer.literal("{\"lastUpdateId\":")
        writer.integer(truth.id)
        writer.literal(",")
        writer.sides(truth, market.format)
        writer.literal("}")
        return RESTReply(body: writer.bytes)
    }

    private func control(_ query: QueryString, at microseconds: Int64) -> RESTReply {
        do throws(SimulatorError) {
            let request = try FaultRequest.parse(query)
            guard let venue = venue(request.exchange) else { throw SimulatorError("no such exchange") }
            let sessions = Array(venue.sessions.values)
            let report = try venue.engine.inject(request, connections: sessions, at: microseconds)
            return RESTReply(status: report.wasDone ? 200 : 409, body: report.json)
        } catch { return Self.failure(400, error.description) }
    }

    private func status() -> RESTReply {
        var writer = ByteWriter(capacity: 1024)
        writer.literal("{\"exchanges\":{")
        for (index, (name, venue)) in venues.sorted(by: { $0.key < $1.key }).enumerated() {
            if index > 0 { writer.literal(",") }
            let streams = venue.sessions.values.reduce(0) { $0 + $1.names.count }
            writer.raw(
                "\"\(name)\":{\"connections\":\(venue.sessions.count),\"accepted\":\(venue.acceptCount),\"streams\":\(streams),\"events\":\(venue.engine.eventCount),\"frames\":\(venue.engine.frameCount),\"requests\":\(venue.requestCount),\"used_weight\":\(venue.rest.usedWeight),\"refusals\":\(venue.rest.refusalCount)}"
            )
        }
        writer.literal("}}")
        return RESTReply(body: writer.bytes)
    }

    /// Which snapshots were given so far: by exchange and symbol, the limit of each.
    private func snapshots() -> RESTReply {
        var writer = ByteWriter(capacity: 1024)
        writer.literal("{")
        for (index, (name, venue)) in venues.sorted(by: { $0.key < $1.key }).enumerated() {
            writer.raw("\(index > 0 ? "," : "")\"\(name)\":{")
            for (place, (symbol, limits)) in venue.rest.givenSnapshots.sorted(by: { $0.key < $1.key })
                .enumerated()
            {
                if place > 0 { writer.literal(",") }
                writer.string(symbol)
                writer.raw(":[\(limits.map(String.init).joined(separator: ","))]")
            }
            writer.literal("}")
        }
        writer.literal("}")
        return RESTReply(body: writer.bytes)
    }

    /// Opens a session for a WebSocket; nil refuses the connection.
    func accept(
        _ path: String, rawQuery: String, wire: any SessionWire, at microseconds: Int64
    ) -> StreamSession? {
        let (name, rest) = Self.split(path)
        guard path.utf8.count + rawQuery.utf8.count <= 8000, let venue = venue(name),
            let stream = StreamPath(rest, QueryString(rawQuery), kind: venue.engine.exchange.kind),
            venue.attempts.allows(at: microseconds), microseconds >= venue.engine.refusesUntil,
            stream.streams.count <= venue.engine.exchange.streamsPerConnection
        else { return nil }
        let session = StreamSession(
            venue.engine, wire: wire, path: stream, pingSeconds: options.pingSeconds,
            lifetimeSeconds: options.lifetimeSeconds)
        venue.sessions[ObjectIdentifier(session)] = session
        venue.acceptCount += 1
        session.open(stream.streams, at: microseconds)
        return session
    }

    /// Forgets a session whose connection is gone.
    func forget(_ session: StreamSession) {
        session.end()
        for venue in venues.values { venue.sessions[ObjectIdentifier(session)] = nil }
    }
}
