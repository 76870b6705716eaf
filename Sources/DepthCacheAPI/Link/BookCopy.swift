package import Books

/// A whole synchronised book of a worker, as another one takes it in place of a REST snapshot.
///
/// It carries what the exchange sent, scales included, and how far each side is complete.
package struct BookCopy: Equatable, Sendable {
    /// Which start of the worker gave it.
    package var incarnation: String
    package var venue: String
    package var market: String
    /// Both sides at one id, best first.
    package var snapshot: BookSnapshot
    /// Bids are complete at and above this price; nil if all are known.
    package var bidFloor: FixedDecimal?
    /// Asks are complete at and below this price; nil if all are known.
    package var askCeiling: FixedDecimal?

    /// How far the levels reach.
    package var coverage: SnapshotCoverage { .bounds(bidFloor: bidFloor, askCeiling: askCeiling) }

    /// The levels of the side that shows fewer, of those that are not whole; nil if both are.
    package var shortestReach: Int? {
        [
            bidFloor == nil ? nil : snapshot.bids.count,
            askCeiling == nil ? nil : snapshot.asks.count,
        ].compactMap(\.self).min()
    }

    /// More levels of one side than any worker keeps, and few enough that both fit the link's payload.
    package static let mostLevels = 200_000
    static let bytesPerLevel = 18

    package init(
        incarnation: String, venue: String, market: String, snapshot: BookSnapshot,
        bidFloor: FixedDecimal? = nil, askCeiling: FixedDecimal? = nil
    ) {
        self.incarnation = incarnation
        self.venue = venue
        self.market = market
        self.snapshot = snapshot
        self.bidFloor = bidFloor
        self.askCeiling = askCeiling
    }
}

/// What a worker answers to a `BookCopyRequest`.
package enum BookCopyAnswer: Equatable, Sendable {
    case copy(BookCopy)
    case refused(BookCopyRefusal)

    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        switch self {
        case .refused(let refusal):
            bytes.append(LinkPayload.version)
            bytes.append(1)
            bytes.append(refusal.code.rawValue)
            bytes.append(refusal.isComing ? 1 : 0)
            bytes.appendLittleEndian(refusal.id)
            bytes.appendText(refusal.reason, atMost: LinkPayload.longestText)
        case .copy(let copy):
            let snapshot = copy.snapshot
            bytes.reserveCapacity(
                100 + (snapshot.bids.count + snapshot.asks.count) * BookCopy.bytesPerLevel
                    + copy.incarnation.utf8.count + copy.venue.utf8.count + copy.market.utf8.count)
            bytes.append(LinkPayload.version)
            bytes.append(0)
            bytes.appendText(copy.incarnation, atMost: LinkPayload.longestName)
            bytes.appendText(copy.venue, atMost: LinkPayload.longestName)
            bytes.appendText(copy.market, atMost: LinkPayload.longestName)
            bytes.appendLittleEndian(snapshot.lastID)
            bytes.append(snapshot.eventTime == nil ? 0 : 1)
            bytes.appendLittleEndian(snapshot.eventTime ?? 0)
            bytes.append(snapshot.bids, boundedBy: copy.bidFloor)
            bytes.append(snapshot.asks, boundedBy: copy.askCeiling)
        }
        return bytes
    }

    /// Reads a payload; a copy that no book could have given is refused whole.
    package init(decoding bytes: [UInt8]) throws(LinkPayloadError) {
        var reader = PayloadReader(bytes)
        try reader.version()
        switch try reader.byte("outcome") {
        case 0: self = .copy(try reader.copy())
        case 1: self = .refused(try reader.refusal())
        case let outcome: throw LinkPayloadError("expected outcome 0 or 1, was \(outcome)")
        }
        try reader.end()
    }
}

extension PayloadReader {
    mutating func flag(_ field: StaticString) throws(LinkPayloadError) -> Bool {
        switch try byte(field) {
        case 0: return false
        case 1: return true
        case let other: throw LinkPayloadError("expected \(field) 0 or 1, was \(other)")
        }
    }

    fileprivate mutating func refusal() throws(LinkPayloadError) -> BookCopyRefusal {
        let number = try byte("refusal")
        guard let code = BookCopyRefusal.Code(rawValue: number) else {
            throw LinkPayloadError("expected refusal 0 to 7, was \(number)")
        }
        let isComing = try flag("coming flag")
        let id = try integer(Int64.self, "id")
        return BookCopyRefusal(
            code, isComing: isComing, id: id, reason: try text("reason", atMost: LinkPayload.longestText))
    }

    fileprivate mutating func copy() throws(LinkPayloadError) -> BookCopy {
        let incarnation = try text("incarnation", atMost: LinkPayload.longestName)
        let venue = try text("venue", atMost: LinkPayload.longestName)
        let market = try text("market", atMost: LinkPayload.longestName)
        let id = try integer(Int64.self, "id")
        let hasTime = try flag("event time flag")
        let time = try integer(Int64.self, "event time")
        guard id >= 0, time >= 0, hasTime || time == 0 else {
            throw LinkPayloadError("expected an id and a time, was \(id) and \(time)")
        }
        var copy = BookCopy(
            incarnation: incarnation, venue: venue, market: market,
            snapshot: BookSnapshot(lastID: id, eventTime: hasTime ? time : nil))
        (copy.snapshot.bids, copy.bidFloor) = try side(isBids: true)
        (copy.snapshot.asks, copy.askCeiling) = try side(isBids: false)
        return copy
    }

    private mutating func decimal(_ field: StaticString) throws(LinkPayloadError) -> FixedDecimal {
        let number = FixedDecimal(
            mantissa: try integer(Int64.self, field), scale: try byte(field))
        guard number.isValid, number.mantissa >= 0 else {
            throw LinkPayloadError("expected \(field), was \(number.mantissa) at scale \(number.scale)")
        }
        return number
    }

    /// One side: every level is there, better than the next one and inside the bound.
    private mutating func side(
        isBids: Bool
    ) throws(LinkPayloadError) -> (levels: [PriceLevel], bound: FixedDecimal?) {
        let isBounded = try flag("bound flag")
        let price = try decimal("bound")
        guard isBounded || price == FixedDecimal(mantissa: 0, scale: 0) else {
            throw LinkPayloadError("expected no bound, was \(price)")
        }
        let count = Int(try integer(UInt32.self, "level count"))
        guard count <= BookCopy.mostLevels, count * BookCopy.bytesPerLevel <= remaining else {
            throw LinkPayloadError("expected \(count) levels, was \(remaining) bytes")
        }
        var levels: [PriceLevel] = []
        levels.reserveCapacity(count)
        var last: FixedDecimal?
        for _ in 0..<count {
            let price = try decimal("price")
            let quantity = try decimal("quantity")
            guard quantity.mantissa > 0 else { throw LinkPayloadError("expected a quantity above 0") }
            if let last, !(isBids ? price.isLess(than: last) : last.isLess(than: price)) {
                throw LinkPayloadError("expected a price after \(last), was \(price)")
            }
            last = price
            levels.append(PriceLevel(price: price, quantity: quantity))
        }
        if isBounded, let last, isBids ? last.isLess(than: price) : price.isLess(than: last) {
            throw LinkPayloadError("expected levels up to \(price), was \(last)")
        }
        return (levels, isBounded ? price : nil)
    }
}

extension [UInt8] {
    fileprivate mutating func append(_ number: FixedDecimal) {
        appendLittleEndian(number.mantissa)
        append(number.scale)
    }

    fileprivate mutating func append(_ levels: [PriceLevel], boundedBy bound: FixedDecimal?) {
        let isCut = levels.count > BookCopy.mostLevels
        let levels = levels.prefix(BookCopy.mostLevels)
        // What does not fit is not covered.
        let bound = isCut ? levels.last?.price : bound
        append(bound == nil ? 0 : 1)
        append(bound ?? FixedDecimal(mantissa: 0, scale: 0))
        appendLittleEndian(UInt32(levels.count))
        for level in levels {
            append(level.price)
            append(level.quantity)
        }
    }
}
