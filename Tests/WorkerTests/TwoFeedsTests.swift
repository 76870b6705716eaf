import Telemetry
import TestSupport
import Testing

@testable import Binance
@testable import Books
@testable import Worker

/// Random histories on two connections that cut the same ids into events at different places.
///
/// At any time one of them, in turn, may lose events, double them, or break; the other lives, so the book must be right at
/// each id and never start over.
struct TwoFeedsTests {
    @Test(arguments: ["binance.com", "binance.com-futures"], [1, 2, 3] as [UInt64])
    func `while one connection lives the book is the truth at its id and never starts over`(
        exchange: String, seed: UInt64
    ) async throws {
        try await withLines(2, exchange: exchange) { loop, duty in
            for round in 0..<5 {
                var history = TwoFeedsHistory(seed: seed &* 1000 + UInt64(round))
                guard history.run(loop, duty) else { return }
            }
        }
    }
}

/// What the exchange's book went through, and how two connections tell of it.
private struct TwoFeedsHistory {
    private struct Change {
        var id: Int64
        var price: Int
        var quantity: Int
    }
    /// One connection: how far its events have gone.
    private struct Teller {
        var next: Int
        /// Events that are under way.
        var queue: [(first: Int, end: Int)] = []
    }

    private var random: SplitMix64
    private var changes: [Change] = []
    private var tellers = [Teller(next: 0), Teller(next: 0)]
    private var model: [Int: Int] = [:]
    private var modelled = 0
    private let began = ContinuousClock.now
    private var milliseconds = 0
    private let start: Int64 = 1000

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    private mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

    private func id(before index: Int) -> Int64 { index == 0 ? start : changes[index - 1].id }

    /// Books at prices 1...40 are bids, 41...80 asks; the best two never go, so that the book is never crossed or empty.
    private mutating func happen(_ isLinked: Bool) {
        let price = number(1...78)
        changes.append(
            Change(
                id: id(before: changes.count) + (isLinked ? Int64(number(1...3)) : 1),
                price: price >= 40 ? price + 2 : price, quantity: number(0...3)))
    }

    mutating func run(_ loop: isolated FeedLoop, _ duty: BookDuty) -> Bool {
        let isLinked = duty.venue.exchange.sequenceRule == .linked
        for line in duty.lines { loop.drop(line.feed, .failed("the next history")) }
        for line in duty.lines {
            loop.connect(line.feed)
            loop.acknowledge(line.feed, now: .zero)
        }
        model = Dictionary(uniqueKeysWithValues: (1...80).map { ($0, 5) })
        duty.load(start, (1...40).reversed().map { ($0, 5) }, (41...80).map { ($0, 5) })
        let restarts = duty.book.report.restarts
        for phase in 0..<20 {
            let weak = phase % 2
            for _ in 0..<60 {
                for _ in 0..<number(0...3) { happen(isLinked) }
                cut(weak)
                cut(1 - weak)
                switch number(0...19) {
                case 0: breakDown(weak, loop, duty)
                case 1, 2: if !tellers[weak].queue.isEmpty { tellers[weak].queue.removeFirst() }
                case 3: if let next = tellers[weak].queue.first { tellers[weak].queue.insert(next, at: 0) }
                default: break
                }
                for teller in [weak, 1 - weak] where number(0...2) > 0 {
                    while number(0...3) > 0, tell(teller, loop, duty) {}
                    guard isTrue(duty, restarts) else { return false }
                }
            }
            guard meet(weak, loop, duty), isTrue(duty, restarts) else { return false }
        }
        return true
    }

    /// Puts what has happened into events of this connection's own cut.
    private mutating func cut(_ index: Int) {
        while tellers[index].next < changes.count, number(0...3) > 0 {
            let end = min(changes.count, tellers[index].next + number(1...6))
            tellers[index].queue.append((tellers[index].next, end))
            tellers[index].next = end
        }
    }

    /// Delivers the next event that is under way; false if there is none.
    private mutating func tell(_ index: Int, _ loop: isolated FeedLoop, _ duty: BookDuty) -> Bool {
        guard !tellers[index].queue.isEmpty else { return false }
        let (first, end) = tellers[index].queue.removeFirst()
        var levels: [Int: Int] = [:]
        for change in changes[first..<end] { levels[change.price] = change.quantity }
        func side(_ isBid: Bool) -> [PriceLevel] {
            levels.filter { ($0.key <= 40) == isBid }.map { PriceLevel(whole: $0.key, $0.value) }
        }
        let (previous, last) = (id(before: first), id(before: end))
        let line = duty.lines[index]
        let event = DepthEvent(
            first: previous + 1, last: last, sentPrevious: previous, eventTime: last, bids: side(true),
            asks: side(false))
        milliseconds += 1
        let instant = began + .milliseconds(milliseconds)
        loop.deliver(event, line, Arrival(instant: instant, wallMilliseconds: last), .zero)
        return true
    }

    /// Breaks the connection and opens it again; what happened meanwhile it does not tell.
    private mutating func breakDown(_ index: Int, _ loop: isolated FeedLoop, _ duty: BookDuty) {
        let feed = duty.lines[index].feed
        loop.drop(feed, .failed("broken by the test"))
        loop.connect(feed)
        loop.acknowledge(feed, now: .zero)
        tellers[index].queue = []
        tellers[index].next = number(tellers[index].next...changes.count)
    }

    /// The other connection tells all, and the weak one some of the newest, so that they can change roles.
    private mutating func meet(_ weak: Int, _ loop: isolated FeedLoop, _ duty: BookDuty) -> Bool {
        for index in [weak, 1 - weak] {
            tellers[index].queue.append((tellers[index].next, changes.count))
            if tellers[index].next == changes.count { tellers[index].queue.removeLast() }
            tellers[index].next = changes.count
            while tell(index, loop, duty) {}
        }
        return duty.liveID == id(before: changes.count)
    }

    /// Whether the book is the naive model at its id.
    private mutating func isTrue(_ duty: BookDuty, _ restarts: Int) -> Bool {
        guard duty.book.report.restarts == restarts, let found = duty.levels else {
            Issue.record("\(duty.book.report) after \(changes.count) changes")
            return false
        }
        while modelled < changes.count, changes[modelled].id <= found.id {
            let change = changes[modelled]
            model[change.price] = change.quantity == 0 ? nil : change.quantity
            modelled += 1
        }
        guard id(before: modelled) == found.id, model == found.levels else {
            Issue.record("another book at \(found.id) after \(changes.count) changes")
            return false
        }
        return true
    }
}

extension PriceLevel {
    fileprivate init(whole price: Int, _ quantity: Int) {
        self.init(
            price: FixedDecimal(mantissa: Int64(price * 100), scale: 2),
            quantity: FixedDecimal(mantissa: Int64(quantity), scale: 0))
    }
}

extension BookDuty {
    /// Offers a whole snapshot as the answer to whatever the book has asked for.
    fileprivate func load(_ id: Int64, _ bids: [(Int, Int)], _ asks: [(Int, Int)]) {
        func levels(_ pairs: [(Int, Int)]) -> [PriceLevel] {
            pairs.map { PriceLevel(whole: $0.0, $0.1) }
        }
        let snapshot = BookSnapshot(lastID: id, bids: levels(bids), asks: levels(asks))
        book.state.withLock { state in
            for number in 1...200 {
                let request = SnapshotRequest(
                    number: number, attempt: 1, reason: .awaitingSnapshot, needsExchange: false)
                _ = state.book.receive(
                    snapshot, for: request, coverage: .whole,
                    at: Arrival(instant: .now, wallMilliseconds: 1))
            }
        }
    }

    /// Id and all levels of the live book, as whole prices and quantities.
    fileprivate var levels: (id: Int64, levels: [Int: Int])? {
        book.state.withLock { state in
            state.book.readIfSynchronized { book in
                var levels: [Int: Int] = [:]
                for level in book.levels(.bids) + book.levels(.asks) {
                    levels[Int(level.price.mantissa / 100)] = Int(level.quantity.mantissa)
                }
                return (book.lastID, levels)
            }
        }
    }
}
