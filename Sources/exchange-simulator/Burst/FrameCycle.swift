/// A market whose events were written once and are sent again and again, only ids and times are new.
///
/// The cycle goes forth and back: each event of its first half is undone by one of the second, so that after a
/// round the book is what it was before, and every event changes as many levels as any other.
struct FrameCycle {
    let symbol: String
    private let format: DecimalFormat
    private let start: MarketBook
    private let events: [[Change]]
    /// Whole WebSocket frames, one behind the other.
    private(set) var bytes: [UInt8] = []
    private(set) var frames: [Frame] = []
    private(set) var position = 0
    private(set) var lastID: Int64
    /// Ids that an event covers.
    private let idStep: Int64

    struct Frame {
        var range: Range<Int>
        /// Where the digits of the event's time and ids begin in `bytes`.
        var time: Int
        var first: Int
        var last: Int
    }

    /// Ids and times always have so many digits.
    private static let digits = 13

    init(symbol: String, settings: EngineSettings, count: Int) {
        self.symbol = symbol
        let seed = SeededRandom.seed(settings.seed, symbol)
        let shape = MarketShape.of(symbol, kind: .spot)
        var source = SyntheticSource(shape: shape, depth: settings.depth, seed: seed)
        format = shape.format
        start = source.initialBook()
        idStep = Int64(settings.changesPerEvent)
        lastID = 1_000_000_000_000 + Int64(truncatingIfNeeded: seed >> 40)
        var book = start
        var forth: [[Change]] = []
        var back: [[Change]] = []
        for _ in 0..<max(1, count / 2) {
            let changes = source.nextChanges(book, count: settings.changesPerEvent)
            var undone: [Change] = []
            for level in changes {
                let previous = book.set(level.key, level.quantity)
                undone.append(Change(id: 0, key: level.key, quantity: previous))
            }
            forth.append(changes.map { Change(id: 0, key: $0.key, quantity: $0.quantity) })
            back.append(undone.reversed())
        }
        events = forth + back.reversed()
        for event in events { render(event) }
    }

    private mutating func render(_ event: [Change]) {
        var writer = ByteWriter(capacity: 4096)
        writer.raw(
            "{\"stream\":\"\(symbol.lowercased())@depth@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":")
        let time = writer.byteCount
        writer.integer(1_000_000_000_000)
        writer.raw(",\"s\":\"\(symbol)\",\"U\":")
        let first = writer.byteCount
        writer.integer(1_000_000_000_000)
        writer.literal(",\"u\":")
        let last = writer.byteCount
        writer.integer(1_000_000_000_000)
        let sorted = event.sorted { $0.key > $1.key }
        let bidCount = sorted.firstIndex { $0.key < 0 } ?? sorted.count
        writer.literal(",\"b\":[")
        writer.levels(sorted[..<bidCount], format)
        writer.literal("],\"a\":[")
        writer.levels(sorted[bidCount...], format)
        writer.literal("]}}")
        let count = writer.byteCount
        let begin = bytes.count
        bytes.append(0x81)
        if count < 126 {
            bytes.append(UInt8(count))
        } else if count < 65_536 {
            bytes += [126, UInt8(count >> 8), UInt8(count & 255)]
        } else {
            bytes.append(127)
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: count >> shift))
            }
        }
        let text = bytes.count
        bytes += writer.bytes
        frames.append(
            Frame(range: begin..<bytes.count, time: text + time, first: text + first, last: text + last))
    }

    /// Appends the next frame to `output`.
    mutating func appendNext(to output: inout [UInt8], time: Int64) {
        let frame = frames[position]
        let base = output.count - frame.range.lowerBound
        unsafe bytes.withUnsafeBytes { unsafe output.append(contentsOf: $0[frame.range]) }
        Self.write(time, &output, base + frame.time)
        Self.write(lastID + 1, &output, base + frame.first)
        lastID += idStep
        Self.write(lastID, &output, base + frame.last)
        position = position + 1 == frames.count ? 0 : position + 1
    }

    private static func write(_ value: Int64, _ bytes: inout [UInt8], _ place: Int) {
        var rest = UInt64(clamping: value)
        unsafe bytes.withUnsafeMutableBufferPointer { bytes in
            for index in stride(from: place + digits - 1, through: place, by: -1) {
                unsafe bytes[index] = UInt8(truncatingIfNeeded: 48 + rest % 10)
                rest /= 10
            }
        }
    }

    /// The book after the last event that was sent.
    func snapshot(limit: Int) -> [UInt8] {
        var book = start
        for event in events[..<position] { for change in event { book.set(change.key, change.quantity) } }
        let snapshot = MarketSnapshot(id: lastID, bids: book.bids.top(limit), asks: book.asks.top(limit))
        var writer = ByteWriter(capacity: 65_536)
        writer.literal("{\"lastUpdateId\":")
        writer.integer(lastID)
        writer.literal(",")
        writer.sides(snapshot, format)
        writer.literal("}")
        return writer.bytes
    }
}
