import Binance
import DepthCacheAPI
import Telemetry
import Testing
import Transport

@testable import Books
@testable import Worker

/// Streams that say nothing, with a loop whose time and exchange the test plays.
struct SilentStreamTests {
    private func withDuty(
        exchange name: String = "binance.com",
        _ body: @escaping @Sendable (isolated FeedLoop, Feed, BookDuty) -> Void
    ) async throws {
        let clock = WorkerClock()
        let metrics = MetricRegistry()
        guard let exchange = try ExchangeDirectory(overridesYAML: [])[name: name] else {
            Issue.record("no \(name)")
            return
        }
        let desk = SnapshotDesk(
            exchange: exchange, http: try HTTPClient(), weight: Guarded(RequestWeight(limitPerMinute: 6000)),
            clock: clock, metrics: metrics)
        let venue = Venue(exchange: exchange, desk: desk, metrics: metrics)
        let loop = FeedLoop(loop: try EventLoop(name: "silent"), clock: clock, board: ReportBoard())
        let id = BookID(venue: name, market: "BTCUSDT", intervalMilliseconds: 100)
        let book = KeptBook(id: id, stream: "btcusdt@depth@100ms", family: exchange.family)
        await loop.run { loop in
            loop.keep(book, demand: BookDemand(depth: 500), venue: venue)
            guard let feed = loop.feeds.first, let duty = loop.duties[book.id] else {
                Issue.record("the book has no feed")
                return
            }
            _ = feed.machine.tick(now: .zero)
            feed.machine.opened(now: .zero)
            body(loop, feed, duty)
        }
        loop.loop.stop()
    }

    @Test func `a dead stream's book comes back only after its stream is acknowledged anew`() async throws {
        try await withDuty { loop, feed, duty in
            loop.acknowledge(feed, now: .zero)
            duty.load(id: 100)
            expect(duty, "open, Synchronized")
            duty.awaited = (snapshot(id: 101, bid: "99.00"), .seconds(35))
            loop.tickBooks(now: .seconds(36))
            expect(duty, "closed, StreamSilent")
            duty.load(id: 101)
            expect(duty, "closed, StreamSilent")
            loop.acknowledge(feed, now: .seconds(36))  // UNSUBSCRIBE
            duty.load(id: 101)
            expect(duty, "closed, StreamSilent")
            loop.acknowledge(feed, now: .seconds(38))  // SUBSCRIBE
            expect(duty, "open, StreamSilent")
            duty.load(id: 102)
            expect(duty, "open, Synchronized")
        }
    }

    @Test func `an id that counts all markets does not make a quiet stream a dead one`() async throws {
        try await withDuty(exchange: "binance.com-futures") { loop, feed, duty in
            loop.acknowledge(feed, now: .zero)
            duty.load(id: 100)
            duty.awaited = (snapshot(id: 900), .seconds(35))
            loop.tickBooks(now: .seconds(36))
            expect(duty, "open, Synchronized")
        }
    }

    @Test(arguments: ["binance.com", "binance.us", "trbinance.com"])
    func `where ids count one market a newer one means a dead stream, whatever the best levels are`(
        exchange: String
    ) async throws {
        try await withDuty(exchange: exchange) { loop, feed, duty in
            loop.acknowledge(feed, now: .zero)
            duty.load(id: 100)
            duty.awaited = (snapshot(id: 101), .seconds(35))
            loop.tickBooks(now: .seconds(34))
            expect(duty, "open, Synchronized")
            loop.tickBooks(now: .seconds(36))
            expect(duty, "closed, StreamSilent")
        }
    }

    @Test func `a stream that had died and speaks before the snapshot comes is believed at once`()
        async throws
    {
        try await withDuty { loop, feed, duty in
            loop.acknowledge(feed, now: .zero)
            duty.load(id: 100)
            duty.awaited = (snapshot(id: 101, bid: "99.00"), .seconds(35))
            loop.tickBooks(now: .seconds(36))
            loop.acknowledge(feed, now: .seconds(36))  // UNSUBSCRIBE
            loop.acknowledge(feed, now: .seconds(38))  // SUBSCRIBE
            loop.hear(event(103, of: duty, late: 0), feed)
            feed.venue.desk.answer(.synchronize, .snapshot(snapshot(id: 102, bid: "99.00"), limit: 100))
            expect(duty, "open, Synchronized")
        }
    }

    @Test func `an empty book whose market trades is probed no more often than others`() async throws {
        try await withDuty { loop, feed, duty in
            let desk = feed.venue.desk
            let nothing = BookSnapshot(lastID: 100)
            loop.acknowledge(feed, now: loop.clock.now)
            desk.answer(.synchronize, .snapshot(nothing, limit: 100))
            desk.answer(.status, .status(isTrading: true))
            desk.answer(.synchronize, .snapshot(nothing, limit: 100))
            expect(duty, "open, Synchronized")
            let asked = loop.clock.now - .seconds(200)
            duty.marketReading.at = asked
            duty.lastEvent = loop.clock.now - .seconds(31)
            loop.tickBooks(now: loop.clock.now)
            #expect(duty.isProbing)
            desk.answer(.probe, .snapshot(nothing, limit: 5))
            #expect(!duty.isProbing && duty.marketReading.at == asked)
            loop.tickBooks(now: loop.clock.now)
            #expect(!duty.isProbing)
            expect(duty, "open, Synchronized")
        }
    }

    @Test(arguments: ["binance.com", "binance.com-futures"])
    func `the dead stream of a market that has emptied is found`(exchange: String) async throws {
        try await withDuty(exchange: exchange) { loop, feed, duty in
            loop.acknowledge(feed, now: .zero)
            duty.load(id: 100)
            duty.lastEvent = loop.clock.now - .seconds(31)
            loop.tickBooks(now: loop.clock.now)
            feed.venue.desk.answer(.probe, .snapshot(BookSnapshot(lastID: 101), limit: 5))
            expect(duty, "open, Synchronized")
            loop.tickBooks(now: loop.clock.now + .seconds(6))
            expect(duty, "closed, StreamSilent")
        }
    }

    @Test func `a probe that shows nothing where levels are served asks for the status at once`()
        async throws
    {
        try await withDuty { loop, feed, duty in
            loop.acknowledge(feed, now: .zero)
            duty.load(id: 100)
            let desk = feed.venue.desk
            duty.marketReading.at = loop.clock.now
            duty.lastSpoke = loop.clock.now
            duty.lastEvent = loop.clock.now - .seconds(31)
            loop.tickBooks(now: loop.clock.now)
            desk.answer(.probe, .snapshot(BookSnapshot(lastID: 100), limit: 5))
            #expect(!desk.waiting.contains { $0.purpose == .check })
            loop.tickBooks(now: loop.clock.now)
            #expect(desk.waiting.contains { $0.purpose == .check })
        }
    }

    @Test(arguments: [true, false])
    func `a dead stream's book is believed again after an event, or a probe that finds nothing new`(
        _ isEvent: Bool
    ) async throws {
        try await withDuty { loop, feed, duty in
            loop.acknowledge(feed, now: .zero)
            duty.load(id: 100)
            duty.awaited = (snapshot(id: 101, bid: "99.00"), .seconds(35))
            loop.tickBooks(now: .seconds(36))
            loop.acknowledge(feed, now: .seconds(36))  // UNSUBSCRIBE
            loop.acknowledge(feed, now: .seconds(38))  // SUBSCRIBE
            let order = feed.venue.desk.waiting.last { $0.purpose == .synchronize }
            order?.completion(.snapshot(snapshot(id: 102, bid: "99.00"), limit: 100))
            expect(duty, "open, FeedSilent")
            if isEvent {
                loop.hear(event(103, of: duty, late: 0), feed)
            } else {
                loop.tickBooks(now: .seconds(70))
                let probe = feed.venue.desk.waiting.last { $0.purpose == .probe }
                probe?.completion(.snapshot(snapshot(id: 102, bid: "99.00"), limit: 5))
            }
            expect(duty, "open, Synchronized")
        }
    }

    @Test func `an empty answer at the same id does not make a book with levels believed`() async throws {
        try await withDuty { loop, feed, duty in
            loop.acknowledge(feed, now: .zero)
            duty.load(id: 100)
            let before = loop.clock.now - .seconds(31)
            duty.lastEvent = before
            loop.tickBooks(now: loop.clock.now)
            feed.venue.desk.answer(.probe, .snapshot(BookSnapshot(lastID: 100), limit: 5))
            #expect(duty.lastEvent == before && duty.didProbeFail && duty.unprovenSince != nil)
            // As long as nothing else comes it is withdrawn like one of which nobody can say whether it lives.
            duty.unprovenSince = loop.clock.now - .seconds(61)
            loop.tickBooks(now: loop.clock.now)
            #expect(duty.liveID == nil && duty.doubtedID == 100)
            duty.nextProbe = .zero
            loop.tickBooks(now: loop.clock.now)
            feed.venue.desk.answer(.probe, .snapshot(BookSnapshot(lastID: 100), limit: 5))
            #expect(duty.liveID == nil)
        }
    }

    @Test func `a market that closed is found by asking for its status, and comes back by itself`()
        async throws
    {
        try await withDuty { loop, feed, duty in
            loop.acknowledge(feed, now: .zero)
            duty.load(id: 100)
            duty.lastSpoke = loop.clock.now - .seconds(61)
            loop.tickBooks(now: loop.clock.now)
            feed.venue.desk.answer(.check, .statuses(["BTCUSDT": .init(word: "TRADING", isTrading: true)]))
            expect(duty, "open, Synchronized")
            loop.tickBooks(now: loop.clock.now + .seconds(301))
            feed.venue.desk.answer(.check, .statuses(["BTCUSDT": .init(word: "BREAK", isTrading: false)]))
            expect(duty, "open, MarketNotTrading")
            #expect(duty.book.report.message == "the exchange lists BTCUSDT as not trading (BREAK)")
            duty.nextRevival = .zero
            loop.tickBooks(now: loop.clock.now)
            feed.venue.desk.waiting.last { $0.purpose == .status }?.completion(.status(isTrading: true))
            expect(duty, "open, AwaitingSnapshot")
            duty.load(id: 200)
            expect(duty, "open, Synchronized")
        }
    }

    @Test func `a connection whose events go on being late is replaced, less and less often`() async throws {
        try await withDuty { loop, feed, duty in
            loop.acknowledge(feed, now: .zero)
            duty.load(id: 100)
            for id in 101...103 { loop.hear(event(id, of: duty, late: 8000), feed) }
            expect(duty, "open, FeedLate")
            for second in [1, 30] {
                loop.replaceLate(duty, .seconds(second))
                #expect(feed.machine.replacementCause == .lifetime)
            }
            loop.replaceLate(duty, .seconds(31))
            #expect(feed.machine.replacementCause == .late)
            #expect(duty.lateRemedy?.due == .seconds(91))
            for id in 104...106 { loop.hear(event(id, of: duty, late: 0), feed) }
            loop.replaceLate(duty, .seconds(40))
            #expect(duty.lateRemedy == nil)
        }
    }

    @Test func `a book whose events come late is withdrawn until they are on time`() async throws {
        try await withDuty { loop, feed, duty in
            loop.acknowledge(feed, now: .zero)
            duty.load(id: 100)
            for id in 101...102 { loop.hear(event(id, of: duty, late: 8000), feed) }
            expect(duty, "open, Synchronized")
            loop.hear(event(103, of: duty, late: 8000), feed)
            expect(duty, "open, FeedLate")
            for id in 104...106 { loop.hear(event(id, of: duty, late: 0), feed) }
            expect(duty, "open, Synchronized")
            for id in 107...109 { loop.hear(event(id, of: duty, late: -8000), feed) }
            expect(duty, "open, ClockSkew")
            for id in 110...112 { loop.hear(event(id, of: duty, late: 0), feed) }
            expect(duty, "open, Synchronized")
        }
    }

    @Test func `a silent book that no probe can vouch for is withdrawn until something does`() async throws {
        try await withDuty { loop, feed, duty in
            loop.acknowledge(feed, now: .zero)
            duty.load(id: 100)
            loop.tickBooks(now: .seconds(31))
            loop.tickBooks(now: .seconds(90))
            expect(duty, "open, Synchronized")
            loop.tickBooks(now: .seconds(91))
            expect(duty, "open, ProbeFailed")
            loop.hear(
                "{\"stream\":\"\(duty.book.stream)\",\"data\":{\"e\":\"depthUpdate\",\"E\":1,\"U\":101,\"u\":101,\"b\":[],\"a\":[]}}",
                feed)
            expect(duty, "open, Synchronized")
            duty.isProbing = false
            loop.tickBooks(now: .seconds(131))
            loop.tickBooks(now: .seconds(191))
            expect(duty, "open, ProbeFailed")
            let probe = feed.venue.desk.waiting.last { $0.purpose == .probe }
            probe?.completion(.failed(.banned, "banned"))
            expect(duty, "open, ProbeFailed")
            duty.nextProbe = .zero
            probe?.completion(.snapshot(snapshot(id: 101), limit: 5))
            expect(duty, "open, Synchronized")
        }
    }

    @Test func `a frame whose numbers do not fit harms only the book it names`() async throws {
        try await withDuty { loop, feed, duty in
            let other = loop.keepAnother(beside: duty, feed)
            let stream = duty.book.stream
            func ready() {
                for each in [duty, other] { each.load(id: 100) }
                expect(duty, "open, Synchronized")
                expect(other, "open, Synchronized")
            }
            loop.acknowledge(feed, now: .zero)
            let data =
                "{\"e\":\"depthUpdate\",\"E\":1,\"s\":\"X\",\"U\":101,\"u\":101,\"b\":[[\"1e9\",\"1\"]],\"a\":[]}"
            for frame in [
                "{\"stream\":\"\(stream)\",\"data\":\(data)}", "{\"data\":\(data),\"stream\":\"\(stream)\"}",
                "{\"stream\":\"\(stream)\",\"data\":{\"e\":\"depthUpd",
            ] {
                ready()
                loop.hear(frame, feed)
                expect(duty, "open, MalformedData")
                expect(other, "open, Synchronized")
            }
            for frame in [
                "{\"data\":\(data)}", "{\"stream\":\"nobody@depth\",\"data\":\(data)}", "garbage", "{\"stre",
            ] {
                ready()
                loop.hear(frame, feed)
                expect(duty, "open, MalformedData")
                expect(other, "open, MalformedData")
            }
        }
    }
}

/// The frame of an event of one id that changes nothing.
func event(_ id: Int, of duty: BookDuty, late: Int64) -> String {
    let time = WallClock.milliseconds - late
    return
        "{\"stream\":\"\(duty.book.stream)\",\"data\":{\"e\":\"depthUpdate\",\"E\":\(time),\"U\":\(id),\"u\":\(id),\"b\":[],\"a\":[]}}"
}

/// A book of one level a side.
func snapshot(id: Int64, bid: String = "100.00") -> BookSnapshot {
    guard let price = try? FixedDecimal(bid), let other = try? FixedDecimal("101.00"),
        let quantity = try? FixedDecimal("1.5")
    else { return BookSnapshot() }
    return BookSnapshot(
        lastID: id, bids: [PriceLevel(price: price, quantity: quantity)],
        asks: [PriceLevel(price: other, quantity: quantity)])
}

/// Apart from `#expect`, which would look into the book, as no one may, to show what it found.
private func expect(_ duty: BookDuty, _ wanted: String, at place: SourceLocation = #_sourceLocation) {
    let found = "\(duty.isOpen ? "open" : "closed"), \(duty.book.report.reason)"
    #expect(found == wanted, sourceLocation: place)
}

extension SnapshotDesk {
    /// Answers the last order of that purpose.
    func answer(_ purpose: SnapshotOrder.Purpose, _ outcome: SnapshotOutcome) {
        waiting.last { $0.purpose == purpose }?.completion(outcome)
    }
}

extension FeedLoop {
    func run(_ body: @Sendable (isolated FeedLoop) -> Void) { body(self) }

    func keepAnother(beside duty: BookDuty, _ feed: Feed) -> BookDuty {
        let id = BookID(venue: "binance.com", market: "ETHUSDT", intervalMilliseconds: 100)
        let book = KeptBook(id: id, stream: "ethusdt@depth@100ms", family: feed.venue.exchange.family)
        keep(book, demand: BookDemand(depth: 500), venue: feed.venue)
        return duties[id] ?? duty
    }

    func hear(_ text: String, _ feed: Feed) {
        unsafe Array(text.utf8).withUnsafeBytes { unsafe didReceive($0, feed.trust, feed.generation) }
        didReceiveAll(feed.trust, feed.generation)
    }

    /// Lets the feed's machine say its next message and answers it.
    func acknowledge(_ feed: Feed, now: Duration) {
        feed.machine.received(now: now)
        for case .send(_, let id, _) in feed.machine.tick(now: now) {
            carryOut(feed.machine.replied(id: id, error: nil, now: now), feed, now)
        }
    }
}

extension BookDuty {
    /// Offers a snapshot as the answer to whatever the book has asked for.
    func load(id: Int64) {
        let snapshot = snapshot(id: id)
        book.state.withLock { state in
            for number in 1...20 {
                let request = SnapshotRequest(
                    number: number, attempt: 1, reason: .awaitingSnapshot, needsExchange: false)
                _ = state.book.receive(
                    snapshot, for: request, coverage: .limit(100),
                    at: Arrival(instant: .now, wallMilliseconds: 1))
            }
        }
    }
}
