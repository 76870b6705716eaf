import Binance
import Telemetry
import Testing
import Transport

@testable import Worker

/// Which orders wait at the desk.
struct SnapshotDeskTests {
    @Test func `a book has one waiting order of a kind, the newest, at the earliest time asked`() throws {
        let exchange = try #require(ExchangeDirectory()[name: "binance.com"])
        let desk = SnapshotDesk(
            exchange: exchange, http: try HTTPClient(), weight: Guarded(RequestWeight(limitPerMinute: 100)),
            clock: WorkerClock(), metrics: MetricRegistry())
        let (one, other) = (MetricRegistry(), MetricRegistry())
        func submit(_ purpose: SnapshotOrder.Purpose, _ book: MetricRegistry, _ limit: Int, _ second: Int) {
            desk.submit(
                SnapshotOrder(
                    purpose: purpose, book: ObjectIdentifier(book), market: "BTCUSDT", limit: limit,
                    notBefore: .seconds(second)
                ) { _ in })
        }
        submit(.synchronize, one, 100, 5)
        submit(.synchronize, other, 200, 6)
        submit(.refresh, one, 300, 7)
        submit(.synchronize, one, 400, 8)
        submit(.synchronize, one, 500, 9)
        #expect(desk.waiting.map(\.limit) == [500, 200, 300])
        #expect(desk.waiting.map(\.notBefore) == [.seconds(5), .seconds(6), .seconds(7)])
    }
}
