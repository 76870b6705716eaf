import Binance
import DepthCacheAPI
import K8sClient
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

    @Test(arguments: [
        (true, 60, "Synchronized"), (true, -1, "MarketNotTrading"), (false, -1, "Synchronized"),
    ])
    func `a book is served until its contract ends, by the exchange's clock`(
        isClockKnown: Bool, seconds: Int64, reason: String
    ) async throws {
        let (ours, ahead) = (WallClock.milliseconds, Int64(3_600_000))
        var weight = RequestWeight(limitPerMinute: 6000)
        if isClockKnown { weight.observe(told: ours + ahead, sent: ours, received: ours) }
        try await withLines(1, exchange: "binance.com-futures", weight: weight) { loop, duty in
            loop.acknowledge(duty.lines[0].feed, now: .zero)
            duty.load(id: 100)
            duty.contractEnd = Timestamp(secondsSinceEpoch: (ours + ahead) / 1000 + seconds)
            loop.tickBooks(now: loop.clock.now)
            #expect(duty.book.report.reason.rawValue == reason)
            // The exchange may go on listing it.
            loop.statusAnswered(.status(isTrading: true), duty)
            loop.tickBooks(now: loop.clock.now + .seconds(3600))
            #expect(duty.hasEnded == (reason == "MarketNotTrading"))
            #expect(!duty.hasEnded || duty.book.report.reason == .marketNotTrading)
        }
    }

    @Test func `a contract's name tells its book when it ends`() async throws {
        try await withLines(1, exchange: "binance.com-vanilla-options") { loop, duty in
            let id = BookID(
                venue: duty.book.id.venue, market: "BTC-261225-100000-C", intervalMilliseconds: 100)
            let book = KeptBook(id: id, stream: "btc-261225-100000-c@depth@100ms", family: .options)
            loop.keep(book, demand: BookDemand(depth: 50), venue: duty.venue)
            #expect(loop.duties[id]?.contractEnd?.description == "2026-12-25T08:00:00Z")
            #expect(duty.contractEnd == nil)
        }
    }
}
