import DepthCacheAPI
import Testing

@testable import Worker

struct AssignmentsTests {
    private let spot = BookID(venue: "binance.com", market: "BTCUSDT", intervalMilliseconds: 100)

    private func replica(_ name: String, exchange: String = "binance.com", depth: Int = 500) -> Assignment {
        Assignment(replica: name, uid: name, exchange: exchange, market: "btcusdt", depth: depth, book: spot)
    }

    @Test func `caches of one market share a book at the largest depth`() {
        var assignments = Assignments(linger: .seconds(10))
        let margin = replica("b", exchange: "binance.com-margin", depth: 2000)
        assignments.replace(with: [replica("a"), margin], now: .zero)
        #expect(assignments.books == [spot: BookDemand(depths: [500, 2000])])
        #expect(assignments.routes.count == 2)
        #expect(assignments.replicas(of: spot) == ["a", "b"])
    }

    @Test func `a deleted replica is kept for ten seconds and not longer`() {
        var assignments = Assignments(linger: .seconds(10))
        assignments.replace(with: [replica("a")], now: .zero)
        assignments.replace(with: [], now: .seconds(1))
        #expect(assignments.routes[MarketKey(exchange: "BINANCE.COM", market: "BTCUSDT")] == [spot])
        let early = assignments.expire(now: .milliseconds(10_999))
        #expect(!early)
        #expect(assignments.books == [spot: BookDemand(depth: 500)])
        let late = assignments.expire(now: .seconds(11))
        #expect(late)
        #expect(assignments.books.isEmpty && assignments.routes.isEmpty)
    }

    @Test func `a replica that comes back while its book lingers keeps it`() {
        var assignments = Assignments(linger: .seconds(10))
        assignments.replace(with: [replica("a")], now: .zero)
        assignments.replace(with: [], now: .seconds(1))
        assignments.replace(with: [replica("c")], now: .seconds(2))
        assignments.expire(now: .seconds(60))
        #expect(assignments.books == [spot: BookDemand(depth: 500)])
    }

    @Test func `a loop without a pulse for more than a second is not believed`() {
        let pulse = LoopPulse(now: .zero)
        let trust = FeedTrust(pulse: pulse)
        #expect(!trust.isBelievable(now: .zero))
        trust.set(true)
        #expect(trust.isBelievable(now: .seconds(1)))
        #expect(!trust.isBelievable(now: .milliseconds(1001)))
        pulse.beat(now: .milliseconds(1001))
        #expect(trust.isBelievable(now: .milliseconds(1001)))
    }
}
