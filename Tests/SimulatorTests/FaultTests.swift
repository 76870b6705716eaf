import Binance
import Testing

@testable import exchange_simulator

struct FaultTests {
    /// Runs one fault on the first symbol and gives what a client of the stream saw, and the report.
    private func afflict(_ query: String, _ exchange: String = "binance.com") throws -> (
        bench: Bench, frames: [[UInt8]], report: FaultReport, snapshot: NaiveClient.Snapshot,
        wire: RecordingWire
    ) {
        var bench = try Bench(exchange)
        let wire = RecordingWire()
        let symbol = bench.symbol
        let session = try bench.session(wire, [symbol.lowercased() + "@depth@100ms"])
        bench.run(milliseconds: 500)
        let snapshot = try bench.snapshot(symbol)
        bench.run(milliseconds: 500)
        let request = try FaultRequest.parse(QueryString("exchange=\(exchange)&symbol=\(symbol)&" + query))
        let report = try bench.engine.inject(request, connections: [session], at: bench.now)
        bench.run(milliseconds: 1000)
        return (bench, wire.frames, report, snapshot, wire)
    }

    @Test(arguments: ["binance.com", "binance.com-futures", "binance.com-vanilla-options"])
    func `a gap breaks the chain exactly at the ids that the answer names`(_ exchange: String) throws {
        let seen = try afflict("fault=gap&count=2", exchange)
        let frames = try seen.frames.map(NaiveClient.frame)
        let effect = try #require(seen.report.effects.first)
        let first = try #require(effect.first)
        let last = try #require(effect.last)
        #expect(!frames.contains { $0.u >= first && $0.u <= last })
        var client = NaiveClient(seen.snapshot, kind: seen.bench.kind)
        let next = try #require(frames.first { $0.u > last })
        #expect(throws: NaiveClient.Problem.gap(next.U)) {
            for frame in frames { try client.take(frame) }
        }
    }

    @Test func `a duplicate repeats a frame and harms no client`() throws {
        let seen = try afflict("fault=duplicate")
        let frames = try seen.frames.map(NaiveClient.frame)
        let last = try #require(seen.report.effects.first?.last)
        #expect(frames.filter { $0.u == last }.count == 2)
        var client = NaiveClient(seen.snapshot, kind: .spot)
        for frame in frames { try client.take(frame) }
        #expect(
            client.equals(
                try seen.bench.market("BTCUSDT").truth(at: client.id), .init(priceScale: 8, quantityScale: 8))
        )
    }

    @Test func `reordered frames come in the wrong order`() throws {
        let seen = try afflict("fault=reorder")
        let frames = try seen.frames.map(NaiveClient.frame)
        let last = try #require(seen.report.effects.first?.last)
        let place = try #require(frames.firstIndex { $0.u == last })
        #expect(frames[place + 1].u == frames[place].U - 1)
    }

    @Test func `silence hides events that the truth knows`() throws {
        var seen = try afflict("fault=silence&duration=3")
        let market = try seen.bench.market("BTCUSDT")
        let lastSeen = try #require(try seen.frames.map(NaiveClient.frame).last?.u)
        #expect(seen.report.effects.first?.last == lastSeen)
        #expect(market.lastID > lastSeen)
        seen.bench.run(milliseconds: 4000)
        #expect(try #require(try seen.wire.decoded().last).u == market.lastID)
    }

    @Test(arguments: GarbageForm.allCases)
    func `a garbage frame is no event that a client could apply`(_ form: GarbageForm) throws {
        let seen = try afflict("fault=garbage&form=\(form.rawValue)")
        let bad = seen.frames.filter { bytes in
            guard let frame = try? NaiveClient.frame(bytes) else { return true }
            return (frame.b + frame.a).contains { DecimalFormat.parse($0[0], scale: 8) == nil }
        }
        #expect(bad.count == 1)
    }

    @Test func `an id reset starts from small ids and the old ones can still be looked up`() throws {
        let seen = try afflict("fault=idreset", "binance.com-testnet")
        let frames = try seen.frames.map(NaiveClient.frame)
        let effect = try #require(seen.report.effects.first)
        let old = try #require(effect.first)
        let market = try seen.bench.market(seen.bench.symbol)
        #expect(try #require(frames.last).u < old)
        #expect(try #require(frames.first { $0.U == 1001 }).u < 1100)
        #expect(market.truth(at: old)?.id == old)
        #expect(market.truth(at: 1000)?.bids == market.truth(at: old)?.bids)
    }

    @Test func `a disconnect drops the session and ends its subscriptions`() throws {
        let seen = try afflict("fault=disconnect")
        #expect(seen.wire.isAborted)
        #expect(seen.report.connections == 1)
        #expect(seen.bench.engine.watchedMarkets.isEmpty)
    }

    @Test func `a disconnect drops no more connections than it was told to`() throws {
        let bench = try Bench("binance.com")
        let wires = [RecordingWire(), RecordingWire(), RecordingWire()]
        let sessions = try wires.map { try bench.session($0, [bench.symbol.lowercased() + "@depth@100ms"]) }
        let request = try FaultRequest.parse(QueryString("exchange=binance.com&fault=disconnect&count=2"))
        #expect(try bench.engine.inject(request, connections: sessions, at: bench.now).connections == 2)
        #expect(wires.map(\.isAborted) == [true, true, false])
    }

    @Test func `a halted market answers with an empty book and its status says so`() throws {
        let seen = try afflict("fault=halt")
        #expect(try seen.bench.snapshot("BTCUSDT").bids.isEmpty)
        let info = String(decoding: seen.bench.get("exchangeInfo", "symbol=BTCUSDT").body, as: UTF8.self)
        #expect(info.contains("\"status\":\"BREAK\""))
        let request = try FaultRequest.parse(QueryString("exchange=binance.com&fault=resume&symbol=BTCUSDT"))
        _ = try seen.bench.engine.inject(request, connections: [], at: seen.bench.now)
        #expect(!(try seen.bench.snapshot("BTCUSDT").bids.isEmpty))
    }

    @Test(arguments: [
        ("binance.com", "CANCEL_ONLY"), ("binance.com-futures", "SETTLING"),
        ("binance.com-coin_futures", "SETTLING"), ("binance.com-vanilla-options", "CLOSE"),
    ])
    func `a market that takes no orders goes on changing, and its status says so`(
        exchange: String, word: String
    ) throws {
        let seen = try afflict("fault=cancel-only", exchange)
        func status() throws -> String? {
            try ExchangeInfo(parsing: seen.bench.get("exchangeInfo", "").body).market(seen.bench.symbol)?
                .status
        }
        #expect(try status() == word)
        let before = try seen.bench.snapshot(seen.bench.symbol)
        #expect(!before.bids.isEmpty)
        var bench = seen.bench
        bench.run(milliseconds: 1000)
        #expect(try bench.snapshot(bench.symbol).lastUpdateId > before.lastUpdateId)
        let request = try FaultRequest.parse(
            QueryString("exchange=\(exchange)&fault=resume&symbol=\(bench.symbol)"))
        _ = try bench.engine.inject(request, connections: [], at: bench.now)
        #expect(try status() == "TRADING")
    }

    @Test func `a shutdown notice is wrapped as the connection is`() throws {
        var bench = try Bench("binance.com")
        let (raw, combined) = (RecordingWire(), RecordingWire())
        let sessions = [try bench.session(raw, [], path: "/ws"), try bench.session(combined, [])]
        bench.run(milliseconds: 10)
        let request = try FaultRequest.parse(QueryString("exchange=binance.com&fault=serverShutdown"))
        let report = try bench.engine.inject(request, connections: sessions, at: bench.now)
        #expect(report.connections == 2)
        let event = "{\"e\":\"serverShutdown\",\"E\":\(bench.now / 1000)}"
        #expect(raw.frames.map { String(decoding: $0, as: UTF8.self) } == [event])
        #expect(
            combined.frames.map { String(decoding: $0, as: UTF8.self) } == [
                "{\"stream\":\"!serverShutdown\",\"data\":\(event)}"
            ])
    }

    @Test func `slow and stale snapshots are what they say`() throws {
        var seen = try afflict("fault=slowsnapshot&delay=1.5")
        let slow = seen.bench.get("depth", "symbol=BTCUSDT&limit=5")
        #expect(slow.delayMilliseconds == 1500)
        let request = try FaultRequest.parse(
            QueryString("exchange=binance.com&symbol=BTCUSDT&fault=stalesnapshot&delay=1&duration=60"))
        _ = try seen.bench.engine.inject(request, connections: [], at: seen.bench.now)
        seen.bench.run(milliseconds: 2000)
        let market = try seen.bench.market("BTCUSDT")
        let stale = NaiveClient(try seen.bench.snapshot("BTCUSDT"), kind: .spot)
        #expect(stale.id < market.lastID - 100)
        #expect(stale.equals(market.truth(at: stale.id), market.format))
    }

    @Test(arguments: [
        ("fault=gap", "parameter 'exchange' is required"),
        ("exchange=nasdaq&fault=gap", "unknown exchange 'nasdaq'"),
        ("exchange=binance.com", "parameter 'fault' is required"),
        (
            "exchange=binance.com&fault=gap&count=0",
            "parameter 'count': expected a whole number from 1 to 10000, was '0'"
        ),
        (
            "exchange=binance.com&fault=gap&count=x",
            "parameter 'count': expected a whole number from 1 to 10000, was 'x'"
        ),
        (
            "exchange=binance.com&fault=silence&duration=nan",
            "parameter 'duration': expected seconds from 0 to 86400, was 'nan'"
        ),
        (
            "exchange=binance.com&fault=silence&duration=1e99",
            "parameter 'duration': expected seconds from 0 to 86400, was '1e99'"
        ),
        (
            "exchange=binance.com&fault=429&symbol=BTCUSDT",
            "fault '429' concerns the whole exchange, so 'symbol' must be left out"
        ),
    ])
    func `a control request that cannot be meant is refused in words`(_ query: String, _ words: String) {
        #expect(throws: SimulatorError(words)) { try FaultRequest.parse(QueryString(query)) }
    }

    @Test func `an unknown fault or parameter is answered with the known ones`() {
        #expect(throws: SimulatorError.self) {
            try FaultRequest.parse(QueryString("exchange=binance.com&fault=earthquake"))
        }
        #expect(throws: SimulatorError.self) {
            try FaultRequest.parse(QueryString("exchange=binance.com&fault=gap&times=3"))
        }
    }

    @Test func `a fault on an unknown symbol is refused`() throws {
        let bench = try Bench("binance.com")
        let request = try FaultRequest.parse(QueryString("exchange=binance.com&symbol=NOPE&fault=gap"))
        #expect(throws: SimulatorError("unknown symbol 'NOPE' of binance.com")) {
            try bench.engine.inject(request, connections: [], at: bench.now)
        }
    }

    @Test(arguments: ["binance.com", "binance.com-coin_futures"])
    func `a corrupted level is in REST and in the truth and never in the stream`(_ name: String) throws {
        let bench = try Bench(name) { $0.ratePerSecond = 1 }
        let symbol = bench.symbol
        let wire = RecordingWire()
        _ = try bench.session(wire, [symbol.lowercased() + "@depth@100ms"])
        let market = try bench.market(symbol)
        let level = market.book.asks.level(rank: 40)
        let query = "exchange=\(name)&symbol=\(symbol)&fault=corrupt&side=asks&rank=40"
        #expect(try bench.engine.inject(.parse(QueryString(query)), connections: [], at: bench.now).wasDone)
        #expect(market.book.asks.quantity(at: level.key) == level.quantity * 2)
        #expect(market.truth(at: nil)?.asks[40].quantity == level.quantity * 2)
        let book = NaiveClient(try bench.snapshot(symbol), kind: bench.kind)
        #expect(book.equals(market.truth(at: book.id), market.format))
        #expect(wire.frames.isEmpty)
        let far = "exchange=\(name)&symbol=\(symbol)&fault=corrupt&rank=9999"
        #expect(try !bench.engine.inject(.parse(QueryString(far)), connections: [], at: bench.now).wasDone)
    }

    @Test func `late events say an earlier time for a while`() throws {
        var bench = try Bench("binance.com")
        let wire = RecordingWire()
        _ = try bench.session(wire, ["btcusdt@depth@100ms"])
        let query = "exchange=binance.com&symbol=BTCUSDT&fault=late&delay=30&duration=2"
        _ = try bench.engine.inject(.parse(QueryString(query)), connections: [], at: bench.now)
        let start = bench.now / 1000
        bench.run(milliseconds: 4000)
        let times = try wire.decoded().map(\.E)
        #expect(try #require(times.first) < start - 29_000)
        #expect(try #require(times.last) > start + 3000)
    }
}
