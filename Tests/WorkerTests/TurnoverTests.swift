import DepthCacheAPI
import TestSupport
import Testing

@testable import Worker

/// Connections to the exchange simulator that are replaced or lost while books are asked all the time.
@Suite(.serialized) struct TurnoverTests {
    private let markets = ["BTCUSDT", "ETHUSDT", "BNBUSDT"]

    private func synchronized(_ rig: Rig) async throws {
        await rig.assign(markets)
        try await eventually("synchronised books on all lines") {
            for market in markets where await rig.openLines(market) < rig.loop.settings.lanes { return false }
            return markets.allSatisfy { rig.isServed($0) }
        }
    }

    /// Waits for the condition and asks all books meanwhile; each query has to be answered.
    private func neverDark(_ rig: Rig, until condition: () async throws -> Bool) async throws {
        var unanswered = 0
        try await eventually("the turnover", within: .seconds(60)) {
            for market in markets where !rig.isServed(market) { unanswered += 1 }
            return try await condition()
        }
        #expect(unanswered == 0)
        for market in markets {
            #expect(rig.book(market)?.report.restarts == 0)
            #expect(try await rig.difference(market, .asks) == nil)
            #expect(try await rig.difference(market, .bids) == nil)
        }
    }

    @Test(arguments: [1, 2])
    func `planned turnovers cost no resync and no answer`(_ lanes: Int) async throws {
        let rig = try await Rig(lines: LineSettings(lanes: lanes, lifetime: .seconds(2)))
        try await synchronized(rig)
        try await neverDark(rig) { rig.metric("fathom_worker_feed_handovers_total") >= 2 * lanes }
        #expect(rig.metric("fathom_worker_feed_losses_total") == 0)
        await rig.stop()
    }

    @Test func `a server shutdown costs no resync and no answer`() async throws {
        let rig = try await Rig()
        try await synchronized(rig)
        try await rig.inject("serverShutdown")
        try await neverDark(rig) { rig.metric("fathom_worker_feed_handovers_total") == 1 }
        #expect(rig.metric("fathom_worker_feed_connections_total") == 2)
        await rig.stop()
    }

    @Test(arguments: [0, 1])
    func `with two feeds the loss of either costs no resync and no answer`(_ lost: Int) async throws {
        let rig = try await Rig(lines: LineSettings(lanes: 2))
        try await synchronized(rig)
        await rig.loop.abort(lane: lost)
        try await neverDark(rig) {
            guard rig.metric("fathom_worker_feed_connections_total") == 3 else { return false }
            for market in markets where await rig.openLines(market) < 2 { return false }
            return true
        }
        #expect(rig.metric("fathom_worker_feed_losses_total") == 1)
        await rig.stop()
    }
}

extension Rig {
    func openLines(_ market: String) async -> Int {
        guard let id = book(market)?.id else { return 0 }
        return await loop.openLines(id)
    }
}

extension FeedLoop {
    func openLines(_ id: BookID) -> Int { duties[id]?.lines.count(where: \.isOpen) ?? 0 }

    /// As if the connections of a lane broke.
    func abort(lane: Int) {
        for feed in feeds where feed.lane == lane {
            carryOut([.close(.failed("broken by the test"))], feed, clock.now)
        }
    }
}
