import FoundationEssentials
import Testing

@testable import exchange_simulator

struct WorldTests {
    private let now: Int64 = 1_800_000_000_000_000

    private func world() -> World {
        var options = Options()
        options.engine.symbolCount = 6
        options.engine.depth = 40
        options.attemptLimit = 3
        return World(options, recordings: [])
    }

    private func get(_ world: World, _ path: String, _ query: String = "") -> (Int, String) {
        let reply = world.answer(path, QueryString(query), at: now)
        return (reply.status, String(decoding: reply.body, as: UTF8.self))
    }

    @Test(arguments: [
        ("/truth", "", 400, "parameter 'exchange' is required"),
        ("/truth", "exchange=x&symbol=BTCUSDT", 404, "unknown exchange 'x'"),
        ("/truth", "exchange=binance.com", 400, "parameter 'symbol' is required"),
        ("/truth", "exchange=binance.com&symbol=NO", 404, "unknown symbol 'NO' of binance.com"),
        (
            "/truth", "exchange=binance.com&symbol=BTCUSDT&id=1x", 400,
            "parameter 'id': expected an update id, was '1x'"
        ),
        ("/truth", "exchange=binance.com&symbol=BTCUSDT&id=1", 404, "no book at that id"),
        ("/control", "exchange=binance.com&symbol=NO&fault=gap", 400, "unknown symbol 'NO' of binance.com"),
        ("/control", "", 400, "parameter 'exchange' is required"),
        ("/", "", 404, "no exchange ''"), ("/nyse/api/v3/depth", "", 404, "no exchange 'nyse'"),
    ])
    func `bad questions get an error in words`(
        _ path: String, _ query: String, _ status: Int, _ words: String
    ) {
        let (code, text) = get(world(), path, query)
        #expect(code == status)
        #expect(text.hasPrefix("{\"error\":\"\(words)"))
    }

    @Test func `the truth equals the snapshot of an unmoved market, under aliases too`() throws {
        let world = world()
        let (_, snapshot) = get(world, "/binance.com-margin/api/v3/depth", "symbol=BTCUSDT&limit=5000")
        let (code, truth) = get(world, "/truth", "exchange=binance.com&symbol=btcusdt")
        #expect(code == 200)
        #expect(snapshot == truth)
    }

    @Test func `connections are refused for wrong paths, too long addresses and too many attempts`() {
        let world = world()
        func accepts(_ path: String, _ query: String = "") -> Bool {
            world.accept(path, rawQuery: query, wire: RecordingWire(), at: now) != nil
        }
        #expect(!accepts("/binance.com/nothing"))
        #expect(!accepts("/nyse/ws"))
        #expect(!accepts("/binance.com/stream", "streams=" + String(repeating: "a", count: 8000)))
        #expect(accepts("/binance.com/ws/btcusdt@depth"))
        #expect(accepts("/binance.com-isolated_margin/stream"))
        #expect(accepts("/binance.com/ws"))
        #expect(!accepts("/binance.com/ws"))
        #expect(accepts("/binance.us/ws"))
    }

    @Test func `a halted market that cannot gap is a conflict, and status counts`() {
        let world = world()
        let query = "exchange=binance.com&symbol=SIMBREAKUSDT&fault=gap"
        #expect(get(world, "/control", query).0 == 409)
        #expect(get(world, "/status").1.contains("\"binance.com\":{\"connections\":0,"))
    }
}
