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

    /// Runs `body` for every frame; returns the nanoseconds that each stretch of so many frames took.
    func measure(stretch: Int = 50, _ body: (RawSpan) throws -> Void) throws -> StretchTimes {
        let whole = unsafe bytes.span.bytes
        var times = StretchTimes()
        times.nanoseconds.reserveCapacity(ranges.count / stretch + 1)
        var start = ContinuousClock().now
        for first in stride(from: 0, to: ranges.count, by: stretch) {
            for range in ranges[first..<min(first + stretch, ranges.count)] {
                try body(whole.extracting(range))
            }
            let now = ContinuousClock().now
            let passed = (now - start).components
            times.nanoseconds.append(Double(passed.seconds) * 1e9 + Double(passed.attoseconds) / 1e9)
            start = now
        }
        return times
    }
}

/// The times of one pass, stretch by stretch.
struct StretchTimes {
    var nanoseconds: [Double] = []

    var total: Double { nanoseconds.reduce(0, +) }

    /// The better time of each stretch: what is left when other programs took the core during some of the passes.
    func best(_ other: StretchTimes) -> StretchTimes {
        guard !other.nanoseconds.isEmpty else { return self }
        return StretchTimes(nanoseconds: zip(nanoseconds, other.nanoseconds).map { min($0, $1) })
    }
}
