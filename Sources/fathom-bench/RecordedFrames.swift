import Arguments
import Binance
import Books
import FoundationEssentials

/// The depth frames of one recording, one behind the other as they would come from a socket.
struct RecordedFrames {
    var bytes: [UInt8] = []
    var ranges: [Range<Int>] = []
    var snapshot: BookSnapshot
    var exchange: Exchange

    init(folder: String) throws {
        guard let spot = ExchangeDirectory()[name: "binance.com"] else {
            throw ArgumentError("binance.com is not in the table of exchanges")
        }
        exchange = spot
        snapshot = try SnapshotParser.parse(Self.read("\(folder)/snapshot.json"))
        let marker = Array("\"kind\":\"depth\",\"frame\":".utf8)
        for line in try Self.read("\(folder)/events.jsonl").split(separator: 0x0A) {
            guard let place = line.firstRange(of: marker) else { continue }
            let start = bytes.count
            bytes += line[place.upperBound..<(line.endIndex - 1)]
            ranges.append(start..<bytes.count)
        }
        guard !ranges.isEmpty else { throw ArgumentError("expected depth frames in \(folder), found none") }
    }

    private static func read(_ path: String) throws(ArgumentError) -> [UInt8] {
        do {
            return try Array(Data(contentsOf: URL(filePath: path)))
        } catch {
            throw ArgumentError(
                "expected a recording, could not read '\(path)'; --recording names its folder")
        }
    }

    /// The recording that the figures are about.
    static func defaultFolder(_ environment: [String: String]) -> String {
        let root = environment["FATHOM_RECORDINGS"] ?? "../shared/data/recordings"
        return root + "/hftbacktest/spot_btcusdt_100ms_full_651s"
    }

    /// Runs `body` for every frame; returns the nanoseconds it all took.
    func measure(_ body: (RawSpan) throws -> Void) throws -> Double {
        let whole = unsafe bytes.span.bytes
        let start = ContinuousClock().now
        for range in ranges { try body(whole.extracting(range)) }
        let passed = (ContinuousClock().now - start).components
        return Double(passed.seconds) * 1e9 + Double(passed.attoseconds) / 1e9
    }
}
