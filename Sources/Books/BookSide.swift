/// Which side of a book.
package enum Side: Sendable, Hashable, CaseIterable {
    case bids
    case asks
}

/// One side of a book: its ladder, and how far from the best price it is complete.
package struct BookSide: ~Copyable, Sendable {
    package let side: Side
    package private(set) var ladder = Ladder()
    /// The scale that all keys share: the largest that was sent.
    package private(set) var priceScale: UInt8 = 0
    /// The largest scale of a quantity so far.
    package private(set) var quantityScale: UInt8 = 0
    /// The worst key up to which the side is complete; nil if the whole side is known.
    package private(set) var bound: Int64?
    /// Whether levels beyond the bound are kept (for replays only).
    package let keepsAll: Bool

    package init(_ side: Side, keepsAll: Bool = false) {
        self.side = side
        self.keepsAll = keepsAll
    }

    /// The number of levels that are held; without `keepsAll` all of them are inside the bound.
    package var count: Int { ladder.count }
    package var isEmpty: Bool { ladder.isEmpty }
    /// Whether the whole side is known.
    package var isWhole: Bool { bound == nil }

    /// The price up to which the side is complete; nil if the whole side is known.
    package var coveredTo: FixedDecimal? { bound.map { price(ofKey: $0) } }

    /// The number of levels inside the bound.
    package var coveredCount: Int {
        guard keepsAll, let bound else { return count }
        var covered = 0
        var slot = ladder.liveSlot(below: ladder.slots)
        while slot >= 0, ladder.key(at: slot) >= bound {
            covered += 1
            slot = ladder.liveSlot(below: slot)
        }
        return covered
    }

    /// Calls `body` with each of the best `limit` levels, best first.
    package func forEachLevel(limit: Int = .max, _ body: (PriceLevel) -> Void) {
        var left = limit
        var slot = ladder.liveSlot(below: ladder.slots)
        while slot >= 0, left > 0 {
            body(level(at: slot))
            slot = ladder.liveSlot(below: slot)
            left -= 1
        }
    }

    private func level(at index: Int) -> PriceLevel {
        let scales = ladder.scales(at: index)
        let sentScale = UInt8(truncatingIfNeeded: scales)
        var mantissa = ladder.key(at: index).magnitude
        if sentScale != priceScale { mantissa /= UInt64(powerOfTen(Int(priceScale - sentScale))) }
        return PriceLevel(
            price: FixedDecimal(mantissa: Int64(clamping: mantissa), scale: sentScale),
            quantity: FixedDecimal(
                mantissa: ladder.quantity(at: index), scale: UInt8(truncatingIfNeeded: scales >> 8)))
    }

    /// The best level, if there is one.
    package var best: PriceLevel? { isEmpty ? nil : level(at: ladder.slots - 1) }

    private func price(ofKey key: Int64) -> FixedDecimal {
        FixedDecimal(mantissa: Int64(clamping: key.magnitude), scale: priceScale)
    }

    /// Brings the side to what `levels` say; levels beyond the bound are left out.
    ///
    /// All slots of a group are looked for before the first is changed: what is done with a level cannot be
    /// foretold, and so a search would wait for it.
    package mutating func apply(_ levels: [PriceLevel]) throws(BookError) {
        let span = levels.span
        var first = 0
        while first < span.count {
            let group = span.extracting(first..<min(first &+ Self.groupCount, span.count))
            if !put(group) {
                for index in group.indices { try put(group[index], near: ladder.slots) }
            }
            first &+= Self.groupCount
        }
    }

    /// The lines of a group, two for each level, should be no more than the processor can ask for at a time.
    private static let groupCount = 12

    /// Puts a group of levels; false, with nothing changed, if not all have the common price scale.
    ///
    /// In three steps, so that what one step needs from memory is on its way while others are at it.
    @inline(__always)
    private mutating func put(_ group: Span<PriceLevel>) -> Bool {
        var places = InlineArray<12, Int32>(repeating: 0)
        let last = group.count &- 1
        for first in stride(from: 0, through: last, by: 4) {
            let (one, two) = (group[first], group[min(first &+ 1, last)])
            let (three, four) = (group[min(first &+ 2, last)], group[min(first &+ 3, last)])
            guard one.priceScale == priceScale, two.priceScale == priceScale, three.priceScale == priceScale,
                four.priceScale == priceScale
            else { return false }
            let lines = ladder.lines(of: key(one), key(two), key(three), key(four))
            ladder.prefetch(line: lines.0)
            ladder.prefetch(line: lines.1)
            ladder.prefetch(line: lines.2)
            ladder.prefetch(line: lines.3)
            places[first] = Int32(truncatingIfNeeded: lines.0)
            places[first &+ 1] = Int32(truncatingIfNeeded: lines.1)
            places[first &+ 2] = Int32(truncatingIfNeeded: lines.2)
            places[first &+ 3] = Int32(truncatingIfNeeded: lines.3)
        }
        for index in group.indices {
            let slot = ladder.slot(of: key(group[index]), inLine: Int(places[index]))
            ladder.prefetch(slot: slot)
            places[index] = Int32(truncatingIfNeeded: slot)
        }
        for index in group.indices { put(group[index], key: key(group[index]), near: Int(places[index])) }
        return true
    }

    /// The key of a level whose price has the common scale.
    @inline(__always)
    private func key(_ level: PriceLevel) -> Int64 {
        side == .asks ? 0 &- level.priceMantissa : level.priceMantissa
    }

    @inline(__always)
    private mutating func put(_ level: PriceLevel, key: Int64, near: Int) {
        if let bound, key < bound, !keepsAll { return }
        if level.quantityScale > quantityScale { quantityScale = level.quantityScale }
        ladder.set(
            key: key, quantity: level.quantityMantissa,
            scales: UInt16(level.priceScale) | UInt16(level.quantityScale) << 8, near: near)
    }

    @inline(never)
    private mutating func put(_ level: PriceLevel, near: Int) throws(BookError) {
        var key = level.priceMantissa
        if level.priceScale != priceScale { key = try keyAtCommonScale(level) }
        put(level, key: side == .asks ? 0 &- key : key, near: near)
    }

    @inline(never)
    private mutating func keyAtCommonScale(_ level: PriceLevel) throws(BookError) -> Int64 {
        if level.priceScale > priceScale {
            let factor = powerOfTen(Int(level.priceScale - priceScale))
            if let bound {
                let (scaled, overflowed) = bound.multipliedReportingOverflow(by: factor)
                if overflowed { throw .numberOutOfRange }
                guard ladder.multiplyKeys(by: factor) else { throw .numberOutOfRange }
                self.bound = scaled
            } else if !ladder.multiplyKeys(by: factor) {
                throw .numberOutOfRange
            }
            priceScale = level.priceScale
            return level.priceMantissa
        }
        let factor = powerOfTen(Int(priceScale - level.priceScale))
        let (key, overflowed) = level.priceMantissa.multipliedReportingOverflow(by: factor)
        if overflowed { throw .numberOutOfRange }
        return key
    }

    /// Replaces everything by the levels of a snapshot that reaches as far as `coverage` says.
    package mutating func load(_ levels: [PriceLevel], coverage: SideCoverage) throws(BookError) {
        bound = nil
        priceScale = levels.lazy.map(\.priceScale).max() ?? 0
        quantityScale = 0
        ladder.removeAll(expecting: levels.count + levels.count / 8)
        if case .to(let price) = coverage {
            priceScale = max(priceScale, price.scale)
            let key = try keyAtCommonScale(
                PriceLevel(price: price, quantity: FixedDecimal(mantissa: 0, scale: 0)))
            bound = side == .asks ? 0 &- key : key
        }
        // A snapshot lists the best first, so from its end every level is a new best one.
        for level in levels.reversed() where level.quantityMantissa != 0 {
            try put(level, near: ladder.slots)
        }
        if case .limit(let limit) = coverage, ladder.count > 0,
            !SideCoverage.isWhole(levelCount: levels.count, limit: limit)
        {
            bound = ladder.key(at: 0)
        }
    }

    /// Whether this side knows more than `other`: it is complete to a price farther from the best one.
    package func reachesFarther(than other: borrowing BookSide) -> Bool {
        guard let ours = coveredTo else { return !other.isWhole }
        guard let theirs = other.coveredTo else { return false }
        return side.isBeyond(ours, theirs)
    }

    /// Takes over what `fresh`, of the same id, knows; beyond that it keeps what it has.
    mutating func merge(_ fresh: inout BookSide) throws(BookError) {
        guard reachesFarther(than: fresh), let seam = fresh.coveredTo else {
            swap(&self, &fresh)
            return
        }
        var levels: [PriceLevel] = []
        fresh.forEachLevel { levels.append($0) }
        forEachLevel { if side.isBeyond($0.price, seam) { levels.append($0) } }
        try fresh.load(levels, coverage: coveredTo.map { .to($0) } ?? .whole)
        swap(&self, &fresh)
    }

    /// Drops the worst levels beyond `count` and moves the bound inwards with them.
    package mutating func trim(to wanted: Int) {
        guard count > wanted, wanted > 0 else { return }
        ladder.removeWorst(count - wanted)
        bound = ladder.key(at: 0)
    }
}
