import DepthCacheAPI
import Telemetry
import Testing

@testable import Books
@testable import Worker

/// Snapshots that an exchange may have made before the stream began, as those of options, which come from a cache.
struct OldSnapshotTests {
    /// A book of options whose stream has just been acknowledged.
    private func withOptions(
        _ laneCount: Int = 1,
        _ body: @escaping @Sendable (isolated FeedLoop, BookDuty, Feed, SnapshotDesk) -> Void
    ) async throws {
        try await withLines(laneCount, exchange: "binance.com-vanilla-options") { loop, duty in
            let feed = duty.lines[0].feed
            for line in duty.lines { loop.acknowledge(line.feed, now: loop.clock.now) }
            body(loop, duty, feed, duty.venue.desk)
        }
    }

    @Test(arguments: [
        ("binance.com-vanilla-options", "FeedSilent"), ("binance.com-futures", "Synchronized"),
        ("binance.com", "Synchronized"),
    ])
    func `a first snapshot is served at once unless it may be old`(
        exchange: String, reason: String
    ) async throws {
        try await withLines(1, exchange: exchange) { loop, duty in
            loop.acknowledge(duty.lines[0].feed, now: loop.clock.now)
            duty.venue.desk.answer(.synchronize, snapshot(450))
            expectBook(duty, "\(reason), 1 trusted, 0 restarts")
        }
    }

    @Test func `after a reconnect an older book is not served before an event follows on it`() async throws {
        try await withOptions { loop, duty, feed, desk in
            loop.hear(event(500, after: 490, of: duty), feed)
            desk.answer(.synchronize, snapshot(495))
            expectBook(duty, "Synchronized, 1 trusted, 0 restarts")
            #expect(duty.liveID == 500)
            loop.drop(feed, .failed("gone"))
            loop.connect(feed)
            loop.acknowledge(feed, now: loop.clock.now)
            desk.answer(.synchronize, snapshot(450))
            expectBook(duty, "FeedSilent, 1 trusted, 1 restarts")
            loop.hear(event(510, after: 500, of: duty), feed)
            expectBook(duty, "SnapshotTooOld, 1 trusted, 2 restarts")
            desk.answer(.synchronize, snapshot(505))
            expectBook(duty, "Synchronized, 1 trusted, 2 restarts")
            #expect(duty.liveID == 510)
        }
    }

    @Test func `an event that follows on the snapshot shows that it is not too old`() async throws {
        try await withOptions { loop, duty, feed, desk in
            desk.answer(.synchronize, snapshot(450))
            loop.hear(event(460, after: 440, of: duty), feed)
            expectBook(duty, "Synchronized, 1 trusted, 0 restarts")
            #expect(!duty.mayBeOld && duty.liveID == 460)
        }
    }

    @Test func `a book that started over and dropped its events is not served from a cached answer`()
        async throws
    {
        try await withOptions { loop, duty, feed, desk in
            loop.hear(event(500, after: 490, of: duty), feed)
            desk.answer(.synchronize, snapshot(495))
            loop.invalidate(duty, .crossedBook)
            desk.answer(.synchronize, snapshot(450))
            expectBook(duty, "FeedSilent, 1 trusted, 1 restarts")
        }
    }

    @Test func `another snapshot takes its place as soon as the cache cannot be older than the stream`()
        async throws
    {
        try await withOptions { loop, duty, feed, desk in
            desk.answer(.synchronize, snapshot(450))
            let began = duty.collectsSince
            loop.tickBooks(now: began + .seconds(29))
            expectBook(duty, "FeedSilent, 1 trusted, 0 restarts")
            #expect(!duty.isProbing)
            loop.tickBooks(now: began + .seconds(30))
            expectBook(duty, "SnapshotTooOld, 1 trusted, 1 restarts")
            #expect(duty.collectsSince == began)
            duty.collectsSince = loop.clock.now - .seconds(31)
            desk.answer(.synchronize, snapshot(470))
            expectBook(duty, "Synchronized, 1 trusted, 1 restarts")
        }
    }

    @Test func `a probe that was sent before the book was made anew says nothing of it`() async throws {
        try await withOptions { loop, duty, feed, desk in
            duty.load(id: 449)
            duty.lastEvent = loop.clock.now - .seconds(31)
            loop.tickBooks(now: loop.clock.now)
            let early = desk.waiting.last { $0.purpose == .probe }
            loop.invalidate(duty, .crossedBook)
            desk.answer(.synchronize, snapshot(450))
            early?.completion(snapshot(450))
            expectBook(duty, "FeedSilent, 1 trusted, 1 restarts")
        }
    }

    @Test func `an event that waits behind a gap is asked for anew with the snapshot`() async throws {
        try await withOptions(2) { loop, duty, feed, desk in
            desk.answer(.synchronize, snapshot(450))
            loop.hear(event(510, after: 500, of: duty), feed)
            duty.collectsSince = loop.clock.now - .seconds(31)
            loop.tickBooks(now: loop.clock.now)
            // What was sent before now may be from before that event.
            #expect(loop.clock.now - duty.collectsSince < .seconds(29))
            desk.answer(.synchronize, snapshot(450))
            expectBook(duty, "FeedSilent, 2 trusted, 1 restarts")
        }
    }

    @Test(arguments: [(29, "FeedSilent"), (31, "Synchronized")])
    func `a snapshot that was sent for long enough after the stream began is served at once`(
        seconds: Int, reason: String
    ) async throws {
        try await withOptions { loop, duty, _, desk in
            duty.collectsSince = loop.clock.now - .seconds(seconds)
            let order = desk.waiting.last { $0.purpose == .synchronize }
            let isWanted = order?.willSend?()
            #expect(isWanted == true)
            order?.completion(snapshot(450))
            expectBook(duty, "\(reason), 1 trusted, 0 restarts")
        }
    }

    @Test func `a loop that was away meanwhile does not make an old snapshot believable`() async throws {
        try await withOptions { loop, duty, _, desk in
            duty.isStalled = true
            duty.book.state.withLock { $0.book.suspend(.loopStalled) }
            desk.answer(.synchronize, snapshot(450))
            duty.isStalled = false
            loop.resume(duty)
            expectBook(duty, "FeedSilent, 1 trusted, 0 restarts")
        }
    }

    @Test(arguments: [false, true])
    func `what another connection has brought before does not make an old snapshot believable`(
        isEarlier: Bool
    ) async throws {
        try await withOptions(2) { loop, duty, feed, desk in
            let late = duty.lines[1].feed
            loop.hear(event(500, after: 450, of: duty), feed)
            loop.invalidate(duty, .crossedBook)
            if isEarlier { loop.hear(event(450, after: 440, of: duty), late) }
            desk.answer(.synchronize, snapshot(450))
            if !isEarlier { loop.hear(event(450, after: 440, of: duty), late) }
            expectBook(duty, "FeedSilent, 2 trusted, 0 restarts")
            loop.hear(event(500, after: 450, of: duty), late)
            expectBook(duty, "Synchronized, 2 trusted, 0 restarts")
            #expect(duty.liveID == 500)
        }
    }

    @Test func `a connection that has gone has told what it told`() async throws {
        try await withOptions(2) { loop, duty, feed, desk in
            loop.hear(event(500, after: 450, of: duty), feed)
            loop.invalidate(duty, .crossedBook)
            desk.answer(.synchronize, snapshot(450))
            let late = duty.lines[1].feed
            loop.drop(feed, .failed("gone"))
            loop.hear(event(450, after: 440, of: duty), late)
            expectBook(duty, "FeedSilent, 1 trusted, 0 restarts")
            loop.hear(event(500, after: 450, of: duty), late)
            expectBook(duty, "Synchronized, 1 trusted, 0 restarts")
        }
    }

    @Test func `an event behind a gap that another connection may close does not make the book readable`()
        async throws
    {
        try await withOptions(2) { loop, duty, feed, desk in
            desk.answer(.synchronize, snapshot(450))
            loop.hear(event(510, after: 500, of: duty), feed)
            expectBook(duty, "FeedSilent, 2 trusted, 0 restarts")
            loop.hear(event(500, after: 450, of: duty), duty.lines[1].feed)
            expectBook(duty, "Synchronized, 2 trusted, 0 restarts")
            #expect(duty.liveID == 510)
        }
    }
}

/// The frame of an event that names the one before it and changes nothing.
private func event(_ last: Int, after previous: Int, of duty: BookDuty) -> String {
    "{\"stream\":\"\(duty.book.stream)\",\"data\":{\"e\":\"depthUpdate\",\"E\":\(WallClock.milliseconds),\"U\":\(previous + 1),\"u\":\(last),\"pu\":\(previous),\"b\":[],\"a\":[]}}"
}

/// The answer with a book of one level a side.
private func snapshot(_ id: Int64) -> SnapshotOutcome {
    func level(_ price: Int64) -> PriceLevel {
        PriceLevel(
            price: FixedDecimal(mantissa: price, scale: 0), quantity: FixedDecimal(mantissa: 1, scale: 0))
    }
    return .snapshot(BookSnapshot(lastID: id, bids: [level(100)], asks: [level(101)]), limit: 50)
}
