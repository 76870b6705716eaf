import DepthCacheAPI
import Telemetry
import Testing

@testable import Books
@testable import Worker

/// What counts as a proof that a book is right, and what becomes of one that has none.
struct ProofTests {
    /// A book at 100 whose only stream is acknowledged.
    private func withBook(
        _ body: @escaping @Sendable (isolated FeedLoop, BookDuty, SnapshotDesk) -> Void
    ) async throws {
        try await withLines(1) { loop, duty in
            loop.acknowledge(duty.lines[0].feed, now: .zero)
            duty.load(id: 100)
            body(loop, duty, duty.venue.desk)
        }
    }

    @Test(arguments: [("99.00", true), ("100.00", false)])
    func `an older id with other levels is no proof of anything`(
        bid: String, isWithdrawn: Bool
    ) async throws {
        try await withBook { loop, duty, desk in
            duty.lastEvent = loop.clock.now - .seconds(31)
            loop.tickBooks(now: loop.clock.now)
            desk.answer(.probe, .snapshot(snapshot(id: 50, bid: bid), limit: 5))
            expectBook(duty, "Synchronized, 1 trusted, 0 restarts")
            if duty.unprovenSince != nil { duty.unprovenSince = loop.clock.now - .seconds(61) }
            loop.tickBooks(now: loop.clock.now)
            expectBook(duty, "\(isWithdrawn ? "ProbeFailed" : "Synchronized"), 1 trusted, 0 restarts")
            guard isWithdrawn else { return }
            duty.nextProbe = .zero
            loop.tickBooks(now: loop.clock.now)
            desk.answer(.probe, .snapshot(snapshot(id: 100), limit: 5))
            expectBook(duty, "Synchronized, 1 trusted, 0 restarts")
        }
    }

    @Test(arguments: [
        (31, "UnknownMarket, 1 trusted, 1 restarts"), (29, "Synchronized, 1 trusted, 0 restarts"),
    ])
    func `a silent market that a deeper snapshot finds unknown is served no longer`(
        seconds: Int, wanted: String
    ) async throws {
        try await withBook { loop, duty, desk in
            duty.lastSpoke = loop.clock.now - .seconds(seconds)
            loop.orderFresh(.refresh, limit: 1000, duty)
            desk.answer(.refresh, .unknownMarket("no such market"))
            expectBook(duty, wanted)
        }
    }

    @Test(arguments: [true, false])
    func `a copy beside a book that broke the rules is replaced by the exchange's answer`(
        needsExchange: Bool
    ) async throws {
        try await withBook { loop, duty, desk in
            loop.orderFresh(.deepen, limit: 1000, duty)
            #expect(desk.waiting.last { $0.purpose == .deepen }?.copy != nil)
            loop.freshAsks(
                .fetchSnapshot(
                    SnapshotRequest(number: 2, attempt: 1, reason: .regression, needsExchange: needsExchange)),
                duty)
            #expect((desk.waiting.last { $0.purpose == .deepen }?.copy == nil) == needsExchange)
        }
    }

    @Test func `a book that cannot be audited does not keep the others waiting`() async throws {
        try await withLines(1) { loop, duty in
            let feed = duty.lines[0].feed
            let other = loop.keepAnother(beside: duty, feed)
            loop.acknowledge(feed, now: .zero)
            loop.acknowledge(feed, now: .seconds(2))
            for duty in [duty, other] { duty.load(id: 100) }
            let now = loop.clock.now + .seconds(1000)
            var audited: [BookID] = []
            for second in 0..<2 {
                loop.auditNext(now + .seconds(second))
                for duty in [duty, other] where duty.freshOrder?.purpose == .audit {
                    audited.append(duty.book.id)
                    loop.endFresh(duty, "the copy did not meet the book")
                }
            }
            #expect(Set(audited) == [duty.book.id, other.book.id])
        }
    }

    @Test func `a book that differed is deepened from the exchange until it is exact`() async throws {
        try await withLines(1) { loop, duty in
            let order = BookDuty.FreshOrder(number: 1, purpose: .deepen, limit: 1000)
            #expect(loop.copyTerms(order, duty) != nil)
            duty.book.state.withLock { $0.isDoubtful = true }
            #expect(loop.copyTerms(order, duty) == nil)
        }
    }
}
