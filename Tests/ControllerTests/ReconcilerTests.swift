import DepthCacheAPI
import K8sClient
import Testing

@testable import Controller

@Suite struct ReconcilerTests {
    let spec = DepthCacheSpec(exchange: "binance.com", market: "BTCUSDT", replicas: 2)

    @Test func `a cache is placed with labels and owner, and becomes ready when its copies do`() async throws
    {
        let bench = Bench()
        await bench.cluster.apply("btcusdt", spec)
        await bench.cluster.setWorker("w1")
        await bench.cluster.setWorker("w2")
        #expect(await bench.settle())
        let replicas = await bench.cluster.replicas.values
        #expect(Set(replicas.map(\.spec.workerName)) == ["w1", "w2"])
        let one = try #require(replicas.first)
        #expect(one.metadata.labels[LabelKey.depthCache] == "uid-btcusdt")
        #expect(one.metadata.labels[LabelKey.worker] == "uid-\(one.spec.workerName)")
        #expect(one.metadata.ownerReferences.first?.uid == "uid-btcusdt")
        #expect(one.metadata.name?.hasPrefix("btcusdt-") == true)
        #expect(
            await bench.cluster.condition("btcusdt", "Ready")
                == "False ReplicasPending: 0 of 2 copies are synchronised: the worker has not said anything about it yet "
                + "(\(replicas.compactMap(\.metadata.name).sorted().map { name in "\(name) on \(replicas.first { $0.metadata.name == name }?.spec.workerName ?? "")" }.joined(separator: "); the worker has not said anything about it yet (")))"
        )
        await bench.cluster.report("w1", .synchronized)
        #expect(await bench.settle(second: 5))
        #expect(await bench.cluster.condition("btcusdt", "Ready").hasPrefix("True Synchronized: 1 of 2"))
        #expect(
            await bench.cluster.condition("btcusdt", "Degraded").hasPrefix("True ReplicasPending: 1 of 2"))
        await bench.cluster.report("w2", .synchronized)
        #expect(await bench.settle(second: 9))
        let status = try #require(await bench.cluster.status("btcusdt"))
        #expect(status.replicas == 2)
        #expect(status.readyReplicas == 2)
        #expect(status.observedGeneration == 1)
        #expect(status.selector == "fathom.dev/depthcache=uid-btcusdt")
        #expect(status.conditions?["Degraded"]?.status == .no)
        #expect(status.conditions?["Progressing"]?.status == .no)
        #expect(status.conditions?["Ready"]?.lastTransitionTime == Timestamp(secondsSinceEpoch: 5))
        let count = await bench.cluster.writeCount
        #expect(await bench.settle(second: 60))
        #expect(await bench.cluster.writeCount == count, "a settled cluster is left alone")
    }

    @Test func `what an earlier incarnation of a worker said counts for nothing`() async {
        let bench = Bench()
        await bench.cluster.apply("btcusdt", DepthCacheSpec(exchange: "binance.com", market: "BTCUSDT"))
        await bench.cluster.setWorker("w1")
        _ = await bench.settle()
        await bench.cluster.report("w1", .synchronized)
        _ = await bench.settle()
        #expect(await bench.cluster.status("btcusdt")?.readyReplicas == 1)
        await bench.cluster.setWorker("w1", incarnation: "i2")
        _ = await bench.settle()
        #expect(await bench.cluster.status("btcusdt")?.readyReplicas == 0)
        #expect(await bench.cluster.condition("btcusdt", "Ready").hasPrefix("False ReplicasPending"))
        await bench.cluster.report("w1", .synchronized, incarnation: "i2")
        _ = await bench.settle()
        #expect(await bench.cluster.status("btcusdt")?.readyReplicas == 1)
    }

    @Test func `an exchange that cannot be reached is named in the conditions`() async {
        let bench = Bench()
        await bench.cluster.apply("btcusdt", DepthCacheSpec(exchange: "binance.com", market: "BTCUSDT"))
        await bench.cluster.setWorker("w1")
        _ = await bench.settle()
        await bench.cluster.report(
            "w1", .connecting, .exchangeUnreachable,
            "cannot resolve stream.binance.com; next attempt with backoff")
        _ = await bench.settle()
        let ready = await bench.cluster.condition("btcusdt", "Ready")
        #expect(
            ready.hasPrefix(
                "False ExchangeUnreachable: the copy is not synchronised: cannot resolve stream.binance.com"))
        #expect(await bench.cluster.takeEvents().last?.reason == .exchangeUnreachable)
    }

    @Test func `an unknown market, an unknown exchange and a duplicate each say so`() async {
        let bench = Bench()
        await bench.cluster.setWorker("w1")
        await bench.cluster.apply("nope", DepthCacheSpec(exchange: "binance.com", market: "NOPE"))
        await bench.cluster.apply("kraken", DepthCacheSpec(exchange: "kraken", market: "XBTUSD"))
        await bench.cluster.apply(
            "one", DepthCacheSpec(exchange: "binance.com", market: "ETHUSDT"), created: 1)
        await bench.cluster.apply(
            "two", DepthCacheSpec(exchange: "Binance.com", market: "ethusdt"), created: 2)
        await bench.cluster.apply("two", DepthCacheSpec(exchange: "binance.com", market: "ethusdt"))
        _ = await bench.settle()
        await bench.cluster.report("w1", .failed, .unknownMarket, "binance.com has no market NOPE")
        _ = await bench.settle()
        #expect(
            await bench.cluster.condition("nope", "Ready").hasPrefix("False UnknownMarket: the copy is not"))
        #expect(
            await bench.cluster.condition("kraken", "Ready")
                == "False UnknownExchange: spec.exchange: unknown exchange 'kraken'")
        #expect(
            await bench.cluster.condition("two", "Ready")
                == "False DuplicateMarket: DepthCache 'one' already keeps ethusdt of binance.com; delete one of the two"
        )
        #expect(await bench.cluster.replicas.values.count { $0.cacheUID == "uid-two" } == 0)
    }

    @Test func `a lost worker is replaced, and its copy goes when the new one is ready`() async {
        let bench = Bench()
        await bench.cluster.apply("btcusdt", spec)
        for name in ["w1", "w2"] { await bench.cluster.setWorker(name) }
        _ = await bench.settle()
        for name in ["w1", "w2"] { await bench.cluster.report(name, .synchronized) }
        _ = await bench.settle()
        await bench.cluster.setWorker("w3")
        await bench.cluster.setWorker("w2", .lost)
        _ = await bench.settle()
        #expect(await Set(bench.cluster.replicas.values.map(\.spec.workerName)) == ["w1", "w2", "w3"])
        #expect(await bench.cluster.status("btcusdt")?.readyReplicas == 1)
        #expect(await bench.cluster.condition("btcusdt", "Ready").hasPrefix("True"))
        await bench.cluster.report("w3", .synchronized)
        _ = await bench.settle()
        #expect(await Set(bench.cluster.replicas.values.map(\.spec.workerName)) == ["w1", "w3"])
        #expect(await bench.cluster.condition("btcusdt", "Degraded").hasPrefix("False AsDesired"))
        #expect(await bench.cluster.takeEvents().contains { $0.reason == .replicaDeleted })
    }

    @Test func `too few workers leave a served cache degraded, and none at all leaves it not ready`() async {
        let bench = Bench()
        await bench.cluster.apply("btcusdt", spec)
        _ = await bench.settle()
        #expect(
            await bench.cluster.condition("btcusdt", "Ready").hasPrefix("False NoWorkers: no worker is live"))
        await bench.cluster.setWorker("w1")
        _ = await bench.settle()
        await bench.cluster.report("w1", .synchronized)
        _ = await bench.settle()
        #expect(
            await bench.cluster.condition("btcusdt", "Degraded")
                == "True TooFewWorkers: 1 of 2 copies are synchronised: each copy needs its own worker, and only 1 is live"
        )
    }

    @Test func `scaling down removes copies, and a changed depth reaches those that stay`() async {
        let bench = Bench()
        await bench.cluster.apply("btcusdt", spec)
        for name in ["w1", "w2"] { await bench.cluster.setWorker(name) }
        _ = await bench.settle()
        await bench.cluster.report("w2", .synchronized)
        await bench.cluster.apply(
            "btcusdt", DepthCacheSpec(exchange: "binance.com", market: "BTCUSDT", replicas: 1, depth: 20))
        _ = await bench.settle()
        let left = await bench.cluster.replicas.values
        #expect(left.map(\.spec.workerName) == ["w2"])
        #expect(left.first?.spec.depth == 20)
        #expect(await bench.cluster.status("btcusdt")?.observedGeneration == 2)
    }

    @Test func `writes that fail are repeated when the API is back`() async {
        let bench = Bench()
        await bench.cluster.apply("btcusdt", spec)
        for name in ["w1", "w2"] { await bench.cluster.setWorker(name) }
        await bench.cluster.setOutage("connection refused")
        #expect(await bench.settle() == false)
        await bench.cluster.setOutage(nil)
        #expect(await bench.settle())
        #expect(await bench.cluster.replicas.count == 2)
    }

    @Test func `a pass before its predecessor's writes are seen plans nothing twice`() async {
        let bench = Bench()
        await bench.cluster.apply("btcusdt", spec)
        for name in ["w1", "w2"] { await bench.cluster.setWorker(name) }
        let old = await bench.cluster.seen
        _ = await bench.reconciler.pass(old, at: bench.start, time: Timestamp(secondsSinceEpoch: 0))
        _ = await bench.reconciler.pass(old, at: bench.start, time: Timestamp(secondsSinceEpoch: 1))
        let count = await bench.cluster.writeCount
        _ = await bench.reconciler.pass(old, at: bench.start, time: Timestamp(secondsSinceEpoch: 2))
        #expect(await bench.cluster.writeCount == count)
        #expect(await bench.cluster.replicas.count == 2)
    }

    @Test func `a copy on a worker that was never seen to renew is neither ready nor replaced`() async {
        let bench = Bench()
        await bench.cluster.apply("btcusdt", DepthCacheSpec(exchange: "binance.com", market: "BTCUSDT"))
        await bench.cluster.setWorker("w1")
        _ = await bench.settle()
        await bench.cluster.report("w1", .synchronized)
        await bench.cluster.setWorker("w1", .unproven)
        await bench.cluster.setWorker("w2")
        #expect(await bench.settle())
        #expect(await bench.cluster.condition("btcusdt", "Ready").contains("has not renewed its Lease"))
        #expect(await bench.cluster.replicas.count == 1)
    }
}
