import Binance
import Books
import DepthCacheAPI
import Telemetry
import TestSupport
import Testing

@testable import Worker

/// What a worker gives to others that ask for a copy.
struct CopyEndpointTests {
    private let id = BookID(venue: "binance.com", market: "BTCUSDT", intervalMilliseconds: 100)
    private let clock = WorkerClock()

    private func level(_ price: String, _ quantity: String) throws -> PriceLevel {
        PriceLevel(price: try FixedDecimal(price), quantity: try FixedDecimal(quantity))
    }

    private var arrival: Arrival { Arrival(instant: .now, wallMilliseconds: 1_000_000) }

    /// A believed book at id 105, three levels a side of which the asks are whole.
    private func keptBook(eventTime: Int64 = 999_900) throws -> KeptBook {
        let kept = KeptBook(id: id, stream: "btcusdt@depth@100ms", family: .spot)
        let trust = FeedTrust(pulse: LoopPulse(now: clock.now))
        trust.set(true)
        let snapshot = BookSnapshot(
            lastID: 100, bids: [try level("1.10", "2"), try level("1.0", "3.50"), try level("0.9", "1")],
            asks: [try level("1.20", "4"), try level("1.300", "1"), try level("2", "7")])
        let event = DepthEvent(
            first: 101, last: 105, eventTime: eventTime, bids: [try level("1.10", "2.25")])
        kept.state.withLock { state in
            state.trust.feeds = [trust]
            if case .fetchSnapshot(let request)? = state.book.streamOpened(at: .now) {
                let floor = try? FixedDecimal("0.90")
                _ = state.book.receive(
                    snapshot, for: request, coverage: .bounds(bidFloor: floor, askCeiling: nil), at: arrival)
                _ = state.book.receive(event, at: arrival)
            }
        }
        return kept
    }

    private func endpoint(_ book: KeptBook?, isComing: Bool = false) -> CopyEndpoint {
        let directory = BookDirectory()
        // Only an alias has a cache of it; peers ask by the venue.
        let key = MarketKey(exchange: "binance.com-margin", market: "BTCUSDT")
        directory.replace(book.map { [key: [$0]] } ?? [:])
        return CopyEndpoint(incarnation: "now", directory: directory, clock: clock, metrics: MetricRegistry())
        {
            _ in isComing
        }
    }

    private func answer(
        _ endpoint: CopyEndpoint, leastID: Int64 = 0, leastLevels: UInt32 = 0
    ) throws -> BookCopyAnswer {
        let request = BookCopyRequest(
            venue: id.venue, market: id.market, leastID: leastID, leastLevels: leastLevels)
        // As it goes over the link.
        return try BookCopyAnswer(decoding: endpoint.answer(request.encoded()).encoded())
    }

    private func code(_ answer: BookCopyAnswer) -> BookCopyRefusal.Code? {
        if case .refused(let refusal) = answer { refusal.code } else { nil }
    }

    @Test func `a copy makes the same book at its taker, bounds and scales included`() throws {
        let kept = try keptBook()
        guard case .copy(let copy) = try answer(endpoint(kept), leastID: 105, leastLevels: 3) else {
            Issue.record("expected a copy")
            return
        }
        #expect(copy.incarnation == "now")
        #expect(copy.snapshot.lastID == 105)
        #expect(copy.snapshot.eventTime == 999_900)
        var taker = OrderBook()
        try taker.load(copy.snapshot, coverage: copy.coverage, receivedTime: 1)
        var (ours, theirs): ([UInt8], [UInt8]) = ([], [])
        taker.appendCanonicalText(to: &ours)
        kept.state.withLock { state in
            _ = state.book.readIfSynchronized { $0.appendCanonicalText(to: &theirs) }
        }
        #expect(!ours.isEmpty && ours == theirs)
        let (bidFloor, askCeiling) = (taker.bids.coveredTo, taker.asks.coveredTo)
        #expect(bidFloor?.isSameNumber(as: try FixedDecimal("0.9")) == true)
        #expect(askCeiling == nil)
        #expect(copy.snapshot.bids.map(\.quantity.description) == ["2.25", "3.50", "1"])
        #expect(copy.snapshot.asks.map(\.price.description) == ["1.20", "1.300", "2"])
    }

    @Test func `what is not here, not in step, too old or too shallow is refused in these words`() throws {
        #expect(try code(answer(endpoint(nil))) == .notHere)
        let kept = try keptBook()
        #expect(
            try answer(endpoint(kept), leastID: 106)
                == .refused(BookCopyRefusal(.tooOld, id: 105, reason: "stands at 105")))
        #expect(try code(answer(endpoint(kept), leastLevels: 4)) == .tooShallow)
        kept.state.withLock { _ = $0.book.invalidate(.gap) }
        #expect(
            try answer(endpoint(kept, isComing: true))
                == .refused(BookCopyRefusal(.notSynchronized, isComing: true, reason: "Gap")))
        kept.state.withLock { _ = $0.book.invalidate(.regression) }
        #expect(try code(answer(endpoint(kept))) == .regressed)
    }

    @Test func `a book that is not believed, whose feed is late or that failed its audit is not given`()
        throws
    {
        let unbelieved = try keptBook()
        unbelieved.state.withLock { $0.trust.feeds = [] }
        #expect(try code(answer(endpoint(unbelieved))) == .notSynchronized)
        let late = try keptBook()
        late.state.withLock { $0.book.suspend(.feedLate) }
        #expect(try code(answer(endpoint(late))) == .lagging)
        late.state.withLock { $0.book.resume() }
        #expect(try code(answer(endpoint(late))) == nil)
        let doubtful = try keptBook()
        doubtful.state.withLock { $0.isDoubtful = true }
        #expect(try code(answer(endpoint(doubtful))) == .auditFailed)
    }

    @Test(arguments: [0, 1, 994_999, 2_000_000, .max] as [Int64])
    func `a copy is given however far the event's time is from our clock`(eventTime: Int64) throws {
        #expect(try code(answer(endpoint(keptBook(eventTime: eventTime)))) == nil)
    }

    @Test func `garbage is answered as such`() throws {
        let endpoint = endpoint(try keptBook())
        var random = SplitMix64(seed: 8)
        for count in 0..<300 {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            let answer = endpoint.answer(bytes)
            #expect(code(answer) == .badRequest || code(answer) == .notHere)
        }
    }
}
