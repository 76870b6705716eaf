import Testing

@testable import exchange_simulator

/// What sets the families of late 2026 apart from spot.
struct FamilyTests {
    private let contract = "BTC-301227-60000-C"

    private func options(cache: Int = 30) throws -> Bench {
        try Bench("binance.com-vanilla-options") { $0.cacheSeconds = cache }
    }

    @Test func `an options snapshot lags by up to its cache time and is a true book of then`() throws {
        var bench = try options()
        let wire = RecordingWire()
        _ = try bench.session(wire, [contract.lowercased() + "@depth@100ms"])
        var ages: Set<Int64> = []
        var ids: Set<Int64> = []
        for _ in 0..<90 {
            bench.run(milliseconds: 1000, step: 50)
            let book = NaiveClient(try bench.snapshot(contract, limit: 1000), kind: .options)
            let market = try bench.market(contract)
            #expect(book.equals(market.truth(at: book.id), market.format))
            ids.insert(book.id)
            guard let seen = try wire.decoded().last(where: { $0.u <= book.id }) else { continue }
            ages.insert((bench.now / 1000 - seen.E) / 1000)
        }
        #expect((3...4).contains(ids.count))
        #expect(try #require(ages.max()) <= 30)
        #expect(try #require(ages.max()) >= 20)
    }

    @Test func `a contract ends at its hour, and the next day's takes its place`() throws {
        var bench = try options(cache: 0)
        let wire = RecordingWire()
        _ = try bench.session(wire, [contract.lowercased() + "@depth@100ms"])
        // 2030-12-27 08:00 UTC.
        let hour: Int64 = 1_924_588_800_000
        #expect(try bench.market(contract).expiry == hour)
        bench.now = hour * 1000 - 2_000_000
        bench.run(milliseconds: 1000)
        #expect(!wire.frames.isEmpty)
        #expect(bench.get("depth", "symbol=\(contract)").status == 200)
        bench.now = hour * 1000
        bench.run(milliseconds: 10)
        let count = wire.frames.count
        bench.run(milliseconds: 1000)
        #expect(wire.frames.count == count)
        let refusal = bench.get("depth", "symbol=\(contract)")
        #expect(refusal.status == 400)
        #expect(String(decoding: refusal.body, as: UTF8.self).contains("-1121"))
        let next = "BTC-301228-60000-C"
        #expect(bench.engine.symbols.first == next)
        #expect(try bench.snapshot(next).lastUpdateId > 0)
        let info = String(decoding: bench.get("exchangeInfo", "").body, as: UTF8.self)
        #expect(info.contains(next) && !info.contains(contract))
        #expect(info.contains("\"expiryDate\":\(hour + 86_400_000)"))
    }

    @Test(arguments: [
        ("BTC-261231-1-C", "BTC-270101-1-C"), ("A-280228-1-P", "A-280229-1-P"),
        ("A-270228-1-P", "A-270301-1-P"),
    ])
    func `the next day is found in any month`(_ symbol: String, _ next: String) {
        #expect(Expiry.successor(of: symbol) == next)
        #expect(Expiry.milliseconds(of: next) == Expiry.milliseconds(of: symbol).map { $0 + 86_400_000 })
    }

    @Test func `every reply says the exchange's time`() throws {
        let bench = try Bench("binance.com")
        #expect(bench.get("ping", "").header("date") == "Fri, 15 Jan 2027 08:00:00 GMT")
        #expect(bench.get("nothing", "").header("date") == "Fri, 15 Jan 2027 08:00:00 GMT")
    }

    @Test func `other markets do not expire`() throws {
        #expect(Expiry.successor(of: "BTCUSDT") == nil)
        let bench = try Bench("binance.com-futures")
        #expect(try bench.market("BTCUSDT").expiry == nil)
        let request = try FaultRequest.parse(
            QueryString("exchange=binance.com-futures&symbol=BTCUSDT&fault=expire"))
        #expect(try bench.engine.inject(request, connections: [], at: bench.now).wasDone == false)
    }

    @Test func `USD-M and COIN-M draw from one budget, and each prints its own`() {
        var options = Options()
        options.engine.symbolCount = 1
        let world = World(options, recordings: [])
        let now: Int64 = 1_800_000_000_000_000
        func get(_ path: String, _ query: String) -> RESTReply {
            world.answer(path, QueryString(query), at: now)
        }
        let first = get("/binance.com-futures/fapi/v1/depth", "symbol=BTCUSDT&limit=1000")
        let second = get("/binance.com-coin_futures/dapi/v1/depth", "symbol=BTCUSD_PERP&limit=1000")
        #expect(first.header("x-mbx-used-weight-1m") == "20")
        #expect(second.header("x-mbx-used-weight-1m") == "40")
        for path in ["/binance.com-futures/fapi/v1", "/binance.com-coin_futures/dapi/v1"] {
            let info = String(decoding: get(path + "/exchangeInfo", "").body, as: UTF8.self)
            #expect(info.contains("\"limit\":2400"))
        }
        for _ in 0..<117 { _ = get("/binance.com-futures/fapi/v1/depth", "symbol=BTCUSDT&limit=1000") }
        #expect(get("/binance.com-coin_futures/dapi/v1/depth", "symbol=BTCUSD_PERP&limit=1000").status == 429)
    }

    @Test(arguments: [
        "btcusdt@aggTrade", "btcusdt@markPrice", "btcusdtt@depth@100ms", "btcusdt@depth@1000ms",
    ])
    func `on USD-M a stream of another category or a misspelt one is acknowledged and silent`(
        _ name: String
    ) throws {
        for path in ["/public/stream", "/market/stream"] {
            var bench = try Bench("binance.com-futures")
            let wire = RecordingWire()
            let session = try bench.session(wire, ["ethusdt@depth@100ms"], path: path)
            session.receive(
                Array(#"{"method":"SUBSCRIBE","params":["\#(name)"],"id":1}"#.utf8), at: bench.now)
            bench.run(milliseconds: 2000)
            #expect(wire.lastText == #"{"result":null,"id":1}"#)
            let symbols = Set(try wire.decoded().map(\.s))
            #expect(symbols == (path == "/public/stream" ? ["ETHUSDT"] : []))
        }
    }
}
