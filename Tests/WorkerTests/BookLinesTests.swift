import Binance
import DepthCacheAPI
import Telemetry
import Testing
import Transport

@testable import Books
@testable import Worker

/// Books with more than one connection, on a loop whose time and exchange the test plays.
struct BookLinesTests {
    @Test func `a book lives as long as one of its connections does`() async throws {
        try await withLines(2) { loop, duty in
            let (first, second) = (duty.lines[0].feed, duty.lines[1].feed)
            #expect(first !== second)
            loop.acknowledge(first, now: .zero)
            #expect(duty.isOpen)
            duty.load(id: 100)
            loop.acknowledge(second, now: .seconds(1))
            expectBook(duty, "Synchronized, 2 trusted, 0 restarts")
            loop.drop(first, .failed("gone"))
            expectBook(duty, "Synchronized, 1 trusted, 0 restarts")
            loop.drop(second, .failed("gone"))
            expectBook(duty, "Disconnected, 0 trusted, 1 restarts")
        }
    }

    @Test func `a connection that does not bring the stream yet cannot vouch for the book`() async throws {
        try await withLines(2) { loop, duty in
            loop.acknowledge(duty.lines[0].feed, now: .zero)
            duty.load(id: 100)
            duty.lines[0].feed.trust.set(false)
            expectBook(duty, "Synchronized, 0 trusted, 0 restarts")
            loop.acknowledge(duty.lines[1].feed, now: .zero)
            expectBook(duty, "Synchronized, 1 trusted, 0 restarts")
        }
    }

    @Test func `an event that one connection spoils costs no resync and the stream is asked for anew`()
        async throws
    {
        try await withLines(2) { loop, duty in
            for line in duty.lines { loop.acknowledge(line.feed, now: .zero) }
            duty.load(id: 100)
            loop.hear("{\"stream\":\"\(duty.book.stream)\",\"data\":{\"e\":\"depthUpd", duty.lines[0].feed)
            expectBook(duty, "Synchronized, 1 trusted, 0 restarts")
            loop.acknowledge(duty.lines[0].feed, now: .seconds(2))  // UNSUBSCRIBE
            expectBook(duty, "Synchronized, 1 trusted, 0 restarts")
            loop.acknowledge(duty.lines[0].feed, now: .seconds(4))  // SUBSCRIBE
            expectBook(duty, "Synchronized, 2 trusted, 0 restarts")
            loop.hear("garbage", duty.lines[0].feed)
            loop.hear("garbage", duty.lines[1].feed)
            expectBook(duty, "MalformedData, 1 trusted, 1 restarts")
        }
    }

    @Test func `what one connection brings late harms no book that has it from another in time`()
        async throws
    {
        try await withLines(2) { loop, duty in
            let (first, second) = (duty.lines[0].feed, duty.lines[1].feed)
            for feed in [first, second] { loop.acknowledge(feed, now: .zero) }
            duty.load(id: 100)
            for id in 101...106 as ClosedRange<Int64> { loop.hear(id, id, duty, first) }
            for id in 101...106 as ClosedRange<Int64> { loop.hear(id, id, duty, second, late: 8000) }
            expectBook(duty, "Synchronized, 2 trusted, 0 restarts")
            for id in 107...109 as ClosedRange<Int64> { loop.hear(id, id, duty, second, late: 8000) }
            expectBook(duty, "FeedLate, 2 trusted, 0 restarts")
            for id in 110...112 as ClosedRange<Int64> {
                loop.hear(id, id, duty, first)
                loop.hear(id, id, duty, second, late: 8000)
            }
            expectBook(duty, "Synchronized, 2 trusted, 0 restarts")
        }
    }
}

/// A loop with one book and its open connections; nothing leaves the test.
func withLines(
    _ laneCount: Int, exchange name: String = "binance.com",
    weight: RequestWeight = RequestWeight(limitPerMinute: 6000),
    _ body: @escaping @Sendable (isolated FeedLoop, BookDuty) -> Void
) async throws {
    let clock = WorkerClock()
    let metrics = MetricRegistry()
    guard let exchange = try ExchangeDirectory(overridesYAML: [])[name: name] else {
        Issue.record("no \(name)")
        return
    }
    let desk = SnapshotDesk(
        exchange: exchange, http: try HTTPClient(), weight: Guarded(weight),
        clock: clock, metrics: metrics)
    let venue = Venue(exchange: exchange, desk: desk, metrics: metrics)
    let loop = FeedLoop(
        loop: try EventLoop(name: "lines"), clock: clock, board: ReportBoard(),
        settings: LineSettings(lanes: laneCount))
    let id = BookID(venue: name, market: "BTCUSDT", intervalMilliseconds: 100)
    let book = KeptBook(id: id, stream: "btcusdt@depth@100ms", family: exchange.family)
    await loop.run { loop in
        loop.keep(book, demand: BookDemand(depth: 500), venue: venue)
        guard let duty = loop.duties[id], duty.lines.count == laneCount else {
            Issue.record("expected \(laneCount) lines")
            return
        }
        for line in duty.lines { loop.connect(line.feed) }
        body(loop, duty)
    }
    loop.loop.stop()
}

/// Apart from `#expect`, which would look into the book, as no one may, to show what it found.
func expectBook(_ duty: BookDuty, _ wanted: String, at place: SourceLocation = #_sourceLocation) {
    let trusted = duty.book.state.withLock { state in state.trust.feeds.count { $0.saysTrusted } }
    let report = duty.book.report
    let found = "\(report.reason), \(trusted) trusted, \(report.restarts) restarts"
    #expect(found == wanted, sourceLocation: place)
}

extension FeedLoop {
    /// As if the feed's connection had just been opened.
    func connect(_ feed: Feed) {
        _ = feed.machine.tick(now: .zero)
        feed.generation = (feeds.map(\.generation).max() ?? 0) + 1
        feed.machine.opened(now: .zero)
        feed.trust.set(true)
    }
}
