import DepthCacheAPI
import K8sClient
import Testing

@testable import Controller

/// Moves whose new copies never become ready.
@Suite struct MoveWatchTests {
    /// Where the copies are.
    private func places(_ bench: Bench) async -> [String: Int] {
        await bench.cluster.replicas.values.reduce(into: [:]) { $0[$1.spec.workerName, default: 0] += 1 }
    }

    /// Four caches on one worker, all served, and others beside it that are new.
    private func bench(others: [String]) async -> Bench {
        let bench = Bench()
        await bench.cluster.setWorker("w1")
        for number in 0..<4 {
            await bench.cluster.apply(
                "c\(number)", DepthCacheSpec(exchange: "binance.com", market: "M\(number)USDT"))
        }
        #expect(await bench.settle())
        await bench.cluster.report("w1", .synchronized)
        for other in others { await bench.cluster.setWorker(other) }
        #expect(await bench.settle(second: 1))
        return bench
    }

    private var patience: Int64 { MoveWatch.patience.components.seconds }

    @Test func `a move whose copy never becomes ready is given up, said, and made to another worker`() async {
        let bench = await bench(others: ["w2"])
        #expect(await places(bench) == ["w1": 4, "w2": 2])
        await bench.cluster.report("w2", .connecting)
        #expect(await bench.settle(second: patience - 1))
        #expect(await places(bench) == ["w1": 4, "w2": 2], "not before its time")
        _ = await bench.cluster.takeEvents()
        #expect(await bench.settle(second: patience + 2))
        #expect(await places(bench) == ["w1": 4], "and not made again at once")
        let told = await bench.cluster.takeEvents().filter { $0.reason == .moveAbandoned }
        #expect(told.count == 2)
        #expect(told.allSatisfy { $0.isWarning && $0.message.contains("from worker w2") })
        for number in 0..<4 { #expect(await bench.cluster.status("c\(number)")?.readyReplicas == 1) }
        await bench.cluster.setWorker("w3")
        #expect(await bench.settle(second: patience + 3))
        #expect(await places(bench) == ["w1": 4, "w3": 2])
        await bench.cluster.report("w3", .synchronized)
        #expect(await bench.settle(second: patience + 4))
        #expect(await places(bench) == ["w1": 2, "w3": 2])
    }

    @Test func `after its rest a worker is tried again, and copies that become ready late are kept`() async {
        let bench = await bench(others: ["w2"])
        await bench.cluster.report("w2", .connecting)
        // The leader sees them wait, and does not count the time before.
        #expect(await bench.settle(second: 2))
        #expect(await bench.settle(second: patience + 3))
        #expect(await places(bench) == ["w1": 4])
        let rested = patience + MoveWatch.rest.components.seconds + 5
        #expect(await bench.settle(second: rested))
        #expect(await places(bench) == ["w1": 4, "w2": 2])
        await bench.cluster.report("w2", .synchronized)
        #expect(await bench.settle(second: rested + patience - 10))
        #expect(await places(bench) == ["w1": 2, "w2": 2])
        #expect(await bench.settle(second: rested + 2 * patience))
        #expect(await places(bench) == ["w1": 2, "w2": 2], "what is settled is left alone")
    }
}
