internal import DepthCacheAPI
internal import K8sClient

/// All that the controller keeps in memory of a made-up cluster, for `fathom-bench plan`: objects as its informers have them, and what it makes
/// of them.
package struct MeasuredWorld: Sendable {
    private var world = World(check: { _ in [] })
    private var caches: [ObjectKey: DepthCache] = [:]
    private var replicas: [ObjectKey: DepthCacheReplica] = [:]
    private var version = 1
    private let now = ContinuousClock.now
    private static let conditions = [ConditionType.ready, ConditionType.degraded, ConditionType.progressing]

    /// Caches of two copies each, all synchronised.
    package init(replicas count: Int, workers: Int) throws {
        var seen = Observation()
        seen.workers = (0..<workers).map { Self.worker($0) }
        for number in 0..<count / 2 {
            let cache = try Self.cache(number)
            caches[cache.metadata.key] = cache
            seen.caches.updateValue(cache, forKey: cache.metadata.name ?? "")
        }
        world.take(seen, at: now)
        var placed = Observation()
        placed.workers = seen.workers
        for work in ControlPlan.work(&world) {
            for creation in work.creates {
                guard var copy = ControlPlan.replica(creation, in: world) else { continue }
                version += 1
                copy.metadata.uid = Self.uid("c", version)
                copy.metadata.resourceVersion = "\(version)"
                copy.metadata.creationTimestamp = Timestamp(secondsSinceEpoch: 1_767_225_600)
                copy.status = DepthCacheReplicaStatus(
                    phase: .synchronized, reason: .synchronized, message: "", since: "2026-01-01T00:00:00Z",
                    restarts: 0, incarnation: "00112233445566ff", updateIntervalMilliseconds: 100)
                // As it comes from the API: every text is its own.
                let read = try JSONValue(encoding: copy).decode(DepthCacheReplica.self)
                replicas[read.metadata.key] = read
                placed.replicas.updateValue(read, forKey: read.metadata.name ?? "")
            }
        }
        world.take(placed, at: now)
        _ = ControlPlan.work(&world)
    }

    package var copyCount: Int { world.replicas.count }

    /// One copy falls out of sync: all that the controller computes, up to the status that it would write.
    package mutating func loseOneCopy() -> Int {
        guard let (key, known) = replicas.first else { return 0 }
        var copy = known
        version += 1
        copy.metadata.resourceVersion = "\(version)"
        let isReady = known.status?.phase == .synchronized
        copy.status?.phase = isReady ? .resyncing : .synchronized
        replicas[key] = copy
        var seen = Observation()
        seen.workers = Array(world.workers.values)
        seen.replicas.updateValue(copy, forKey: key.name)
        world.take(seen, at: now)
        return ControlPlan.work(&world).count {
            ControlPlan.status($0.uid, in: world, undone: 0, now: Timestamp(secondsSinceEpoch: 0)) != nil
        }
    }

    private static func uid(_ kind: String, _ number: Int) -> String {
        "5f0c1d2e-0000-4000-8000-\(kind)0\(10_000_000 + number)"
    }

    private static func worker(_ number: Int) -> Observation.ObservedWorker {
        Observation.ObservedWorker(
            record: WorkerRecord(
                name: "fathom-worker-5c9f7b6d4-\(10_000 + number)", uid: uid("a", number),
                incarnation: "00112233445566ff", endpoint: "10.1.2.3:8082", node: "node-\(number / 4)"),
            standing: .live, zone: "zone-\(number / 4 % 3)")
    }

    private static func cache(_ number: Int) throws -> DepthCache {
        let name = "binance-com-sim\(number)usdt-0badcafe"
        var cache = DepthCache(
            metadata: ObjectMeta(name: name, namespace: "default"),
            spec: DepthCacheSpec(exchange: "binance.com", market: "SIM\(number)USDT", replicas: 2))
        cache.metadata.uid = uid("b", number)
        cache.metadata.resourceVersion = "\(number)"
        cache.metadata.generation = 1
        cache.metadata.creationTimestamp = Timestamp(secondsSinceEpoch: 1_767_225_600 + Int64(number))
        cache.status = DepthCacheStatus(
            observedGeneration: 1, replicas: 2, readyReplicas: 2,
            selector: DepthCache.selector(uid: uid("b", number)),
            updateIntervalMilliseconds: 100,
            conditions: conditions.map { type in
                Condition(
                    type: type, status: .yes, reason: "Synchronized",
                    message: "2 of 2 copies are synchronised",
                    observedGeneration: 1, lastTransitionTime: Timestamp(secondsSinceEpoch: 1_767_225_600))
            })
        return try JSONValue(encoding: cache).decode(DepthCache.self)
    }
}
