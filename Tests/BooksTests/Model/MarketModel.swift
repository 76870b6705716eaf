import TestSupport

@testable import Books

/// A market that is known in full: every single change, and the book after each.
struct MarketModel {
    struct Change {
        var id: Int64
        var side: Side
        var price: Int64
        var quantity: Int64
    }
    /// Quantities by price.
    struct State: Equatable {
        var bids: [Int64: Int64] = [:]
        var asks: [Int64: Int64] = [:]
    }

    static let width: Int64 = 30
    /// How many of the latest states are remembered.
    static let memory = 600

    let rule: SequenceRule
    private(set) var changes: [Change] = []
    private(set) var states: [Int64: State] = [:]
    private(set) var state = State()
    private(set) var lastID: Int64
    private var middle: Int64 = 10_000
    private var start: Int64 = 1_000_000

    init(rule: SequenceRule, using random: inout SplitMix64) {
        self.rule = rule
        lastID = 1_000_000
        for offset in 1...Self.width {
            state.bids[middle - offset] = .random(in: 1...9, using: &random)
            state.asks[middle + offset] = .random(in: 1...9, using: &random)
        }
        states[lastID] = state
    }

    /// How many changes there have been.
    var count: Int { changes.count }

    /// The id after the first `count` changes.
    func id(after count: Int) -> Int64 { count == 0 ? 1_000_000 : changes[count - 1].id }

    /// One to three changes; the price walks, the sides never cross, and none becomes empty.
    mutating func change(using random: inout SplitMix64) {
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            switch Int.random(in: 0..<12, using: &random) {
            case 0:
                middle += 1
                if state.asks[middle] != nil { put(.asks, middle, 0, using: &random) }
            case 1:
                middle -= 1
                if state.bids[middle] != nil { put(.bids, middle, 0, using: &random) }
            default:
                let side: Side = Bool.random(using: &random) ? .bids : .asks
                let near = Bool.random(using: &random)
                let offset = Int64.random(in: 1...(near ? 4 : Self.width), using: &random)
                let quantity = max(0, Int64.random(in: -2...9, using: &random))
                put(side, side == .bids ? middle - offset : middle + offset, quantity, using: &random)
            }
        }
    }

    private mutating func put(
        _ side: Side, _ price: Int64, _ quantity: Int64, using random: inout SplitMix64
    ) {
        let levels = side == .bids ? state.bids.count : state.asks.count
        guard quantity > 0 || levels > 3 else { return }
        lastID += rule == .linked ? .random(in: 1...4, using: &random) : 1
        changes.append(Change(id: lastID, side: side, price: price, quantity: quantity))
        switch side {
        case .bids: state.bids[price] = quantity == 0 ? nil : quantity
        case .asks: state.asks[price] = quantity == 0 ? nil : quantity
        }
        states[lastID] = state
        if changes.count > Self.memory { states[id(after: changes.count - Self.memory)] = nil }
    }

    /// The exchange is reset: the ids begin anew, far below all that there were.
    mutating func reset() {
        start /= 2
        lastID = start
        changes.append(Change(id: lastID, side: .bids, price: 1, quantity: 0))
        states[lastID] = state
    }

    /// What REST answers about the book after the first `count` changes.
    func snapshot(after count: Int, limit: Int) -> BookSnapshot? {
        guard let state = states[id(after: count)] else { return nil }
        return BookSnapshot(
            lastID: id(after: count),
            bids: state.bids.sorted { $0.key > $1.key }.prefix(limit).map { level($0.key, $0.value) },
            asks: state.asks.sorted { $0.key < $1.key }.prefix(limit).map { level($0.key, $0.value) })
    }

    /// One event that says what the changes in `range` left behind.
    func event(of range: Range<Int>, previous: Int64, time: Int64) -> DepthEvent {
        var last = State()
        for change in changes[range] {
            switch change.side {
            case .bids: last.bids[change.price] = change.quantity
            case .asks: last.asks[change.price] = change.quantity
            }
        }
        return DepthEvent(
            first: rule == .contiguous ? previous + 1 : changes[range.lowerBound].id,
            last: changes[range.upperBound - 1].id, sentPrevious: rule == .linked ? previous : nil,
            eventTime: time,
            bids: last.bids.sorted { $0.key > $1.key }.map { level($0.key, $0.value) },
            asks: last.asks.sorted { $0.key < $1.key }.map { level($0.key, $0.value) })
    }

    private func level(_ price: Int64, _ quantity: Int64) -> PriceLevel {
        PriceLevel(
            price: FixedDecimal(mantissa: price, scale: 1),
            quantity: FixedDecimal(mantissa: quantity, scale: 0))
    }
}

/// One connection to the market: it cuts the changes into events at its own places.
struct ConnectionModel {
    let number: Int
    private var sent: Int
    private var previous: Int64
    /// What is on its way.
    var transit: [DepthEvent] = []

    init(number: Int, market: MarketModel) {
        self.number = number
        sent = market.count
        previous = market.lastID
    }

    /// Cuts an event from all or some of what has happened since the last one.
    mutating func flush(_ market: MarketModel, time: Int64, all: Bool, using random: inout SplitMix64) {
        guard market.count > sent else { return }
        let end = all ? market.count : Int.random(in: sent + 1...market.count, using: &random)
        transit.append(market.event(of: sent..<end, previous: previous, time: time))
        sent = end
        previous = market.id(after: end)
    }

    /// After a reset the exchange links the first event to the new world.
    mutating func sawReset(_ market: MarketModel) {
        sent = market.count
        previous = market.lastID
    }
}
