import Binance
import DepthCacheAPI
import K8sClient
import Telemetry
import TestSupport
import Testing

@testable import Worker

/// How deep books get against the exchange simulator, and what is said of those that stay shallow.
@Suite(.serialized) struct DepthTests {
    private func assign(_ rig: Rig, _ depths: [String: Int], refresh: Int? = nil) async {
        await rig.keeper.assign(
            depths.map { name, depth in
                var metadata = ObjectMeta(name: name)
                metadata.uid = name
                let exchange = name == "margin" ? "binance.com-margin" : "binance.com"
                return DepthCacheReplica(
                    metadata: metadata,
                    spec: DepthCacheReplicaSpec(
                        exchange: exchange, market: "BTCUSDT", depth: depth, refreshIntervalSeconds: refresh,
                        workerName: "w"))
            })
    }

    private func statuses(_ rig: Rig) async -> [String: DepthCacheReplicaStatus] { await rig.keeper.statuses }

    @Test func `a book answers from its first copy and deepens while it is served`() async throws {
        let rig = try await Rig("--depth", "3000")
        try await rig.inject("slowsnapshot", "&symbol=BTCUSDT&delay=0")
        await assign(rig, ["a": 500])
        try await eventually("the first copy") { rig.isServed("BTCUSDT") }
        try await eventually("the deep copy") { (rig.book("BTCUSDT")?.reach?.shortest ?? 0) >= 900 }
        #expect(rig.book("BTCUSDT")?.report.restarts == 0)
        #expect(try await rig.difference("BTCUSDT", .asks, limit: 500) == nil)
        #expect(try await rig.difference("BTCUSDT", .bids, limit: 500) == nil)
        try await eventually("its status") { await statuses(rig)["a"]?.reason == .synchronized }
        await rig.stop()
    }

    @Test func `two replicas of one book each hear how their own depth stands, and a raised one at once`()
        async throws
    {
        let rig = try await Rig("--depth", "3000")
        await assign(rig, ["a": 500, "margin": 20])
        try await eventually("full depth") {
            let statuses = await statuses(rig)
            return statuses["a"]?.reason == .synchronized && statuses["margin"]?.reason == .synchronized
        }
        let reach = rig.book("BTCUSDT")?.reach?.shortest ?? 0
        #expect(reach >= 900 && reach < 1500)
        // The simulator has 3000 levels a side, so that a snapshot of 5000 shows them whole.
        await assign(rig, ["a": 2000, "margin": 20])
        try await eventually("the raised depth") { rig.book("BTCUSDT")?.reach?.shortest == nil }
        #expect(rig.book("BTCUSDT")?.report.restarts == 0)
        #expect(rig.isServed("BTCUSDT"))
        await rig.stop()
    }

    @Test func `a failed deep snapshot leaves the book served and is tried again`() async throws {
        let rig = try await Rig("--depth", "3000")
        await assign(rig, ["a": 20])
        try await eventually("a book that needs no more") { rig.isServed("BTCUSDT") }
        try await rig.inject("503", "&count=2")
        await assign(rig, ["a": 500])
        try await eventually("the status of a shallow book") { await statuses(rig)["a"]?.reason == .shallow }
        #expect(rig.isServed("BTCUSDT"))
        try await eventually("the deep copy") { await statuses(rig)["a"]?.reason == .synchronized }
        #expect(rig.book("BTCUSDT")?.report.restarts == 0)
        await rig.stop()
    }

    @Test func `a timed refresh takes a fresh copy without an outage`() async throws {
        let rig = try await Rig("--depth", "3000")
        await assign(rig, ["a": 50], refresh: 1)
        var times: Set<Int64> = []
        while times.count < 3 {
            let known = times
            try await eventually("another comparison") {
                await rig.lastAudit("BTCUSDT").map { !known.contains($0.time) } ?? false
            }
            let audit = try #require(await rig.lastAudit("BTCUSDT"))
            #expect(audit.isExact && audit.matched >= 100)
            times.insert(audit.time)
        }
        #expect(rig.book("BTCUSDT")?.report.restarts == 0)
        await rig.stop()
    }
}

extension Rig {
    func lastAudit(_ market: String) async -> AuditRecord? {
        book(market)?.state.withLock { $0.lastAudit }
    }
}
