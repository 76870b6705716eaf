import Books
import FoundationEssentials
import Testing
import Transport

@testable import Binance

/// Where the recordings are; they are not part of the repository.
enum Recordings {
    static let root: String = {
        if let path = ProcessInfo.processInfo.environment["FATHOM_RECORDINGS"] { return path }
        return FileManager.default.currentDirectoryPath + "/../shared/data/recordings"
    }()

    /// Every data set, as its path below the root.
    static let sets: [String] = {
        var found: [String] = []
        let files = FileManager.default
        for source in ["hftbacktest", "cryptofeed"] {
            for name in (try? files.contentsOfDirectory(atPath: "\(root)/\(source)")) ?? [] {
                let path = "\(source)/\(name)"
                if files.fileExists(atPath: "\(root)/\(path)/expected.json") { found.append(path) }
                for inner in (try? files.contentsOfDirectory(atPath: "\(root)/\(path)")) ?? []
                where files.fileExists(atPath: "\(root)/\(path)/\(inner)/expected.json") {
                    found.append("\(path)/\(inner)")
                }
            }
        }
        return found.sorted()
    }()

    static func exchange(_ path: String) -> String {
        if path.contains("/usdm") { return "binance.com-futures" }
        if path.contains("/coinm") { return "binance.com-coin_futures" }
        if path.contains("/us/") { return "binance.us" }
        return path.contains("/tr/") ? "trbinance.com" : "binance.com"
    }

    static func bytes(_ path: String) throws -> [UInt8] {
        try Array(Data(contentsOf: URL(filePath: "\(root)/\(path)")))
    }
}

private struct Expected: Decodable {
    var dropped: Int
    var applied: Int
    var gaps: Int
    var final_u: Int64
    var book_sha256: String
    var top20_bids: [[String]]
    var top20_asks: [[String]]
}

@Suite(.enabled(if: !Recordings.sets.isEmpty, "no recordings; set FATHOM_RECORDINGS to their folder"))
struct RecordingTests {
    @Test func `all twenty-four recordings are there`() { #expect(Recordings.sets.count == 24) }

    @Test(arguments: Recordings.sets)
    func `a recording leads to the expected book`(path: String) throws {
        let expected = try JSONDecoder().decode(
            Expected.self, from: Data(Recordings.bytes("\(path)/expected.json")))
        let exchange = try #require(ExchangeDirectory()[name: Recordings.exchange(path)])
        var replay = try RecordingReplay(
            exchange: exchange, snapshot: Recordings.bytes("\(path)/snapshot.json"))
        for line in try Recordings.bytes("\(path)/events.jsonl").split(separator: 0x0A) {
            try replay.receive(line: line)
        }
        let result = replay.finish(depth: 20)
        #expect(result.reason == nil)
        #expect(result.dropped == expected.dropped)
        #expect(result.applied == expected.applied)
        #expect(result.gaps == expected.gaps)
        #expect(result.finalID == expected.final_u)
        #expect(Digest.hex(Digest.sha256(result.canonicalText)) == expected.book_sha256)
        #expect(result.bids.map(canonical) == expected.top20_bids)
        #expect(result.asks.map(canonical) == expected.top20_asks)
    }

    private func canonical(_ level: PriceLevel) -> [String] {
        [level.price, level.quantity].map { number in
            var bytes: [UInt8] = []
            DecimalText.canonical.append(number, to: &bytes)
            return String(decoding: bytes, as: UTF8.self)
        }
    }
}
