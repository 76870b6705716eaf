/// One price level: `key` is the price for bids and its negative for asks, so the best level of a side is its greatest key.
struct Level: Equatable, Sendable {
    var key: Int64
    var quantity: Int64

    var price: Int64 { Int64(clamping: key.magnitude) }
}

/// One side of a book: levels in ascending order of key, the best one last.
struct Ladder: Equatable, Sendable {
    private(set) var levels: [Level] = []

    var count: Int { levels.count }
    var bestKey: Int64? { levels.last?.key }

    /// The level at a rank counted from the best one, which is 0.
    func level(rank: Int) -> Level { levels[levels.count - 1 - rank] }

    private func position(of key: Int64) -> Int {
        var low = 0
        var high = levels.count
        while low < high {
            let middle = (low &+ high) >> 1
            if levels[middle].key < key { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    func quantity(at key: Int64) -> Int64 {
        let index = position(of: key)
        return index < levels.count && levels[index].key == key ? levels[index].quantity : 0
    }

    /// Sets the quantity of a level, 0 removes it, and returns what it was before, 0 if it was not there.
    @discardableResult
    mutating func set(_ key: Int64, _ quantity: Int64) -> Int64 {
        let index = position(of: key)
        if index < levels.count, levels[index].key == key {
            let previous = levels[index].quantity
            if quantity == 0 { levels.remove(at: index) } else { levels[index].quantity = quantity }
            return previous
        }
        if quantity != 0 { levels.insert(Level(key: key, quantity: quantity), at: index) }
        return 0
    }

    /// The best levels, best first.
    func top(_ limit: Int) -> [Level] { levels.suffix(limit).reversed() }
}

/// The simulator's own book: deliberately simple, and not the code that it is there to check.
struct MarketBook: Equatable, Sendable {
    var bids = Ladder()
    var asks = Ladder()

    @discardableResult
    mutating func set(_ key: Int64, _ quantity: Int64) -> Int64 {
        key > 0 ? bids.set(key, quantity) : asks.set(key, quantity)
    }

    var isCrossed: Bool {
        guard let bid = bids.bestKey, let ask = asks.bestKey else { return false }
        return bid >= -ask
    }

    /// The changes that turn this book into `other`.
    func changes(to other: MarketBook) -> [Level] {
        var result: [Level] = []
        for (mine, theirs) in [(bids, other.bids), (asks, other.asks)] {
            for level in mine.levels where theirs.quantity(at: level.key) == 0 {
                result.append(Level(key: level.key, quantity: 0))
            }
            for level in theirs.levels where mine.quantity(at: level.key) != level.quantity {
                result.append(level)
            }
        }
        return result
    }
}

/// What one change did: `id` is its update id, `previous` the quantity before, so that it can be undone.
struct Change: Equatable, Sendable {
    var id: Int64
    var key: Int64
    var quantity: Int64
    var previous: Int64 = 0
}

/// One depth event: covers the ids from `first` to `last`; `previousLast` is the last id of the event before.
struct MarketEvent: Equatable, Sendable {
    var first: Int64
    var last: Int64
    var previousLast: Int64
    /// Wall clock in milliseconds.
    var time: Int64
    var changes: [Change]
}
