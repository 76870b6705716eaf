import Binance
import DepthCacheAPI
import K8sClient
import Synchronization
import Telemetry
import Testing

@testable import Books
@testable import Worker

/// Contracts that end on a day that their name tells.
struct ContractEndTests {
    @Test(arguments: [
        ("binance.com-vanilla-options", "BTC-261225-100000-C", "2026-12-25T08:00:00Z"),
        ("binance.com-vanilla-options", "XRP-280229-1.5-P", "2028-02-29T08:00:00Z"),
        ("binance.com-vanilla-options", "BTC-261325-100000-C", nil),
        ("binance.com-vanilla-options", "BTC-26122-100000-C", nil),
        ("binance.com-vanilla-options", "BTC-26122é-100000-C", nil),
        ("binance.com-vanilla-options", "BTCUSDT", nil),
        ("binance.com", "BTC-261225-100000-C", nil),
    ])
    func `options end at eight of their day`(exchange: String, market: String, end: String?) throws {
        let exchange = try #require(try ExchangeDirectory(overridesYAML: [])[name: exchange])
        #expect(exchange.contractEnd(ofMarket: market)?.description == end)
    }

    @Test(arguments: [(60, "Synchronized"), (-1, "MarketNotTrading")])
    func `a book is served until its contract ends, by the exchange's clock`(
        seconds: Int64, reason: String
    ) async throws {
        try await withLines(1, exchange: "binance.com-futures") { loop, duty in
            loop.acknowledge(duty.lines[0].feed, now: .zero)
            duty.load(id: 100)
            let ahead: Int64 = 3_600_000
            duty.venue.clockOffset.store(ahead, ordering: .relaxed)
            duty.contractEnd = Timestamp(
                secondsSinceEpoch: (WallClock.milliseconds + ahead) / 1000 + seconds)
            loop.tickBooks(now: loop.clock.now)
            #expect(duty.book.report.reason.rawValue == reason)
        }
    }
}
