internal import DepthCacheAPI

/// The placement planner with a made-up cluster around it, for `fathom-bench plan`.
///
/// The same planner as in production; what it plans is carried out at once, as the Kubernetes API would.
package struct MeasuredPlacement: Sendable {
    private var planner = PlacementPlanner()
    private var placed: [String: PlacementState.Replica] = [:]
    private var random: UInt64 = 42
    private var made = 0
    package let cacheCount: Int
    package let workerCount: Int
    private let caches: [PlacementState.Cache]
    private let workers: [PlacementState.Worker]

    /// Caches of two copies each, on workers of four to a node in three zones.
    package init(replicas: Int, workers: Int) {
        workerCount = workers
        cacheCount = replicas / 2
        self.workers = (0..<workers).map { Self.worker($0) }
        var random: UInt64 = 7
        caches = (0..<cacheCount).map { Self.cache($0, load: Self.load(&random)) }
    }

    private static func worker(_ number: Int) -> PlacementState.Worker {
        PlacementState.Worker(
            uid: "5f0c1d2e-0000-4000-8000-\(1_000_000 + number)", name: "fathom-worker-\(1_000_000 + number)",
            node: "node-\(number / 4)", zone: "zone-\(number / 4 % 3)")
    }

    private static func cache(_ number: Int, load: Int, replicas: Int = 2) -> PlacementState.Cache {
        PlacementState.Cache(
            uid: "7a1b2c3d-0000-4000-8000-\(1_000_000 + number)", name: "cache-\(number)",
            market: MarketKey(exchange: "binance.com", market: "M\(number)USDT"),
            created: "2026-01-01T00:00:\(10 + number % 50)Z", replicas: replicas, load: load)
    }

    /// From a market that sleeps to one with ten messages a second; most sleep.
    private static func load(_ random: inout UInt64) -> Int {
        random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let part = Int(random >> 40) % 1000
        return ReplicaLoad.least + part * part / 10_000
    }

    /// Tells the planner of everything and plans; the number of copies placed.
    package mutating func planFromScratch() -> Int {
        planner = PlacementPlanner()
        for worker in workers { planner.set(worker) }
        for cache in caches { planner.set(cache) }
        plan = planner.plan()
        return plan.creates.count
    }

    private var plan = PlacementPlan()

    /// Carries out what was planned, and lets new copies become ready; how many writes that took.
    package mutating func carryOut() -> Int {
        for deletion in plan.deletes {
            placed[deletion.name] = nil
            planner.removeReplica(name: deletion.name)
        }
        for creation in plan.creates {
            made += 1
            var copy = PlacementState.Replica(
                name: "copy-\(made)", uid: "\(made)", cacheUID: creation.cacheUID,
                workerUID: creation.workerUID)
            copy.replaces = creation.replaces
            copy.isReady = true
            placed[copy.name] = copy
            planner.set(copy)
        }
        defer { plan = PlacementPlan() }
        return plan.deletes.count + plan.creates.count
    }

    /// What may happen to a cluster.
    package enum Change: String, CaseIterable, Sendable {
        case cacheCreated = "cache_created"
        case cacheDeleted = "cache_deleted"
        case cacheScaled = "cache_scaled"
        case copyLost = "copy_lost"
        case loadChanged = "load_changed"
        case workerLost = "worker_lost"
        case workerAdded = "worker_added"
        case nothing = "nothing"
    }

    /// Tells the planner of one change and plans; call `carryOut` after it.
    package mutating func change(_ change: Change, round: Int) {
        let cache = caches[(round * 7919) % max(1, caches.count)]
        switch change {
        case .cacheCreated: planner.set(Self.cache(caches.count + round, load: 50))
        case .cacheDeleted: planner.removeCache(uid: cache.uid)
        case .cacheScaled:
            var scaled = cache
            scaled.replicas = 3
            planner.set(scaled)
        case .copyLost:
            if let name = placed.keys.first { planner.removeReplica(name: name) }
        case .loadChanged:
            var busier = cache
            busier.load *= 2
            planner.set(busier)
        case .workerLost:
            var lost = workers[(round * 31) % workers.count]
            lost.standing = .lost
            planner.set(lost)
        case .workerAdded: planner.set(Self.worker(workers.count + round))
        case .nothing: break
        }
        plan = planner.plan()
    }

    /// The load of the most loaded live worker as part of the mean.
    package var imbalance: Double {
        let loads = planner.workers.filter { $0.worker?.standing == .live }.map(\.load)
        let mean = Double(loads.reduce(0, +)) / Double(max(1, loads.count))
        return mean > 0 ? Double(loads.max() ?? 0) / mean : 1
    }
}
