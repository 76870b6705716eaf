import DepthCacheAPI
import Telemetry
import Testing

@testable import Books
@testable import Worker

/// Make before break, on a loop whose time and exchange the test plays.
struct HandoverTests {
    /// A live book at 100 on one connection, and the connection that is to take its place, acknowledged at 1 s.
    private func withHandover(
        _ body: @escaping @Sendable (isolated FeedLoop, BookDuty, _ old: Feed, _ new: Feed) -> Void
    ) async throws {
        try await withLines(1) { loop, duty in
            let old = duty.lines[0].feed
            loop.acknowledge(old, now: .zero)
            duty.load(id: 100)
            loop.carryOut([.replace(.lifetime)], old, .zero)
            guard let new = old.handover?.successor else {
                Issue.record("no handover has begun")
                return
            }
            loop.connect(new)
            expectBook(duty, "Synchronized, 1 trusted, 0 restarts")
            loop.acknowledge(new, now: .seconds(1))
            expectBook(duty, "Synchronized, 2 trusted, 0 restarts")
            body(loop, duty, old, new)
        }
    }

    @Test func `the old connection goes when the book has come to the first event of the new one`()
        async throws
    {
        try await withHandover { loop, duty, old, new in
            loop.hear(103, 105, duty, new)
            loop.tickHandovers(now: .seconds(2))
            #expect(loop.feeds.count == 2)
            loop.hear(101, 102, duty, old)
            expectBook(duty, "Synchronized, 2 trusted, 0 restarts")
            loop.tickHandovers(now: .seconds(2))
            #expect(loop.feeds.count == 1 && loop.feeds.first === new && duty.lines.count == 1)
            expectBook(duty, "Synchronized, 1 trusted, 0 restarts")
            loop.hear(106, 106, duty, new)
            expectBook(duty, "Synchronized, 1 trusted, 0 restarts")
            #expect(duty.liveID == 106)
        }
    }

    @Test func `a quiet stream is handed over after a while and a pong on both connections`() async throws {
        try await withHandover { loop, duty, old, new in
            new.ping(now: .seconds(2))
            new.ponged(1)
            loop.tickHandovers(now: .seconds(4))
            #expect(loop.feeds.count == 2)
            old.ping(now: .seconds(2))
            old.ponged(1)
            loop.tickHandovers(now: .milliseconds(3999))
            #expect(loop.feeds.count == 2)
            loop.tickHandovers(now: .seconds(4))
            #expect(loop.feeds.count == 1 && loop.feeds.first === new)
            expectBook(duty, "Synchronized, 1 trusted, 0 restarts")
        }
    }

    @Test func `a connection that misses what the old one brings does not take its place`() async throws {
        try await withHandover { loop, duty, old, new in
            for feed in [old, new] {
                feed.ping(now: .seconds(2))
                feed.ponged(1)
            }
            loop.hear(101, 101, duty, old)
            loop.tickHandovers(now: .seconds(20))
            #expect(loop.feeds.count == 2)
            loop.tickHandovers(now: .seconds(60))
            #expect(loop.feeds.count == 1 && loop.feeds.first === old && old.handover == nil)
            expectBook(duty, "Synchronized, 1 trusted, 0 restarts")
            loop.hear(102, 102, duty, old)
            #expect(duty.liveID == 102)
        }
    }

    @Test func `if the old connection dies first the new one carries on`() async throws {
        try await withHandover { loop, duty, old, new in
            loop.drop(old, .failed("gone"))
            #expect(loop.feeds.count == 1 && loop.feeds.first === new && !new.isStandIn)
            expectBook(duty, "Synchronized, 1 trusted, 0 restarts")
            loop.hear(101, 101, duty, new)
            #expect(duty.liveID == 101)
        }
    }

    @Test func `if the new connection dies the old one stays and the new one tries again`() async throws {
        try await withHandover { loop, duty, old, new in
            loop.drop(new, .failed("gone"))
            #expect(loop.feeds.count == 2 && old.handover != nil)
            expectBook(duty, "Synchronized, 1 trusted, 0 restarts")
        }
    }

    @Test func `a book that begins during a handover is brought by both connections`() async throws {
        try await withHandover { loop, duty, old, new in
            let other = loop.keepAnother(beside: duty, old)
            #expect(other.lines.map { $0.feed === old } == [true, false])
            loop.letGo(other.book)
            #expect(other.lines.isEmpty && old.lines.count == 1 && new.lines.count == 1)
            loop.letGo(duty.book)
            loop.carryOut([.close(.notWanted)], new, .zero)
            loop.carryOut([.close(.notWanted)], old, .zero)
            #expect(loop.feeds.count == 1 && loop.feeds.first === new && !new.isStandIn)
        }
    }

    @Test func `connections of two lanes are not replaced at the same time unless they must`() async throws {
        try await withLines(2) { loop, duty in
            for line in duty.lines { loop.acknowledge(line.feed, now: .zero) }
            for line in duty.lines { loop.carryOut([.replace(.lifetime)], line.feed, .seconds(9)) }
            #expect(loop.feeds.count { $0.handover != nil } == 1)
            for line in duty.lines { loop.carryOut([.replace(.serverShutdown)], line.feed, .seconds(9)) }
            #expect(loop.feeds.count { $0.handover != nil } == 2)
        }
    }

    @Test func `a line that misses what another one brings is asked for anew, less and less often`()
        async throws
    {
        try await withLines(2) { loop, duty in
            for line in duty.lines { loop.acknowledge(line.feed, now: .zero) }
            duty.load(id: 100)
            loop.hear(101, 101, duty, duty.lines[0].feed)
            duty.lines[1].missingSince = .seconds(1)
            loop.watchLines(now: .milliseconds(10_999))
            #expect(duty.lines[1].isOpen)
            loop.watchLines(now: .seconds(11))
            #expect(!duty.lines[1].isOpen)
            expectBook(duty, "Synchronized, 1 trusted, 0 restarts")
            loop.acknowledge(duty.lines[1].feed, now: .seconds(12))  // UNSUBSCRIBE
            loop.acknowledge(duty.lines[1].feed, now: .seconds(14))  // SUBSCRIBE
            expectBook(duty, "Synchronized, 2 trusted, 0 restarts")
            duty.lines[1].missingSince = .seconds(20)
            loop.watchLines(now: .seconds(39))
            #expect(duty.lines[1].isOpen)
            loop.watchLines(now: .seconds(40))
            #expect(!duty.lines[1].isOpen)
        }
    }

    @Test func `a line that was the first to bring an event does not miss it`() async throws {
        try await withLines(2) { loop, duty in
            let lines = duty.lines
            for line in lines { loop.acknowledge(line.feed, now: .zero) }
            duty.load(id: 100)
            loop.hear(101, 101, duty, lines[1].feed)
            #expect(lines[0].missingSince != nil && lines[1].missingSince == nil)
            loop.hear(101, 101, duty, lines[0].feed)
            #expect(lines[0].missingSince == nil && lines[1].missingSince == nil)
            loop.hear(102, 103, duty, lines[0].feed)
            #expect(lines[0].missingSince == nil && lines[1].missingSince != nil)
        }
    }

    @Test func `ids that begin anew do not hide that a line misses what another one brings`() async throws {
        try await withLines(2) { loop, duty in
            let lines = duty.lines
            for line in lines { loop.acknowledge(line.feed, now: .zero) }
            duty.load(id: 100)
            for line in lines { loop.hear(101, 101, duty, line.feed) }
            #expect(lines[0].missingSince == nil && lines[1].missingSince == nil)
            loop.hear(5, 5, duty, lines[0].feed)
            #expect(lines[1].missingSince != nil)
            loop.hear(5, 5, duty, lines[1].feed)
            #expect(lines[0].missingSince == nil && lines[1].missingSince == nil)
        }
    }
}

extension FeedLoop {
    func hear(_ first: Int64, _ last: Int64, _ duty: BookDuty, _ feed: Feed, late: Int64 = 0) {
        let time = WallClock.milliseconds - late
        hear(
            "{\"stream\":\"\(duty.book.stream)\",\"data\":{\"e\":\"depthUpdate\",\"E\":\(time),\"U\":\(first),\"u\":\(last),\"b\":[],\"a\":[]}}",
            feed)
    }
}

extension BookDuty {
    var liveID: Int64? { book.state.withLock { state in state.book.readIfSynchronized { $0.lastID } } }
}
