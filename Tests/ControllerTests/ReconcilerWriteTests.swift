import DepthCacheAPI
import K8sClient
import Testing

@testable import Controller

/// What becomes of writes when others write too, the watch is late, or the API says no.
@Suite struct ReconcilerWriteTests {
    func spec(_ market: String, replicas: Int = 1) -> DepthCacheSpec {
        DepthCacheSpec(exchange: "binance.com", market: market, replicas: replicas)
    }

    @Test func `a status is not written over a cache that somebody changed meanwhile`() async {
        let bench = Bench()
        await bench.cluster.apply("btcusdt", spec("BTCUSDT"))
        await bench.cluster.setWorker("w1")
        _ = await bench.settle()
        await bench.cluster.report("w1", .synchronized)
        let old = await bench.cluster.seen
        await bench.cluster.apply("btcusdt", spec("BTCUSDT", replicas: 2))
        let later = bench.start + .seconds(20)
        _ = await bench.reconciler.pass(old, at: later, time: Timestamp(secondsSinceEpoch: 20))
        #expect(await bench.cluster.status("btcusdt")?.readyReplicas == 0, "the write met a newer object")
        #expect(await bench.settle(second: 21))
        #expect(await bench.cluster.status("btcusdt")?.observedGeneration == 2)
        #expect(await bench.cluster.status("btcusdt")?.readyReplicas == 1)
    }

    @Test func `a copy that was deleted does not count while a late watch still shows it`() async {
        let bench = Bench()
        await bench.cluster.apply("btcusdt", spec("BTCUSDT"))
        await bench.cluster.setWorker("w1")
        _ = await bench.settle()
        await bench.cluster.report("w1", .synchronized)
        await bench.cluster.setWorker("w1", .draining)
        await bench.cluster.setWorker("w2")
        _ = await bench.settle(second: 1)
        await bench.cluster.report("w2", .synchronized)
        await bench.cluster.report("w1", .synchronized)
        // The worker that was about to end stays after all.
        var late = await bench.cluster.seen
        _ = await bench.settle(second: 2)
        #expect(await bench.cluster.replicas.values.map(\.spec.workerName) == ["w2"])
        await bench.cluster.setWorker("w1")
        late.workers = await bench.cluster.workers
        for second in 2...4 {
            _ = await bench.reconciler.pass(
                late, at: bench.start + .seconds(second), time: Timestamp(secondsSinceEpoch: 3))
        }
        #expect(await bench.cluster.replicas.values.map(\.spec.workerName) == ["w2"])
    }

    @Test func `a refused write holds up its own cache only, and is tried again later`() async {
        let bench = Bench()
        for name in ["a", "b", "c"] { await bench.cluster.apply(name, spec(name)) }
        await bench.cluster.setWorker("w1")
        await bench.cluster.refuse(["b"])
        #expect(await bench.settle())
        #expect(await bench.cluster.replicas.count == 3)
        #expect(await bench.cluster.status("a") != nil)
        #expect(await bench.cluster.status("b") == nil)
        #expect(await bench.cluster.status("c") != nil)
        await bench.cluster.refuse([])
        #expect(await bench.settle(second: 1))
        #expect(await bench.cluster.status("b") != nil)
    }

    /// Caches `a` and `b`, ready on `w1`; `w2` has just come.
    private func twoCachesOnOneOfTwoWorkers() async -> Bench {
        let bench = Bench()
        for name in ["a", "b"] { await bench.cluster.apply(name, spec(name)) }
        await bench.cluster.setWorker("w1")
        _ = await bench.settle()
        await bench.cluster.report("w1", .synchronized)
        _ = await bench.settle(second: 1)
        await bench.cluster.setWorker("w2")
        return bench
    }

    @Test func `a new worker gets copies that are made before the old ones go, and the cache says so`()
        async throws
    {
        let bench = await twoCachesOnOneOfTwoWorkers()
        #expect(await bench.settle(second: 2))
        let new = try #require(await bench.cluster.replicas.values.first { $0.spec.workerName == "w2" })
        let old = try #require(new.metadata.annotations[AnnotationKey.replaces])
        let name = try #require(new.metadata.ownerReferences.first?.name)
        #expect(await bench.cluster.replicas.count == 3)
        #expect(
            await bench.cluster.condition(name, "Progressing")
                == "True Moving: 1 copy is being moved to another worker")
        #expect(await bench.cluster.condition(name, "Ready").hasPrefix("True"))
        #expect(
            await bench.cluster.takeEvents().contains {
                $0.message.hasSuffix("where it takes the place of \(old)")
            })
        await bench.cluster.report("w2", .synchronized)
        #expect(await bench.settle(second: 3))
        #expect(await bench.cluster.replicas[old] == nil)
        #expect(await bench.cluster.replicas.count == 2)
        #expect(await bench.cluster.condition(name, "Progressing").hasPrefix("False Settled"))
        let count = await bench.cluster.writeCount
        #expect(await bench.settle(second: 60))
        #expect(await bench.cluster.writeCount == count, "and nothing is moved back")
    }

    @Test func `a cache that was moved can grow back onto the worker that it left`() async throws {
        let bench = await twoCachesOnOneOfTwoWorkers()
        _ = await bench.settle(second: 2)
        await bench.cluster.report("w2", .synchronized)
        #expect(await bench.settle(second: 3))
        let moved = try #require(await bench.cluster.replicas.values.first { $0.spec.workerName == "w2" })
        let name = try #require(moved.metadata.ownerReferences.first?.name)
        await bench.cluster.apply(name, spec(name, replicas: 2))
        #expect(await bench.settle(second: 4))
        #expect(await bench.cluster.replicas.count == 3)
        #expect(await bench.settle(second: 15))
        #expect(await bench.cluster.replicas.count == 3)
    }

    @Test func `a measured load counts once it differs enough`() {
        #expect(ReplicaLoad.settled(100, inUse: nil) == 100)
        #expect(ReplicaLoad.settled(120, inUse: 100) == 100)
        #expect(ReplicaLoad.settled(140, inUse: 100) == 140)
        #expect(ReplicaLoad.settled(60, inUse: 100) == 60)
        #expect(ReplicaLoad.estimate(intervalMilliseconds: 100) == 60)
        #expect(ReplicaLoad.estimate(intervalMilliseconds: 1000) == 15)
        #expect(ReplicaLoad.of(messagesPerSecond: 9.96) == 110)
    }

    @Test func `a worker is settled after half a minute, counted anew when it was gone`() {
        var settling = WorkerSettling()
        let start = ContinuousClock.now
        func judge(_ standing: PlacementState.Standing, _ second: Int) -> Bool {
            var workers = [
                Observation.ObservedWorker(
                    record: WorkerRecord(name: "w", uid: "u", incarnation: "i", endpoint: nil),
                    standing: standing)
            ]
            settling.judge(&workers, at: start + .seconds(second))
            return workers[0].isSettled
        }
        #expect(!judge(.live, 0))
        #expect(!judge(.live, 29))
        #expect(judge(.live, 30))
        #expect(!judge(.lost, 31))
        #expect(!judge(.live, 60))
    }
}
