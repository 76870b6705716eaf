import FoundationEssentials
import Testing

@testable import exchange_simulator

/// The recordings beside the repository, where they are there.
struct RecordedTests {
    static let root =
        #filePath.split(separator: "/").dropLast(4).reduce("") { $0 + "/" + $1 }
        + "/shared/data/recordings"
    static let folders: [String] = [
        "hftbacktest", "cryptofeed/spot", "cryptofeed/us", "cryptofeed/tr", "cryptofeed/usdm",
        "cryptofeed/coinm",
    ].flatMap { group in
        let names = (try? FileManager.default.contentsOfDirectory(atPath: root + "/" + group)) ?? []
        return names.sorted().map { group + "/" + $0 }
            .filter { FileManager.default.fileExists(atPath: root + "/" + $0 + "/expected.json") }
    }

    private struct Expected: Decodable {
        var final_u: Int64
        var final_levels: [Int]
        var applied: Int
        var top20_bids: [[String]]
        var top20_asks: [[String]]
    }

    @Test(.enabled(if: !folders.isEmpty), arguments: folders)
    func `a replayed recording ends in the recorded book`(_ folder: String) throws {
        let recording = try Recording.load(Self.root + "/" + folder)
        let expected = try JSONDecoder().decode(
            Expected.self,
            from: Data(contentsOf: URL(fileURLWithPath: Self.root + "/" + folder + "/expected.json")))
        var bench = try Bench(recording.exchange, { $0.pace = 1000 }, recordings: [recording])
        let wire = RecordingWire()
        let suffix = bench.kind == .spot ? "@depth@100ms" : "@depth@0ms"
        let session = try bench.session(wire, [recording.symbol.lowercased() + suffix])
        bench.run(milliseconds: 2000)
        let market = try bench.market(recording.symbol)
        let truth = try #require(market.truth(at: nil))
        #expect(truth.id == expected.final_u)
        #expect([truth.bids.count, truth.asks.count] == expected.final_levels)
        let format = market.format
        func top(_ levels: [[String]], _ sign: Int64) -> [Level] {
            levels.compactMap {
                guard let price = DecimalFormat.parse($0[0], scale: format.priceScale),
                    let quantity = DecimalFormat.parse($0[1], scale: format.quantityScale)
                else { return nil }
                return Level(key: sign * price, quantity: quantity)
            }
        }
        #expect(Array(truth.bids.prefix(20)) == top(expected.top20_bids, 1))
        #expect(Array(truth.asks.prefix(20)) == top(expected.top20_asks, -1))
        #expect(abs(wire.frames.count - expected.applied) <= 1)
        #expect(session.names.count == 1)
    }
}
