import Binance
import DepthCacheAPI
import Testing

@testable import Controller

/// Who gets how much of a minute.
struct WeightPlannerTests {
    private static let minute: Int64 = 20_000_000
    private static let time: Int64 = minute * 60_000 + 10_000

    private func report(
        _ number: UInt64 = 1, at second: Int64 = 10, spent: Int = 0, settled: Int? = nil, header: Int = 0,
        granted: Int = 0, share: Int = 100, demand: [Int] = [0, 0, 0], unit: [Int] = [5, 50, 50]
    ) -> WeightReport {
        var pool = WeightReport.Pool(name: "p", time: Self.minute * 60_000 + second * 1000)
        pool.minute = pool.time / 60_000
        (pool.spent, pool.settled, pool.header) = (spent, settled ?? spent, header)
        (pool.granted, pool.share, pool.limit) = (granted, share, 6000)
        pool.demands = zip(demand, unit).map { WeightReport.Demand(weight: $0, largest: $1, orders: $0 / $1) }
        return WeightReport(number: number, pools: [pool])
    }

    private func planner(_ ids: [String]) -> WeightPlanner {
        var planner = WeightPlanner()
        planner.setMembers(ids.map { WeightPlanner.Member(id: $0, group: "g") })
        return planner
    }

    private func planned(_ planner: inout WeightPlanner, rounds: Int = 30) {
        for _ in 0..<rounds { planner.plan() }
    }

    private func weight(_ planner: WeightPlanner, _ id: String) -> Int {
        planner.grant(for: id).pools.first?.weight ?? 0
    }

    @Test func `first copies of all come before anybody's depth, and are divided fairly`() {
        var planner = planner(["a", "b", "c"])
        planner.take(report(demand: [4000, 4000, 0]), from: "a", now: .zero)
        planner.take(report(demand: [4000, 0, 0]), from: "b", now: .zero)
        planner.take(report(demand: [500, 4000, 0]), from: "c", now: .zero)
        planned(&planner)
        let (a, b, c) = (weight(planner, "a"), weight(planner, "b"), weight(planner, "c"))
        #expect(c == 500)
        #expect(abs(a - b) <= 5)
        #expect((5090...5100).contains(a + b + c))
    }

    @Test func `a part is kept for first copies until late in the minute`() {
        var planner = planner(["a"])
        planner.take(report(share: 0, demand: [0, 9000, 0]), from: "a", now: .zero)
        planned(&planner)
        #expect(weight(planner, "a") == 3600)
        planner.take(
            report(at: 46, spent: 3600, header: 3600, granted: 3600, share: 0, demand: [0, 9000, 0]),
            from: "a", now: .zero)
        planned(&planner)
        #expect(weight(planner, "a") == 5100)
    }

    @Test func `what strangers use is not granted, and replies under way count once when they are in`() {
        var planner = planner(["a"])
        planner.take(
            report(spent: 500, settled: 300, header: 1500, share: 0, demand: [9000, 0, 0]), from: "a",
            now: .zero)
        planned(&planner)
        #expect(weight(planner, "a") == 5100 - 1200)
        planner.take(
            report(spent: 500, settled: 500, header: 1500, share: 0, demand: [9000, 0, 0]), from: "a",
            now: .zero)
        planned(&planner)
        #expect(weight(planner, "a") == 5100 - 1000)
    }

    @Test func `a new leader waits for all that may hold grants of the old one, or for the next minute`() {
        var planner = planner(["a", "b"])
        planner.take(report(demand: [9000, 0, 0]), from: "a", now: .zero)
        planned(&planner)
        #expect(weight(planner, "a") == 0)
        var (heard, late) = (planner, planner)
        heard.take(report(granted: 3000, share: 150), from: "b", now: .zero)
        planned(&heard)
        #expect(weight(heard, "a") == 2100)
        late.take(report(at: 61, demand: [9000, 0, 0]), from: "a", now: .zero)
        planned(&late)
        // The silent one may spend what a worker may that knows of no others.
        #expect(weight(late, "a") == 4800)
    }

    @Test func `the grant of a worker that is gone stays booked until its minute ends`() {
        var planner = planner(["a", "b"])
        planner.take(report(demand: [3000, 0, 0]), from: "a", now: .zero)
        planner.take(report(share: 0), from: "b", now: .zero)
        planned(&planner)
        #expect(weight(planner, "a") == 3000)
        planner.setMembers([WeightPlanner.Member(id: "b", group: "g")])
        planner.take(report(share: 0, demand: [9000, 0, 0]), from: "b", now: .zero)
        planned(&planner)
        #expect(weight(planner, "b") == 2100)
        planner.take(report(at: 61, share: 0, demand: [9000, 0, 0]), from: "b", now: .seconds(51))
        planned(&planner)
        #expect(weight(planner, "b") == 5100)
    }

    @Test func `groups do not share, and a refusal stops all of its group`() {
        var planner = WeightPlanner()
        planner.setMembers([
            WeightPlanner.Member(id: "a", group: "g"), WeightPlanner.Member(id: "b", group: "g"),
            WeightPlanner.Member(id: "c", group: "h"),
        ])
        var refused = report(demand: [100, 0, 0])
        refused.pools[0].blockedUntil = Self.time + 5000
        planner.take(refused, from: "a", now: .zero)
        planner.take(report(demand: [100, 0, 0]), from: "b", now: .zero)
        planner.take(report(share: 0, demand: [9000, 0, 0]), from: "c", now: .zero)
        planned(&planner)
        #expect(weight(planner, "b") == 0)
        #expect(planner.grant(for: "b").pools.first?.blockedUntil == Self.time + 5000)
        #expect(weight(planner, "c") == 5100)
        planner.take(report(at: 16, demand: [200, 0, 0]), from: "b", now: .zero)
        planned(&planner)
        #expect(planner.grant(for: "b").pools.first?.blockedUntil == 0)
        #expect(weight(planner, "b") == 200)
    }

    @Test func `a limit that was read counts for more than one that is believed`() {
        var planner = planner(["a"])
        planner.setLimit(1200, pool: "p")
        planner.take(report(share: 0, demand: [9000, 0, 0]), from: "a", now: .zero)
        planned(&planner)
        #expect(weight(planner, "a") == 1020)
        #expect(planner.grant(for: "a").pools.first?.limit == 1200)
    }

    @Test func `near the end of a minute nothing is granted any more`() {
        for second in [0, 59] as [Int64] {
            var planner = planner(["a"])
            var edge = report(share: 0, demand: [9000, 0, 0])
            edge.pools[0].time = Self.minute * 60_000 + (second == 0 ? 499 : 59_500)
            planner.take(edge, from: "a", now: .zero)
            planned(&planner)
            #expect(weight(planner, "a") == 0)
        }
    }
}
