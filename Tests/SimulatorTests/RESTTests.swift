import FoundationEssentials
import Testing

@testable import exchange_simulator

struct RESTTests {
    private func text(_ reply: RESTReply) -> String { String(decoding: reply.body, as: UTF8.self) }

    @Test(arguments: [
        ("binance.com", "symbol=BTCUSDT&limit=1", 200, 1), ("binance.com", "symbol=BTCUSDT&limit=7", 200, 7),
        ("binance.com", "symbol=BTCUSDT", 200, 100), ("binance.com", "symbol=BTCUSDT&limit=9999", 200, 150),
        ("binance.com-futures", "symbol=BTCUSDT&limit=5", 200, 5),
        ("binance.com-futures", "symbol=BTCUSDT&limit=6", 400, -4021),
        ("binance.com-futures", "symbol=BTCUSDT&limit=5000", 400, -4021),
        ("binance.com-coin_futures", "symbol=BTCUSD_PERP&limit=20", 200, 20),
        ("binance.com-vanilla-options", "symbol=BTC-301227-60000-C&limit=10", 200, 10),
        ("binance.com-vanilla-options", "symbol=BTC-301227-60000-C&limit=5", 400, -4021),
        ("binance.com", "symbol=BTCUSDT&limit=0", 400, -1130),
        ("binance.com", "symbol=BTCUSDT&limit=-5", 400, -1130),
        ("binance.com", "symbol=BTCUSDT&limit=x", 400, -1130), ("binance.com", "limit=5", 400, -1102),
        ("binance.com", "symbol=&limit=5", 400, -1102), ("binance.com", "symbol=btcusdt", 400, -1121),
        ("binance.us", "symbol=NOPE", 400, -1121), ("trbinance.com", "symbol=BTCUSDT&limit=50", 200, 50),
    ])
    func `limits and symbols are accepted and refused as on the real exchange`(
        _ exchange: String, _ query: String, _ status: Int, _ expected: Int
    ) throws {
        let bench = try Bench(exchange, { $0.depth = 150 })
        let reply = bench.get("depth", query)
        #expect(reply.status == status)
        if status == 200 {
            let snapshot = try NaiveClient.snapshot(reply.body)
            #expect(expected == 150 ? snapshot.bids.count >= 150 : snapshot.bids.count == expected)
        } else {
            #expect(text(reply).hasPrefix("{\"code\":\(expected),"))
        }
    }

    @Test func `levels come best first with the exchange's decimals`() throws {
        let bench = try Bench("binance.com")
        let snapshot = try bench.snapshot("BTCUSDT")
        let bids = snapshot.bids.compactMap { DecimalFormat.parse($0[0], scale: 8) }
        let asks = snapshot.asks.compactMap { DecimalFormat.parse($0[0], scale: 8) }
        #expect(bids == bids.sorted(by: >))
        #expect(asks == asks.sorted())
        #expect(bids[0] < asks[0])
        #expect(
            snapshot.bids.allSatisfy {
                DecimalFormat.scale(of: $0[0]) == 8 && DecimalFormat.scale(of: $0[1]) == 8
            })
    }

    @Test func `weight is counted, refused above the limit until the full minute, and then banned`() throws {
        var bench = try Bench("binance.com", { $0.weightLimit = 60 })
        bench.now = 1_800_000_000_000_000 + 20_000_000
        let first = bench.get("depth", "symbol=BTCUSDT&limit=1000")
        #expect(first.status == 200)
        #expect(first.header("x-mbx-used-weight-1m") == "50")
        #expect(first.header("x-mbx-used-weight") == "50")
        let second = bench.get("depth", "symbol=BTCUSDT&limit=500")
        #expect(second.status == 429)
        #expect(second.header("retry-after") == "40")
        #expect(text(second).contains("\"code\":-1003"))
        for _ in 0..<9 { #expect(bench.get("ping", "").status == 429) }
        #expect(bench.get("ping", "").status == 418)
        bench.now += 60_000_000
        #expect(bench.get("ping", "").status == 418)
        bench.now += 61_000_000
        let again = bench.get("ping", "")
        #expect(again.status == 200)
        #expect(again.header("x-mbx-used-weight-1m") == "1")
    }

    @Test func `a minute without a refusal forgives earlier ones`() {
        var meter = WeightMeter(limit: 10, toleratedRefusals: 2)
        for minute in 0..<5 {
            let start = Int64(minute * 2) * 60_000
            #expect(meter.charge(10, at: start) == .allowed(used: 10))
            #expect(meter.charge(1, at: start + 1) == .limited(used: 11, retryAfterSeconds: 60))
            #expect(meter.charge(1, at: start + 60_000) == .allowed(used: 1))
        }
    }

    @Test func `both kinds of futures draw from one pool`() throws {
        let pool = WeightPool(limit: 2400)
        for name in ["binance.com-futures", "binance.com-coin_futures"] {
            let bench = try Bench(name)
            let rest = RESTService(bench.engine, pool: pool)
            _ = rest.answer(bench.kind.restPrefix + "/ping", QueryString(""), at: bench.now)
        }
        #expect(pool.meter.used == 2)
        #expect(
            Exchange.named("binance.com-futures")?.pool == Exchange.named("binance.com-coin_futures")?.pool)
    }

    @Test func `forced refusals come as often and as long as asked`() throws {
        var bench = try Bench("binance.com")
        let request = try FaultRequest.parse(QueryString("exchange=binance.com&fault=429&count=2&duration=7"))
        _ = try bench.engine.inject(request, connections: [], at: bench.now)
        let reply = bench.get("time", "")
        #expect(reply.status == 429)
        #expect(reply.header("retry-after") == "7")
        #expect(bench.get("time", "").status == 429)
        #expect(bench.get("time", "").status == 200)
        _ = try bench.engine.inject(request, connections: [], at: bench.now)
        bench.now += 8_000_000
        #expect(bench.get("time", "").status == 200)
    }

    @Test(arguments: Exchange.all.map(\.name))
    func `exchangeInfo lists every symbol in the words of its exchange`(_ name: String) throws {
        let bench = try Bench(name, { $0.weightLimit = 777 })
        let reply = bench.get("exchangeInfo", "")
        guard case .object(let info) = try JSONDecoder().decode(JSONTree.self, from: Data(reply.body)),
            case .array(let symbols)? = info[bench.kind == .options ? "optionSymbols" : "symbols"],
            case .array(let limits)? = info["rateLimits"], case .object(let limit)? = limits.first
        else {
            Issue.record("not an exchangeInfo: \(text(reply))")
            return
        }
        #expect(symbols.count == 7)
        #expect(limit["limit"] == .integer(777))
        let key = bench.kind == .coinMargined ? "contractStatus" : "status"
        let states = symbols.map { symbol -> JSONTree? in
            if case .object(let fields) = symbol { fields[key] } else { nil }
        }
        #expect(states.dropLast().allSatisfy { $0 == .string("TRADING") })
        #expect(states.last != .string("TRADING"))
        #expect(bench.get("depth", "symbol=\(bench.engine.exchange.brokenSymbol)").status == 200)
        #expect(try bench.snapshot(bench.engine.exchange.brokenSymbol).bids.isEmpty)
    }

    @Test func `unknown paths are refused`() throws {
        let bench = try Bench("binance.com")
        #expect(
            bench.rest.answer("/api/v1/depth", QueryString("symbol=BTCUSDT"), at: bench.now).status == 404)
        #expect(bench.get("trades", "").status == 404)
    }
}
