import Binance
import DepthCacheAPI
import Telemetry
import TestSupport
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

    @Test func `what could go out is told by urgency, and depth is not wanted while first copies still come`()
        throws
    {
        let exchange = try #require(ExchangeDirectory()[name: "binance.com"])
        let desk = SnapshotDesk(
            exchange: exchange, http: try HTTPClient(), weight: Guarded(RequestWeight(limitPerMinute: 6000)),
            clock: WorkerClock(), metrics: MetricRegistry())
        func submit(
            _ purpose: SnapshotOrder.Purpose, _ limit: Int, _ count: Int = 1, at time: Duration = .zero
        ) {
            for _ in 0..<count {
                desk.submit(
                    SnapshotOrder(purpose: purpose, market: "BTCUSDT", limit: limit, notBefore: time) { _ in }
                )
            }
        }
        submit(.deepen, 1000, 3)
        submit(.refresh, 500)
        submit(.deepen, 1000, at: .seconds(1_000_000))
        // The ration of audits lets 20 of weight go at once.
        submit(.audit, 100, 9)
        var demands = desk.demands()
        #expect(demands.map(\.weight) == [0, 150, 25 + 20])
        #expect(demands.map(\.orders) == [0, 3, 1 + 4])
        #expect(demands.map(\.largest) == [0, 50, 25])
        submit(.synchronize, 100, 2)
        submit(.probe, 5)
        demands = desk.demands()
        #expect(demands.map(\.weight) == [10, 5, 0])
    }

    @Test func `questions for a market's status have half of the weight, of quiet markets a tenth`() throws {
        let exchange = try #require(ExchangeDirectory()[name: "binance.com"])
        let desk = SnapshotDesk(
            exchange: exchange, http: try HTTPClient(), weight: Guarded(RequestWeight(limitPerMinute: 6000)),
            clock: WorkerClock(), metrics: MetricRegistry())
        for _ in 0..<255 {
            desk.submit(SnapshotOrder(purpose: .status, market: "BTCUSDT", notBefore: .zero) { _ in })
        }
        // A sixth of a minute's 3,000.
        #expect(desk.demands().map(\.weight) == [500, 0, 0])
        for _ in 0..<255 {
            desk.submit(SnapshotOrder(purpose: .check, market: "BTCUSDT", notBefore: .zero) { _ in })
        }
        #expect(desk.demands().map(\.weight) == [500, 100, 0])
        desk.submit(
            SnapshotOrder(purpose: .synchronize, market: "BTCUSDT", limit: 100, notBefore: .zero) { _ in })
        // While first copies come, quiet markets can wait.
        #expect(desk.demands().map(\.weight) == [505, 0, 0])
    }

    /// Which of `orders` go out, in which order, where 100 of weight are granted and no share is of use; until `last` has.
    private func whatGoes(
        _ orders: [(SnapshotOrder.Purpose, Int)], until last: SnapshotOrder.Purpose
    ) async throws -> [SnapshotOrder.Purpose] {
        let exchange = try #require(ExchangeDirectory()[name: "binance.com"])
        let weight = Guarded(RequestWeight(limitPerMinute: 1200, isShared: true))
        let desk = SnapshotDesk(
            exchange: exchange, http: try HTTPClient(), weight: weight, clock: WorkerClock(),
            metrics: MetricRegistry())
        let gone = Guarded<[SnapshotOrder.Purpose]>([])
        for (purpose, limit) in orders {
            desk.submit(
                SnapshotOrder(
                    purpose: purpose, market: "BTCUSDT", limit: limit, notBefore: .zero,
                    willSend: {
                        // What is not wanted is not sent: its weight comes back.
                        gone.withLock { $0.append(purpose) }
                        return false
                    }
                ) { _ in })
        }
        let running = Task { await desk.run() }
        defer { running.cancel() }
        try await eventually("the last of them") {
            let now = WallClock.milliseconds
            weight.withLock {
                $0.grant(100, minute: RequestWeight.minute(now), workers: 1, nowMilliseconds: now)
            }
            desk.weightChanged()
            return gone.withLock { $0.contains(last) }
        }
        return gone.withLock { $0 }
    }

    @Test func `a probe goes before depth, and so does the question whether a market trades`() async throws {
        let gone = try await whatGoes([(.deepen, 1000), (.probe, 5), (.check, 0)], until: .deepen)
        #expect(gone.count == 3 && gone.last == .deepen)
    }

    @Test func `what has a ration passes an order that does not fit, and nothing else does`() async throws {
        let gone = try await whatGoes([(.deepen, 5000), (.refresh, 5), (.audit, 5)], until: .audit)
        #expect(gone == [.audit])
    }

    @Test func `however often it was woken, a desk without weight looks twice a second when nothing happens`()
        async throws
    {
        let exchange = try #require(ExchangeDirectory()[name: "binance.com"])
        var weight = RequestWeight(limitPerMinute: 6000)
        weight.block(until: WallClock.milliseconds + 3_600_000, isBan: false)
        let desk = SnapshotDesk(
            exchange: exchange, http: try HTTPClient(), weight: Guarded(weight),
            clock: WorkerClock(), metrics: MetricRegistry())
        let looks = Guarded<[ContinuousClock.Instant]>([])
        desk.onLack { looks.withLock { $0.append(.now) } }
        let running = Task { await desk.run() }
        defer { running.cancel() }
        desk.submit(
            SnapshotOrder(purpose: .deepen, market: "BTCUSDT", limit: 1000, notBefore: .zero) { _ in })
        for count in 1...100 {
            try await eventually("look \(count)") { looks.withLock { $0.count } >= count }
            desk.weightChanged()
        }
        let before = looks.withLock { $0.count }
        try await eventually("four more looks") { looks.withLock { $0.count } >= before + 5 }
        let times = looks.withLock { Array($0.suffix(from: before + 1)) }
        let (first, fourth) = (try #require(times.first), try #require(times.dropFirst(3).first))
        #expect(first.duration(to: fourth) >= .milliseconds(990), "two waits of half a second at least")
    }

    @Test func `a rush of first copies ends with the last of them, and never lasts for long`() {
        var rush = FirstCopyRush()
        #expect(!rush.isOn(now: .zero))
        rush.note(now: .seconds(10))
        #expect(rush.isOn(now: .seconds(11)))
        #expect(!rush.isOn(now: .seconds(12)))
        for second in 20..<40 {
            rush.note(now: .seconds(second))
            #expect(rush.isOn(now: .seconds(second)) == (second < 35))
        }
        rush.note(now: .seconds(42))
        #expect(rush.isOn(now: .seconds(43)))
    }
}
