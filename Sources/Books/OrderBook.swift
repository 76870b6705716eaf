internal import Synchronization

/// The two sides of one market at one update id.
///
/// It knows prices and quantities, and how far it sees; whether it is current is the synchroniser's matter.
package struct OrderBook: ~Copyable, Sendable {
    package private(set) var bids: BookSide
    package private(set) var asks: BookSide
    /// The id of the last change that is in the book.
    package private(set) var lastID: Int64 = 0
    /// The exchange's time of the last change in milliseconds; nil if none was sent.
    package private(set) var eventTime: Int64?
    /// When the last change was received, in milliseconds since 1970.
    package private(set) var receivedTime: Int64 = 0

    /// Names this state of this book: another one follows on every change, and no two books share any.
    package private(set) var version = OrderBook.firstVersion()

    /// So often may a book change before its versions meet those of the next one: decades, at a thousand times a second.
    private static let versionsOfABook: UInt64 = 1 << 40
    private static let made = Atomic<UInt64>(0)
    private static func firstVersion() -> UInt64 {
        made.add(1, ordering: .relaxed).newValue &* versionsOfABook
    }

    /// An empty book; `keepsAll` keeps levels beyond the coverage too, as replays need.
    package init(keepsAll: Bool = false) {
        bids = BookSide(.bids, keepsAll: keepsAll)
        asks = BookSide(.asks, keepsAll: keepsAll)
    }

    /// The bytes that the levels take.
    package var byteCount: Int { bids.ladder.byteCount + asks.ladder.byteCount }
    package var isEmpty: Bool { bids.isEmpty && asks.isEmpty }

    /// Whether the best bid is at or above the best ask.
    package var isCrossed: Bool {
        guard !bids.isEmpty, !asks.isEmpty else { return false }
        let bid = bids.ladder.key(at: bids.ladder.slots - 1)
        let ask = -asks.ladder.key(at: asks.ladder.slots - 1)
        if bids.priceScale == asks.priceScale { return bid >= ask }
        let scale = max(bids.priceScale, asks.priceScale)
        return Int128(bid) * Int128(powerOfTen(Int(scale - bids.priceScale)))
            >= Int128(ask) * Int128(powerOfTen(Int(scale - asks.priceScale)))
    }

    /// Whether a side has no level left inside its coverage: the best price lies beyond what is known.
    package var hasLostCoverage: Bool {
        (bids.isEmpty && !bids.isWhole) || (asks.isEmpty && !asks.isWhole)
    }

    /// Asks for the memory that the next event will most likely touch, without waiting for it.
    package func prefetch() {
        bids.ladder.prefetch()
        asks.ladder.prefetch()
    }

    /// Asks for the memory of the best prices, without waiting for it.
    package func prefetchBest() {
        bids.ladder.prefetchBest()
        asks.ladder.prefetchBest()
    }

    /// Brings the book to the end of `event`; that it follows on the book is checked by the caller.
    package mutating func apply(_ event: borrowing DepthEvent, receivedTime: Int64) throws(BookError) {
        version &+= 1
        try bids.apply(event.bids)
        try asks.apply(event.asks)
        lastID = max(lastID, event.last)
        if event.eventTime != 0 { eventTime = event.eventTime }
        self.receivedTime = receivedTime
    }

    /// Replaces the book by a snapshot that reaches as far as `coverage` says.
    package mutating func load(
        _ snapshot: borrowing BookSnapshot, coverage: SnapshotCoverage, receivedTime: Int64
    ) throws(BookError) {
        version &+= 1
        try bids.load(snapshot.bids, coverage: coverage.ofSide(.bids))
        try asks.load(snapshot.asks, coverage: coverage.ofSide(.asks))
        lastID = snapshot.lastID
        eventTime = snapshot.eventTime
        self.receivedTime = receivedTime
    }

    /// Takes over what `fresh`, which stands at the same id, knows, and keeps what lies beyond it.
    ///
    /// False if it stands elsewhere, or if numbers of the two do not fit one scale; the book is exact either way.
    package mutating func merge(_ fresh: inout OrderBook, isAhead: Bool = false) -> Bool {
        version &+= 1
        guard fresh.lastID == lastID || (isAhead && fresh.lastID > lastID) else { return false }
        do throws(BookError) {
            try bids.merge(&fresh.bids)
            try asks.merge(&fresh.asks)
            return true
        } catch {
            return false
        }
    }

    /// Keeps at most `count` levels a side; what is dropped is no longer covered.
    package mutating func trim(to count: Int) {
        version &+= 1
        bids.trim(to: count)
        asks.trim(to: count)
    }

    /// The best `limit` levels of a side (all if nil), best first; answers are rendered without this copy.
    package func levels(_ side: Side, limit: Int? = nil) -> [PriceLevel] {
        var levels: [PriceLevel] = []
        let wanted = max(limit ?? .max, 0)
        switch side {
        case .bids: bids.forEachLevel(limit: wanted) { levels.append($0) }
        case .asks: asks.forEachLevel(limit: wanted) { levels.append($0) }
        }
        return levels
    }

    /// Appends the canonical text of all levels: bids from high to low, then asks from low to high, one a line.
    package func appendCanonicalText(to bytes: inout [UInt8]) {
        bids.appendCanonicalText(mark: 0x62, to: &bytes)
        asks.appendCanonicalText(mark: 0x61, to: &bytes)
    }
}

extension BookSide {
    fileprivate func appendCanonicalText(mark: UInt8, to bytes: inout [UInt8]) {
        forEachLevel { level in
            bytes.append(mark)
            bytes.append(0x20)
            DecimalText.canonical.append(level.price, to: &bytes)
            bytes.append(0x20)
            DecimalText.canonical.append(level.quantity, to: &bytes)
            bytes.append(0x0A)
        }
    }
}
