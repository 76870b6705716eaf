import Testing

@testable import Books

private let start = ContinuousClock().now

private func arrival(_ milliseconds: Int = 0) -> Arrival {
    Arrival(instant: start + .milliseconds(milliseconds), wallMilliseconds: Int64(milliseconds))
}

private func number(_ mantissa: Int64, _ scale: UInt8 = 0) -> FixedDecimal {
    FixedDecimal(mantissa: mantissa, scale: scale)
}

private func level(_ price: Int64, _ quantity: Int64, scale: UInt8 = 0) -> PriceLevel {
    PriceLevel(price: number(price, scale), quantity: number(quantity))
}

private func book(_ id: Int64, bids: [PriceLevel], asks: [PriceLevel], _ coverage: SnapshotCoverage) throws
    -> OrderBook
{
    var book = OrderBook()
    try book.load(
        BookSnapshot(lastID: id, bids: bids, asks: asks), coverage: coverage, receivedTime: 0)
    return book
}

struct CopyTests {
    private static let near = [level(100, 1), level(99, 2)]
    private static let far = [level(100, 1), level(99, 2), level(98, 3), level(97, 4)]
    private static let asks = [level(101, 1), level(102, 2)]

    @Test func `stated bounds are kept and nothing beyond them is stored`() throws {
        let book = try book(
            7, bids: Self.far, asks: Self.asks, .bounds(bidFloor: number(9800, 2), askCeiling: nil))
        #expect(book.levels(.bids) == Array(Self.far.prefix(3)))
        #expect(book.bids.coveredTo?.isSameNumber(as: number(98)) == true)
        #expect(book.asks.isWhole == true)
    }

    @Test func `a bound between two levels is kept as it was said`() throws {
        let book = try book(
            7, bids: Self.near, asks: Self.asks,
            .bounds(bidFloor: number(985, 1), askCeiling: number(1035, 1)))
        #expect(book.bids.coveredTo == number(985, 1))
        #expect(book.asks.coveredTo == number(1035, 1))
    }

    @Test func `a merge keeps the farther bound of each side`() throws {
        var ours = try book(7, bids: Self.far, asks: Self.asks, .limit(4))
        var fresh = try book(7, bids: Self.near, asks: Self.asks, .limit(2))
        // Two asks in answer to four asked for are all that there are.
        #expect(ours.asks.isWhole == true)
        let isMerged = ours.merge(&fresh)
        #expect(isMerged == true)
        #expect(ours.levels(.bids) == Self.far)
        #expect(ours.asks.isWhole == true)
    }

    @Test func `what a fresh copy knows replaces ours and what lies beyond it stays`() throws {
        var ours = try book(
            7, bids: Self.far, asks: Self.asks, .bounds(bidFloor: number(97), askCeiling: number(102)))
        var fresh = try book(
            7, bids: [level(100, 5), level(99, 2)], asks: Self.asks + [level(105, 9)],
            .bounds(bidFloor: number(99), askCeiling: number(105)))
        let isMerged = ours.merge(&fresh)
        #expect(isMerged == true)
        #expect(ours.levels(.bids) == [level(100, 5), level(99, 2), level(98, 3), level(97, 4)])
        #expect(ours.bids.coveredTo == number(97))
        #expect(ours.asks.coveredTo == number(105))
        #expect(ours.levels(.asks).count == 3)
    }

    @Test func `books of different ids are not merged and not compared`() throws {
        var ours = try book(7, bids: Self.near, asks: Self.asks, .limit(2))
        var other = try book(8, bids: Self.far, asks: Self.asks, .limit(4))
        let found = BookAudit.compare(ours, other)
        #expect(found == nil)
        let isMerged = ours.merge(&other)
        #expect(isMerged == false)
        #expect(ours.levels(.bids) == Self.near)
    }

    @Test func `an audit classes every level inside both coverages, whatever the scales`() throws {
        let ours = try book(
            7, bids: [level(100, 1), level(99, 2), level(97, 5), level(96, 1)], asks: Self.asks,
            .bounds(bidFloor: number(96), askCeiling: nil))
        let theirs = try book(
            7, bids: [level(1000, 1, scale: 1), level(99, 3), level(98, 4), level(95, 1)],
            asks: Self.asks + [level(103, 1)], .bounds(bidFloor: number(95), askCeiling: nil))
        let found = BookAudit.compare(ours, theirs)
        let audit = try #require(found)
        #expect(audit.bids.matched == 1 && audit.bids.drifted == 1)
        #expect(audit.bids.orphaned == 2 && audit.bids.missed == 1)
        #expect(audit.asks.matched == 2 && audit.asks.missed == 1)
        #expect(audit.isExact == false)
        #expect(audit.bids.comparedTo == number(96))
        #expect(audit.bids.firstDifferences.map(\.price) == [number(99), number(98), number(97), number(96)])
        #expect(audit.bids.firstDifferences[0].ours == number(2))
        #expect(audit.bids.firstDifferences[1].ours == nil)
    }

    @Test func `the same levels are an exact audit`() throws {
        let ours = try book(7, bids: Self.far, asks: Self.asks, .limit(4))
        let theirs = try book(7, bids: Self.near, asks: Self.asks, .limit(2))
        let found = BookAudit.compare(ours, theirs)
        let audit = try #require(found)
        #expect(audit.isExact == true && audit.bids.matched == 2 && audit.asks.matched == 2)
    }
}

/// One book that two connections feed.
struct TwoConnectionTests {
    private static func event(_ previous: Int64, _ last: Int64, _ price: Int64, time: Int64 = 1) -> DepthEvent
    {
        DepthEvent(
            first: previous + 1, last: last, sentPrevious: previous, eventTime: time, bids: [level(price, 1)])
    }

    private static func live(_ rule: SequenceRule, feeds: Int = 2) throws -> SynchronizedBook {
        var book = SynchronizedBook(rule: rule)
        book.feedCount = feeds
        guard case .fetchSnapshot(let asked)? = book.streamOpened(at: start) else {
            throw Unexpected()
        }
        let snapshot = BookSnapshot(lastID: 10, bids: [level(5, 1)], asks: [level(900, 1)])
        let action = book.receive(snapshot, for: asked, coverage: .whole, at: arrival())
        #expect(action == nil)
        return book
    }
    private struct Unexpected: Error {}

    private static func lastID(_ book: borrowing SynchronizedBook) -> Int64? {
        book.readIfSynchronized { $0.lastID }
    }

    @Test(arguments: [SequenceRule.contiguous, .linked])
    func `what one connection lost, the other brings`(rule: SequenceRule) throws {
        var book = try Self.live(rule)
        #expect(book.receive(Self.event(10, 14, 6), from: 1, at: arrival()).outcome == .applied)
        // The event (14, 18] is lost on connection 1; connection 2 cuts elsewhere.
        #expect(book.receive(Self.event(18, 20, 8), from: 1, at: arrival(10)).outcome == .buffered)
        #expect(Self.lastID(book) == 14)
        #expect(book.receive(Self.event(12, 16, 7), from: 2, at: arrival(20)).outcome == .applied)
        #expect(Self.lastID(book) == 16)
        #expect(book.receive(Self.event(16, 19, 9), from: 2, at: arrival(30)).outcome == .applied)
        #expect(Self.lastID(book) == 20)
        #expect(book.counts.resyncs == 0 && book.bufferedEvents == 0)
    }

    @Test func `a gap that nobody closes ends synchronisation after half a second`() throws {
        var book = try Self.live(.linked)
        _ = book.receive(Self.event(10, 14, 6), from: 1, at: arrival())
        #expect(book.receive(Self.event(18, 20, 8), from: 1, at: arrival(10)).action == nil)
        #expect(book.tick(at: arrival(400).instant) == nil)
        guard case .fetchSnapshot(let asked)? = book.tick(at: arrival(510).instant) else {
            Issue.record("expected a new snapshot")
            return
        }
        #expect(asked.reason == .gap)
        // What came behind the gap is kept: a snapshot inside it leads on.
        let snapshot = BookSnapshot(lastID: 19, bids: [level(5, 1)], asks: [level(900, 1)])
        #expect(book.receive(snapshot, for: asked, coverage: .whole, at: arrival(600)) == nil)
        #expect(Self.lastID(book) == 20)
    }

    @Test func `with one connection a gap ends synchronisation at once`() throws {
        var book = try Self.live(.linked, feeds: 1)
        _ = book.receive(Self.event(10, 14, 6), from: 1, at: arrival())
        #expect(book.receive(Self.event(18, 20, 8), from: 1, at: arrival(10)).action != nil)
        #expect(book.reason == .gap)
    }

    @Test func `a connection that tells old ids a little later is no regression`() throws {
        var book = try Self.live(.linked)
        for step in 0..<20 {
            let id = Int64(10 + step * 10)
            _ = book.receive(
                Self.event(id, id + 10, 6, time: Int64(step * 100 + 1)), from: 1, at: arrival(step * 3000))
            // The other connection sends the same half a batch later, with a newer time each.
            for part in 1...4 {
                let last = id + Int64(part)
                let event = Self.event(last - 1, last, 6, time: Int64(step * 100 + 1 + part))
                #expect(
                    book.receive(event, from: 2, at: arrival(step * 3000 + part * 700)).action == nil)
            }
            #expect(book.tick(at: arrival(step * 3000 + 2900).instant) == nil)
        }
        #expect(book.counts.resyncs == 0)
    }

    @Test func `ids that began anew are noticed though a second connection is open`() throws {
        var book = try Self.live(.linked)
        _ = book.receive(Self.event(10, 5000, 6, time: 1), from: 1, at: arrival())
        _ = book.receive(Self.event(10, 5000, 6, time: 1), from: 2, at: arrival())
        var asked: SnapshotRequest?
        for step in 1...3 {
            let event = Self.event(Int64(step), Int64(step + 1), 6, time: Int64(step + 10))
            if case .fetchSnapshot(let request)? = book.receive(event, from: 1 + step % 2, at: arrival(step))
                .action
            {
                asked = request
            }
        }
        #expect(asked?.reason == .regression && asked?.needsExchange == true)
    }

    @Test func `a copy of a lagging venue begins with what is remembered`() throws {
        var book = SynchronizedBook(rule: .linked, recallPeriod: .seconds(60))
        guard case .fetchSnapshot(let first)? = book.streamOpened(at: start) else { throw Unexpected() }
        let snapshot = BookSnapshot(lastID: 10, bids: [level(5, 1)], asks: [level(900, 1)])
        _ = book.receive(snapshot, for: first, coverage: .whole, at: arrival())
        for step in 0..<50 {
            let id = Int64(10 + step)
            _ = book.receive(Self.event(id, id + 1, id, time: id), at: arrival(step * 2000))
        }
        guard let fresh = book.beginFresh(at: arrival(100_000).instant),
            case .fetchSnapshot(let asked)? = fresh.action
        else { throw Unexpected() }
        var copy = fresh.takeBook()
        // Events of the last minute are there, older ones are not.
        #expect(copy.bufferedEvents == 31)
        let old = BookSnapshot(lastID: 40, bids: [level(5, 1)], asks: [level(900, 1)])
        #expect(copy.receive(old, for: asked, coverage: .whole, at: arrival(100_000)) == nil)
        #expect(copy.readIfSynchronized { $0.lastID } == 60)
    }
}
