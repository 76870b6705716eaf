import TestSupport
import Testing

@testable import Books

/// A market, its connections and REST on one side, a synchronised book on the other, and chance between them.
final class WorldModel {
    struct Family: CustomTestStringConvertible, Sendable {
        var name: String
        var rule: SequenceRule
        /// How many changes a snapshot may lag behind.
        var lag = 0
        var mayReset = false

        var testDescription: String { name }
    }
    private typealias Asked = (request: SnapshotRequest, since: Int)

    let family: Family
    private var market: MarketModel
    private var book: SynchronizedBook
    private var random: SplitMix64
    private var now = ContinuousClock().now
    private var milliseconds: Int64 = 1_000_000
    private var connections: [ConnectionModel] = []
    private var nextNumber = 1
    private var asked: Asked?
    /// A copy that follows the book, to refresh or audit it.
    private var copy: SynchronizedBook?
    private var copyAsked: Asked?
    private(set) var counts = (steps: 0, reads: 0, merges: 0, fallbacks: 0)

    init(_ family: Family, seed: UInt64) {
        self.family = family
        random = SplitMix64(seed: seed)
        market = MarketModel(rule: family.rule, using: &random)
        book = SynchronizedBook(
            rule: family.rule, bufferLimit: EventBuffer.Limit(events: 60, bytes: 40_000),
            levelLimit: .random(in: 8...40, using: &random),
            recallPeriod: family.lag > 0 ? .seconds(60) : .zero)
    }

    private var arrival: Arrival { Arrival(instant: now, wallMilliseconds: milliseconds) }

    private func pass(_ duration: Int) {
        now += .milliseconds(duration)
        milliseconds += Int64(duration)
    }

    private func note(_ action: SyncAction?) {
        switch action {
        case .fetchSnapshot(let request)?: asked = (request, market.count)
        case .askMarketStatus?: note(book.marketStatus(isTrading: true))
        case nil: break
        }
    }

    private func noteCopy(_ action: SyncAction?) {
        if case .fetchSnapshot(let request)? = action { copyAsked = (request, market.count) }
    }

    // MARK: What can happen

    func step() {
        counts.steps += 1
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<20:
            market.change(using: &random)
            pass(.random(in: 1...40, using: &random))
        case 20..<40: flush(all: Bool.random(using: &random))
        case 40..<70: deliver()
        case 70..<73: lose()
        case 73..<76: repeatFirst()
        case 76..<79: swapFirst()
        case 79: disconnect()
        case 80..<83: connect()
        case 83..<90: answer()
        case 90: if let asked { note(book.snapshotFailed(asked.request)) }
        case 91: beginCopy()
        case 92..<95: answerCopy()
        case 95:
            pass(.random(in: 100...1500, using: &random))
            note(book.tick(at: now))
        case 96: book.suspend()
        case 97, 98: book.resume()
        default: if family.mayReset, Int.random(in: 0..<20, using: &random) == 0 { reset() }
        }
        adoptCopy()
    }

    private func flush(all: Bool) {
        for index in connections.indices where Bool.random(using: &random) || all {
            connections[index].flush(market, time: milliseconds, all: all, using: &random)
        }
    }

    private func anyConnection(_ least: Int) -> Int? {
        connections.indices.filter { connections[$0].transit.count >= least }.randomElement(using: &random)
    }

    private func deliver() {
        guard let index = anyConnection(1) else { return }
        deliver(index)
    }

    private func deliver(_ index: Int) {
        let event = connections[index].transit.removeFirst()
        take(event, from: connections[index].number)
    }

    private func take(_ event: DepthEvent, from number: Int) {
        note(book.receive(event, from: number, at: arrival).action)
        if copy != nil { noteCopy(copy?.receive(event, from: number, at: arrival).action ?? nil) }
    }

    private func lose() {
        guard let index = anyConnection(1) else { return }
        connections[index].transit.removeFirst()
    }

    private func repeatFirst() {
        guard let index = anyConnection(1), let event = connections[index].transit.first else { return }
        take(event, from: connections[index].number)
    }

    private func swapFirst() {
        guard let index = anyConnection(2) else { return }
        connections[index].transit.swapAt(0, 1)
    }

    private func disconnect() {
        guard !connections.isEmpty else { return }
        connections.remove(at: .random(in: connections.indices, using: &random))
        setFeedCount()
        if connections.isEmpty {
            book.streamClosed()
            copy = nil
            copyAsked = nil
        }
    }

    private func connect() {
        guard connections.count < 3 else { return }
        connections.append(ConnectionModel(number: nextNumber, market: market))
        nextNumber += 1
        setFeedCount()
        if connections.count == 1 { note(book.streamOpened(at: now)) }
    }

    private func setFeedCount() {
        book.feedCount = max(1, connections.count)
        if copy != nil { copy?.feedCount = max(1, connections.count) }
    }

    private func reset() {
        market.reset()
        for index in connections.indices { connections[index].sawReset(market) }
    }

    // MARK: Snapshots and copies

    private func snapshot(_ asked: Asked) -> (BookSnapshot, SnapshotCoverage)? {
        let oldest = max(
            0, asked.since - (family.lag > 0 ? Int.random(in: 0...family.lag, using: &random) : 0))
        let limit = [5, 10, 20, 1000].randomElement(using: &random) ?? 5
        guard
            let snapshot = market.snapshot(
                after: .random(in: oldest...market.count, using: &random), limit: limit)
        else { return nil }
        // Now and then it is a peer's copy, which states its bounds.
        if !asked.request.needsExchange, limit < 1000, Bool.random(using: &random) {
            let bounds = SnapshotCoverage.bounds(
                bidFloor: snapshot.bids.last?.price, askCeiling: snapshot.asks.last?.price)
            return (snapshot, bounds)
        }
        return (snapshot, .limit(limit))
    }

    private func answer() {
        guard let asked else { return }
        self.asked = nil
        guard let (snapshot, coverage) = snapshot(asked) else {
            return note(book.snapshotFailed(asked.request))
        }
        note(book.receive(snapshot, for: asked.request, coverage: coverage, at: arrival))
    }

    private func beginCopy() {
        guard copy == nil, let fresh = book.beginFresh(at: now) else { return }
        noteCopy(fresh.action)
        copy = fresh.takeBook()
    }

    private func answerCopy() {
        guard let asked = copyAsked, copy != nil else { return }
        copyAsked = nil
        guard let (snapshot, coverage) = snapshot(asked) else {
            copy = nil
            return
        }
        noteCopy(
            copy?.receive(snapshot, for: asked.request, coverage: coverage, at: arrival) ?? nil)
    }

    private func adoptCopy() {
        guard var fresh = copy.take() else { return }
        if book.isSynchronized, fresh.isSynchronized, let audit = book.audit(fresh) {
            faults += audit.isExact ? [] : ["audit at \(audit.lastID): \(audit)"]
            let before = book.readIfSynchronized { ($0.bids.coveredCount, $0.asks.coveredCount) }
            if !book.merge(&fresh) { faults.append("a copy at the same id was not merged") }
            let after = book.readIfSynchronized { ($0.bids.coveredCount, $0.asks.coveredCount) }
            let most = book.levelLimit - book.levelLimit / 8
            if let before, let after, after.0 < min(before.0, most) || after.1 < min(before.1, most) {
                faults.append("a merge lost levels: \(before) to \(after)")
            }
            counts.merges += 1
            return
        }
        if book.isSynchronized || book.reason == .loopStalled { copy = consume fresh }
    }

    // MARK: What must hold

    private(set) var faults: [String] = []

    /// Compares what can be read with the full knowledge of the market at that id.
    func check() {
        let model = market
        let fault: String? =
            book.readIfSynchronized { book -> String? in
                guard let truth = model.states[book.lastID] else {
                    return "no state has the id \(book.lastID)"
                }
                return Self.difference(book.bids, truth.bids) ?? Self.difference(book.asks, truth.asks)
            } ?? nil
        counts.reads += book.isSynchronized ? 1 : 0
        if let fault { faults.append("step \(counts.steps): \(fault)") }
    }

    private static func difference(_ side: borrowing BookSide, _ truth: [Int64: Int64]) -> String? {
        let bound = side.coveredTo?.mantissa
        let isBid = side.side == .bids
        let covered = truth.filter { price, _ in
            bound.map { isBid ? price >= $0 : price <= $0 } ?? true
        }
        var held: [Int64: Int64] = [:]
        var prices: [Int64] = []
        side.forEachLevel {
            held[$0.priceMantissa] = $0.quantityMantissa
            prices.append($0.priceMantissa)
        }
        if held != covered { return "\(side.side): holds \(held), the truth is \(covered)" }
        let isSorted = zip(prices, prices.dropFirst()).allSatisfy { isBid ? $0 > $1 : $0 < $1 }
        return isSorted ? nil : "\(side.side): not in order: \(prices)"
    }

    /// Lets everything work for a while; the book must be synchronised and at the newest id then.
    func settle() {
        book.resume()
        if connections.isEmpty { connect() }
        for _ in 0..<120 {
            market.change(using: &random)
            flush(all: true)
            while let index = anyConnection(1) { deliver(index) }
            answer()
            answerCopy()
            adoptCopy()
            pass(300)
            note(book.tick(at: now))
            check()
        }
        flush(all: true)
        while let index = anyConnection(1) { deliver(index) }
        let id = book.readIfSynchronized { $0.lastID }
        if id != market.lastID {
            faults.append(
                "step \(counts.steps): not back: \(book.phase), \(book.reason.map(\.rawValue) ?? "-"), id \(id ?? -1) of \(market.lastID)"
            )
        }
    }
}
