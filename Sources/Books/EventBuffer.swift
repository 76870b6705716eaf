/// Events that wait for a snapshot, packed into words: 18 bytes a level instead of the frame's text.
package struct EventBuffer: Sendable {
    /// How much may wait.
    package struct Limit: Sendable, Equatable {
        package var events: Int
        package var bytes: Int

        package init(events: Int = 20_000, bytes: Int = 4 << 20) {
            self.events = events
            self.bytes = bytes
        }
    }

    private var words: [Int64] = []
    private var head = 0
    package private(set) var count = 0
    package let limit: Limit

    package init(limit: Limit = Limit()) { self.limit = limit }

    package var isEmpty: Bool { count == 0 }
    package var byteCount: Int { (words.count - head) * 8 }

    private static let headerWords = 7

    private static func wordCount(levels: Int) -> Int { levels * 2 + (levels + 3) / 4 }

    /// Adds an event; false, with nothing added, if the limit does not allow it.
    package mutating func append(_ event: borrowing DepthEvent, receivedTime: Int64) -> Bool {
        let levels = event.bids.count + event.asks.count
        let needed = Self.headerWords + Self.wordCount(levels: levels)
        guard count < limit.events, byteCount + needed * 8 <= limit.bytes else { return false }
        if head > 0, head * 2 > words.count {
            words.removeFirst(head)
            head = 0
        }
        words.append(event.first)
        words.append(event.last)
        words.append(event.sentPrevious ?? -1)
        words.append(event.eventTime)
        words.append(receivedTime)
        words.append(Int64(event.bids.count))
        words.append(Int64(event.asks.count))
        pack(event.bids)
        pack(event.asks)
        var pending: Int64 = 0
        for index in 0..<levels {
            let isBid = index < event.bids.count
            let level = isBid ? event.bids[index] : event.asks[index - event.bids.count]
            let scales = Int64(level.priceScale) | Int64(level.quantityScale) << 8
            pending |= scales << Int64(index % 4 * 16)
            if index % 4 == 3 || index == levels - 1 {
                words.append(pending)
                pending = 0
            }
        }
        count += 1
        return true
    }

    private mutating func pack(_ levels: [PriceLevel]) {
        for level in levels {
            words.append(level.priceMantissa)
            words.append(level.quantityMantissa)
        }
    }

    /// Takes the oldest event out into `event`; returns when it was received, nil if there is none.
    package mutating func popFirst(into event: inout DepthEvent) -> Int64? {
        guard count > 0 else { return nil }
        event.reset()
        event.first = words[head]
        event.last = words[head + 1]
        event.sentPrevious = words[head + 2] < 0 ? nil : words[head + 2]
        event.eventTime = words[head + 3]
        let receivedTime = words[head + 4]
        let bids = Int(words[head + 5])
        let levels = bids + Int(words[head + 6])
        let start = head + Self.headerWords
        for index in 0..<levels {
            let scales = words[start + levels * 2 + index / 4] >> Int64(index % 4 * 16)
            let level = PriceLevel(
                price: FixedDecimal(
                    mantissa: words[start + index * 2], scale: UInt8(truncatingIfNeeded: scales)),
                quantity: FixedDecimal(
                    mantissa: words[start + index * 2 + 1], scale: UInt8(truncatingIfNeeded: scales >> 8)))
            if index < bids { event.bids.append(level) } else { event.asks.append(level) }
        }
        head = start + Self.wordCount(levels: levels)
        count -= 1
        if count == 0 { removeAll() }
        return receivedTime
    }

    /// The oldest event without its levels.
    package var firstHeader: DepthEvent? {
        guard count > 0 else { return nil }
        return DepthEvent(
            first: words[head], last: words[head + 1],
            sentPrevious: words[head + 2] < 0 ? nil : words[head + 2], eventTime: words[head + 3])
    }

    /// When the oldest event was received; nil if there is none.
    package var firstReceivedTime: Int64? { count > 0 ? words[head + 4] : nil }

    /// Calls `body` with the events without their levels, oldest first, until it returns false.
    package func forEachHeader(_ body: (borrowing DepthEvent) -> Bool) {
        var place = head
        for _ in 0..<count {
            let header = DepthEvent(
                first: words[place], last: words[place + 1],
                sentPrevious: words[place + 2] < 0 ? nil : words[place + 2], eventTime: words[place + 3])
            guard body(header) else { return }
            place += Self.headerWords + Self.wordCount(levels: Int(words[place + 5] + words[place + 6]))
        }
    }

    /// Drops the oldest event.
    package mutating func removeFirst() {
        guard count > 0 else { return }
        let levels = Int(words[head + 5] + words[head + 6])
        head += Self.headerWords + Self.wordCount(levels: levels)
        count -= 1
        if count == 0 { removeAll() }
    }

    /// Drops everything and gives the memory back.
    package mutating func removeAll() {
        words = []
        head = 0
        count = 0
    }
}
