import FoundationEssentials
import Testing

@testable import exchange_simulator

struct ReplayTests {
    /// A small recording in a folder of its own.
    private func folder(_ body: (String) throws -> Void) throws {
        let path = FileManager.default.temporaryDirectory.path + "/sim-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(#"{"lastUpdateId":103,"bids":[["9.50","1.0"],["9.40","2.0"]],"asks":[["9.60","3.0"]]}"#.utf8)
            .write(
                to: URL(fileURLWithPath: path + "/snapshot.json"))
        let lines = [
            #"{"t":"10.0","kind":"depth","frame":{"stream":"abcusdt@depth@100ms","data":{"e":"depthUpdate","E":1,"s":"ABCUSDT","U":99,"u":100,"b":[["9.40","7.0"]],"a":[]}}}"#,
            #"{"t":"10.1","kind":"snapshot","file":"snapshot.json"}"#,
            #"{"t":"10.2","kind":"depth","frame":{"stream":"abcusdt@depth@100ms","data":{"e":"depthUpdate","E":2,"s":"ABCUSDT","U":101,"u":105,"b":[["9.50","0.0"]],"a":[["9.70","4.0"]]}}}"#,
            #"{"t":"10.25","kind":"bookTicker","frame":{"stream":"abcusdt@bookTicker","data":{"u":1}}}"#,
            #"{"t":"11.2","kind":"depth","frame":{"stream":"abcusdt@depth@100ms","data":{"e":"depthUpdate","E":3,"s":"ABCUSDT","U":106,"u":109,"b":[["9.55","5.0"]],"a":[]}}}"#,
        ]
        try Data(lines.joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: path + "/events.jsonl"))
        try body(path)
    }

    private func run(loops: Bool, milliseconds: Int) throws -> (Bench, [NaiveClient.Frame], NaiveClient) {
        var result: (Bench, [NaiveClient.Frame], NaiveClient)?
        try folder { path in
            let recording = try Recording.load(path)
            var bench = try Bench("binance.com", { $0.loopsReplays = loops }, recordings: [recording])
            let client = NaiveClient(try bench.snapshot("ABCUSDT"), kind: .spot)
            let wire = RecordingWire()
            let session = try bench.session(wire, ["abcusdt@depth@100ms"])
            bench.run(milliseconds: milliseconds)
            #expect(session.names.count == 1)
            result = (bench, try wire.decoded(), client)
        }
        return try #require(result)
    }

    @Test func `a recording keeps its ids, its levels and its pace, and then rests`() throws {
        let (early, few, _) = try run(loops: false, milliseconds: 900)
        #expect(few.map(\.u) == [105])
        #expect(try early.market("ABCUSDT").truth(at: nil)?.id == 105)
        var (bench, frames, client) = try run(loops: false, milliseconds: 9000)
        #expect(client.id == 103)
        #expect(frames.map(\.U) == [101, 106])
        #expect(frames.map(\.u) == [105, 109])
        #expect(frames[0].b == [["9.50", "0.0"]] && frames[0].a == [["9.70", "4.0"]])
        for frame in frames { try client.take(frame) }
        let market = try bench.market("ABCUSDT")
        #expect(client.equals(market.truth(at: 109), market.format))
        #expect(market.truth(at: 103)?.bids.count == 2)
        bench.run(milliseconds: 5000)
        #expect(try bench.snapshot("ABCUSDT").lastUpdateId == 109)
    }

    @Test func `a looped recording goes on with an unbroken chain`() throws {
        var (bench, frames, client) = try run(loops: true, milliseconds: 20_000)
        #expect(frames.count > 12)
        for frame in frames { try client.take(frame) }
        let market = try bench.market("ABCUSDT")
        #expect(client.applied == frames.count)
        #expect(client.equals(market.truth(at: client.id), market.format))
    }

    @Test func `a recording replaces its synthetic twin`() throws {
        try folder { path in
            var recording = try Recording.load("binance.us=" + path)
            #expect(recording.exchange == "binance.us")
            recording.symbol = "ETHUSDT"
            let bench = try Bench("binance.us", recordings: [recording])
            #expect(bench.engine.symbols.filter { $0 == "ETHUSDT" }.count == 1)
            #expect(try bench.snapshot("ETHUSDT").lastUpdateId == 103)
        }
    }

    @Test func `the exchange is told by folder and by form`() {
        func infer(_ folder: String, _ symbol: String, _ hasPrevious: Bool) -> String {
            Recording.inferExchange(folder, symbol, hasPrevious: hasPrevious)
        }
        #expect(infer("r/cryptofeed/us/CRVUSDT", "CRVUSDT", false) == "binance.us")
        #expect(infer("r/cryptofeed/tr/BELBTC/", "BELBTC", false) == "trbinance.com")
        #expect(infer("r/hftbacktest/spot_btcusdt_100ms_60s", "BTCUSDT", false) == "binance.com")
        #expect(infer("r/hftbacktest/usdm_btcusdt_0ms_30s", "BTCUSDT", true) == "binance.com-futures")
        #expect(infer("coinm/BCHUSD_210924", "BCHUSD_210924", true) == "binance.com-coin_futures")
        #expect(infer("x", "BTC-251123-126000-C", true) == "binance.com-vanilla-options")
    }

    @Test func `a folder without a recording is refused with its name`() {
        #expect(throws: SimulatorError.self) { try Recording.load("/nonexistent") }
    }
}
