import Glibc

/// A small, fast, seeded source of random numbers, so that a run can be repeated.
struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed &+ 0x9E37_79B9_7F4A_7C15 }

    /// A seed for one market, made of the run's seed and the market's name.
    static func seed(_ run: UInt64, _ name: String) -> UInt64 {
        name.utf8.reduce(run ^ 0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A number in `0..<bound`, with a negligible bias.
    mutating func below(_ bound: Int) -> Int {
        Int(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(max(1, bound))).high)
    }

    /// A number in `0..<bound` that is small much more often than large.
    mutating func skewed(_ bound: Int) -> Int {
        let unit = Double(next() >> 11) * 0x1p-53
        return min(bound - 1, Int(unit * unit * unit * Double(bound)))
    }

    /// The same with another exponent than three: 1 is even, more is nearer to zero.
    mutating func skewed(_ bound: Int, exponent: Double) -> Int {
        guard exponent != 3 else { return skewed(bound) }
        return min(bound - 1, Int(pow(Double(next() >> 11) * 0x1p-53, exponent) * Double(bound)))
    }
}

/// What the market of a symbol looks like before anything happens.
struct MarketShape: Sendable {
    var format: DecimalFormat
    /// In units of the last decimal: the mid price, the smallest price step, the smallest quantity.
    var mid: Int64
    var tick: Int64
    var lot: Int64

    /// A shape that fits the exchange's kind and differs from symbol to symbol.
    static func of(_ symbol: String, kind: MarketKind) -> MarketShape {
        let prices: [(String, Int64, Int64)] = [
            ("BTC", 60_000_00, 1), ("ETH", 3_000_00, 1), ("BNB", 600_00, 1), ("SOL", 150_00, 1),
        ]
        let known = prices.first { symbol.hasPrefix($0.0) }
        let hash = Int64(SeededRandom.seed(7, symbol) % 90_000)
        // In hundredths for the well-known ones, else in ten thousandths.
        let (mid, scale) = known.map { ($0.1, 2) } ?? (symbol.hasPrefix("XRP") ? 6_000 : 10_000 + hash, 4)
        switch kind {
        case .spot:
            let unit: Int64 = scale == 2 ? 1_000_000 : 10_000
            return MarketShape(
                format: DecimalFormat(priceScale: 8, quantityScale: 8), mid: mid * unit, tick: unit,
                lot: 1000)
        case .usdMargined:
            return MarketShape(
                format: DecimalFormat(priceScale: scale, quantityScale: 3), mid: mid, tick: 1, lot: 1)
        case .coinMargined:
            return MarketShape(
                format: DecimalFormat(priceScale: scale, quantityScale: 0), mid: mid, tick: 1, lot: 1)
        case .options:
            return MarketShape(
                format: DecimalFormat(priceScale: 4, quantityScale: 4), mid: 1_500_000 + hash, tick: 10,
                lot: 100)
        }
    }
}

/// How the orders of a synthetic book lie around its price.
struct OrderSpread: Sendable {
    /// How far from the price the last orders lie, in percent of it; nil: twelve ticks for each level of the depth.
    var percent: Double?
    /// 1 spreads the orders evenly, more crowds them at the best prices.
    var exponent = 3.0
}

/// A random walk with orders around it: decides what the next event of a synthetic market changes.
struct SyntheticSource: Sendable {
    let shape: MarketShape
    let depth: Int
    let spread: OrderSpread
    /// Ticks that the best price moves per event, on average, on top of the random walk.
    var driftPerEvent: Double
    private var random: SeededRandom
    private var driftDue = 0.0
    private var used: [Int64] = []
    private var bidCeiling: Int64 = 0
    private var askFloor: Int64 = 0

    init(
        shape: MarketShape, depth: Int, spread: OrderSpread = OrderSpread(), driftPerEvent: Double = 0,
        seed: UInt64
    ) {
        self.spread = spread
        self.shape = shape
        self.depth = max(10, depth)
        self.driftPerEvent = driftPerEvent
        random = SeededRandom(seed: seed)
    }

    /// The range of prices that orders are spread over, in ticks.
    private var span: Int {
        let room = Int(shape.mid / shape.tick) - 10
        if let percent = spread.percent { return max(20, min(Int(Double(room) * percent / 100), room / 2)) }
        return max(20, min(depth * 12, room / 2))
    }

    /// Whether levels go where they came, so that a book of a given span keeps its form for hours; the small books of the default
    /// lose their best levels more often, so that their prices jump.
    private var isStationary: Bool { spread.percent != nil }

    private mutating func quantity() -> Int64 {
        let size = 1 + Int64(random.skewed(200_000))
        return size * shape.lot
    }

    /// A book with somewhat more than `depth` levels per side.
    mutating func initialBook() -> MarketBook {
        var bids: Set<Int64> = []
        var asks: Set<Int64> = []
        let wanted = min(depth + depth / 10 + 2, span * 3 / 4)
        while bids.count < wanted { bids.insert(Int64(1 + random.skewed(span, exponent: spread.exponent))) }
        while asks.count < wanted { asks.insert(Int64(1 + random.skewed(span, exponent: spread.exponent))) }
        var book = MarketBook()
        for offset in bids.sorted(by: >) { book.set(shape.mid - offset * shape.tick, quantity()) }
        for offset in asks.sorted(by: >) { book.set(-(shape.mid + offset * shape.tick), quantity()) }
        return book
    }

    /// What changes next, in an order in which the book is never crossed, no price named twice.
    mutating func nextChanges(_ book: MarketBook, count: Int) -> [Level] {
        var changes: [Level] = []
        changes.reserveCapacity(count)
        used.removeAll(keepingCapacity: true)
        move(book, count: count, into: &changes)
        var bidCount = book.bids.count
        var askCount = book.asks.count
        for change in changes {
            let step = change.quantity == 0 ? -1 : 1
            if change.key > 0 { bidCount += step } else { askCount += step }
        }
        var attempts = count * 4
        while changes.count < count, attempts > 0 {
            attempts -= 1
            let isBid = random.next() & 1 == 0
            let ladder = isBid ? book.bids : book.asks
            let have = isBid ? bidCount : askCount
            let choice = random.below(100)
            let wantsInsert = have < depth || (choice < 28 && have < depth + depth / 4)
            if wantsInsert || ladder.count < 2 {
                guard let level = insertion(isBid, ladder) else { continue }
                changes.append(level)
                if isBid { bidCount += 1 } else { askCount += 1 }
                continue
            }
            let removes = choice >= 72 || have >= depth + depth / 4
            let level = ladder.level(
                rank: removes && isStationary ? random.below(ladder.count) : random.skewed(ladder.count))
            guard !used.contains(level.key) else { continue }
            used.append(level.key)
            changes.append(Level(key: level.key, quantity: removes ? 0 : quantity()))
            if removes { if isBid { bidCount -= 1 } else { askCount -= 1 } }
        }
        return changes
    }

    /// A new level at a free price on its own side of everything that the other side holds or held in this event.
    private mutating func insertion(_ isBid: Bool, _ ladder: Ladder) -> Level? {
        let offset = Int64(random.skewed(span, exponent: spread.exponent)) * shape.tick
        let price = isBid ? askFloor - shape.tick - offset : bidCeiling + shape.tick + offset
        let key = isBid ? price : -price
        guard price > 0, !used.contains(key), ladder.quantity(at: key) == 0 else { return nil }
        used.append(key)
        if isBid { bidCeiling = max(bidCeiling, price) } else { askFloor = min(askFloor, price) }
        return Level(key: key, quantity: quantity())
    }

    /// Moves the best prices by a step: orders in the way are taken, and one is placed behind.
    private mutating func move(_ book: MarketBook, count: Int, into changes: inout [Level]) {
        bidCeiling = book.bids.bestKey ?? shape.mid - shape.tick
        askFloor = book.asks.bestKey.map { -$0 } ?? shape.mid + shape.tick
        driftDue += driftPerEvent
        var ticks = Int64(random.below(7)) - 3
        if ticks == 0 || random.below(3) == 0 { ticks = 0 }
        let drift = driftDue.rounded(.towardZero)
        driftDue -= drift
        ticks += Int64(drift)
        if driftPerEvent == 0 {
            // A weak pull back to where the walk began keeps long runs in range.
            let away = (bidCeiling - shape.mid) / shape.tick
            if abs(away) > Int64(span / 3), (away > 0) == (ticks > 0) { ticks = -ticks }
        }
        guard ticks != 0 else { return }
        let isUp = ticks > 0
        let taken = isUp ? book.asks : book.bids
        let limit = isUp ? -(askFloor + ticks * shape.tick) : bidCeiling + ticks * shape.tick
        var rank = 0
        while rank < taken.count - 1, rank < max(1, count / 3), taken.level(rank: rank).key > limit {
            let key = taken.level(rank: rank).key
            used.append(key)
            changes.append(Level(key: key, quantity: 0))
            rank += 1
        }
        if isUp { askFloor = -taken.level(rank: rank).key } else { bidCeiling = taken.level(rank: rank).key }
        let behind =
            isUp
            ? min(bidCeiling + ticks * shape.tick, askFloor - shape.tick)
            : max(askFloor + ticks * shape.tick, bidCeiling + shape.tick)
        let key = isUp ? behind : -behind
        guard behind > 0, (isUp ? book.bids : book.asks).quantity(at: key) == 0 else { return }
        used.append(key)
        changes.append(Level(key: key, quantity: quantity()))
        if isUp { bidCeiling = max(bidCeiling, behind) } else { askFloor = min(askFloor, behind) }
    }
}
