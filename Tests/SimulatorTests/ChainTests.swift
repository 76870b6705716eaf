import Testing

@testable import exchange_simulator

struct ChainTests {
    static let streams: [(String, String)] = Exchange.all.flatMap { exchange in
        exchange.kind.speeds.keys.sorted().map { (exchange.name, $0) }
    }

    @Test(arguments: streams)
    func `a client that follows the exchange's text holds the true book after every frame`(
        _ exchange: String, _ suffix: String
    ) throws {
        var bench = try Bench(exchange)
        let wire = RecordingWire()
        let symbol = bench.symbol
        let session = try bench.session(wire, [symbol.lowercased() + "@" + suffix])
        bench.run(milliseconds: 1230)
        let format = try bench.market(symbol).format
        var client = NaiveClient(try bench.snapshot(symbol), kind: bench.kind)
        #expect(client.equals(try bench.market(symbol).truth(at: client.id), format))
        for _ in 0..<40 {
            bench.run(milliseconds: 250)
            for frame in try wire.decoded() {
                try client.take(frame)
                #expect(client.equals(try bench.market(symbol).truth(at: client.id), format))
            }
            wire.frames = []
        }
        #expect(client.applied >= 9)
        #expect(!(try bench.market(symbol).book.isCrossed))
        #expect(session.names.count == 1)
    }

    @Test(arguments: Exchange.all.map(\.name))
    func `snapshots often stand inside an event and are still exactly the book at their id`(
        _ exchange: String
    ) throws {
        var bench = try Bench(exchange)
        let wire = RecordingWire()
        let symbol = bench.symbol
        let suffix = bench.kind == .spot ? "depth@100ms" : "depth@500ms"
        let session = try bench.session(wire, [symbol.lowercased() + "@" + suffix])
        let market = try bench.market(symbol)
        var inside = 0
        var clients: [NaiveClient] = []
        var last: Int64 = 0
        for _ in 0..<60 {
            bench.run(milliseconds: 70)
            let snapshot = try bench.snapshot(symbol)
            #expect(snapshot.lastUpdateId >= last)
            last = snapshot.lastUpdateId
            if last > market.lastID { inside += 1 }
            let client = NaiveClient(snapshot, kind: bench.kind)
            #expect(client.equals(market.truth(at: client.id), market.format))
            clients.append(client)
        }
        bench.run(milliseconds: 1000)
        let frames = try wire.decoded()
        for var client in clients {
            for frame in frames { try client.take(frame) }
            #expect(client.equals(market.truth(at: client.id), market.format))
        }
        #expect(inside > 10)
        #expect(session.isCombined)
    }

    @Test func `ids of one derivative symbol have holes and those of a spot symbol have none`() throws {
        for (exchange, suffix) in [("binance.com", "depth@100ms"), ("binance.com-futures", "depth@100ms")] {
            var bench = try Bench(exchange)
            let wire = RecordingWire()
            let session = try bench.session(wire, [bench.symbol.lowercased() + "@" + suffix])
            bench.run(milliseconds: 2000)
            let frames = try wire.decoded()
            let holes = zip(frames, frames.dropFirst()).filter { $1.U != $0.u + 1 }.count
            #expect(exchange == "binance.com" ? holes == 0 : holes > 10)
            #expect(frames.allSatisfy { ($0.pu == nil) == (exchange == "binance.com") })
            #expect(session.names.count == 1)
        }
    }

    @Test func `a slow stream says in one frame what the fast one says in ten`() throws {
        var bench = try Bench("binance.com")
        let (fast, slow) = (RecordingWire(), RecordingWire())
        let name = bench.symbol.lowercased() + "@depth"
        let sessions = [try bench.session(fast, [name + "@100ms"]), try bench.session(slow, [name])]
        bench.run(milliseconds: 5000)
        let (many, few) = (try fast.decoded(), try slow.decoded())
        #expect(few.count == 4 || few.count == 5)
        #expect((45...51).contains(many.count))
        for frame in few {
            let parts = many.filter { $0.U >= frame.U && $0.u <= frame.u }
            #expect(parts.first?.U == frame.U)
            #expect(parts.last?.u == frame.u)
            var bids: [String: String] = [:]
            for level in parts.flatMap(\.b) { bids[level[0]] = level[1] }
            #expect(bids == Dictionary(uniqueKeysWithValues: frame.b.map { ($0[0], $0[1]) }))
        }
        #expect(sessions.count == 2)
    }

    @Test func `history answers for a minute and not for what lies before or ahead`() throws {
        var bench = try Bench("binance.com")
        let symbol = bench.symbol
        let session = try bench.session(RecordingWire(), [symbol.lowercased() + "@depth@100ms"])
        let market = try bench.market(symbol)
        let first = market.lastID
        bench.run(milliseconds: 59_000)
        #expect(market.truth(at: first) != nil)
        #expect(market.truth(at: first, limit: 3)?.bids.count == 3)
        #expect(market.truth(at: first - 1) == nil)
        #expect(market.truth(at: market.lastID + 1) == nil)
        bench.run(milliseconds: 10_000)
        #expect(market.truth(at: first) == nil)
        #expect(market.truth(at: nil)?.id == market.lastID)
        #expect(session.names.count == 1)
    }

    @Test func `a quiet market sends nothing and its snapshot stays`() throws {
        var bench = try Bench("binance.com", { $0.quietCount = 1 })
        let wire = RecordingWire()
        let session = try bench.session(wire, ["sim0006usdt@depth@100ms"])
        let before = try bench.snapshot("SIM0006USDT")
        bench.run(milliseconds: 5000)
        #expect(wire.frames.isEmpty)
        #expect(try bench.snapshot("SIM0006USDT").lastUpdateId == before.lastUpdateId)
        #expect(session.names.count == 1)
    }

    @Test(arguments: [1, 2, 20, 300])
    func `events of any size leave a book that is neither crossed nor shallow`(_ size: Int) throws {
        var bench = try Bench("binance.com-futures", { $0.changesPerEvent = size })
        let session = try bench.session(RecordingWire(), ["btcusdt@depth@100ms"])
        let market = try bench.market("BTCUSDT")
        for _ in 0..<300 {
            bench.run(milliseconds: 100)
            #expect(!market.book.isCrossed)
            #expect(market.book.bids.count >= 45 && market.book.asks.count >= 45)
        }
        #expect(session.names.count == 1)
    }
}
