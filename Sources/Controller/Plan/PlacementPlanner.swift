internal import DepthCacheAPI

/// Decides which replicas to create and delete: pure, deterministic, and content with what is placed.
///
/// Copies of a cache go to different workers, on different nodes while there are any, to the least loaded worker first.
/// A placed copy only goes when it is surplus, or when its worker is lost or draining and enough others are ready.
struct PlacementPlanner {
    private let workers: [String: PlacementState.Worker]
    private let candidates: [PlacementState.Worker]
    private var load: [String: Int] = [:]
    private var placed: [String: [PlacementState.Replica]] = [:]
    private var plan = PlacementPlan()

    /// What has to be written for `state`.
    static func plan(_ state: PlacementState) -> PlacementPlan {
        var planner = PlacementPlanner(state)
        planner.decide(state)
        return planner.plan
    }

    private init(_ state: PlacementState) {
        workers = Dictionary(state.workers.map { ($0.uid, $0) }, uniquingKeysWith: { first, _ in first })
        candidates = workers.values.filter { $0.standing == .live }
            .sorted { ($0.name, $0.uid) < ($1.name, $1.uid) }
        for replica in state.replicas where !replica.isDeleting {
            placed[replica.cacheUID, default: []].append(replica)
            load[replica.workerUID, default: 0] += 1
        }
    }

    private mutating func decide(_ state: PlacementState) {
        let caches = state.caches.sorted { ($0.created, $0.uid) < ($1.created, $1.uid) }
        var keeper: [MarketKey: String] = [:]
        var wanted: [PlacementState.Cache] = []
        let known = Set(caches.map(\.uid))
        for (uid, replicas) in placed.sorted(by: { $0.key < $1.key }) where !known.contains(uid) {
            for replica in replicas.sorted(by: { $0.name < $1.name }) { delete(replica, .cacheGone) }
        }
        for cache in caches where !cache.isDeleting {
            if let name = keeper[cache.market] {
                plan.duplicates[cache.uid] = name
                for replica in copies(of: cache) { delete(replica, .duplicateMarket) }
            } else {
                if !cache.isHeld { keeper[cache.market] = cache.name }
                wanted.append(cache)
            }
        }
        // What goes is decided for all before anything is added: freed workers count as free.
        var shortfalls: [(cache: PlacementState.Cache, kept: [PlacementState.Replica], count: Int)] = []
        for cache in wanted {
            let kept = shrink(cache)
            guard !cache.isHeld else { continue }
            let good = kept.count { isUsable($0) }
            if good < cache.replicas { shortfalls.append((cache, kept, cache.replicas - good)) }
        }
        for (cache, kept, count) in shortfalls { grow(cache, kept: kept, by: count) }
    }

    private func copies(of cache: PlacementState.Cache) -> [PlacementState.Replica] {
        (placed[cache.uid] ?? []).sorted { $0.name < $1.name }
    }

    private mutating func delete(_ replica: PlacementState.Replica, _ why: PlacementPlan.DeletionCause) {
        plan.deletes.append(.init(name: replica.name, cacheUID: replica.cacheUID, why: why))
        load[replica.workerUID, default: 0] -= 1
    }

    /// Whether the replica counts towards the desired number.
    private func isUsable(_ replica: PlacementState.Replica) -> Bool {
        switch workers[replica.workerUID]?.standing {
        case .live, .unproven: true
        case .draining, .lost, nil: false
        }
    }

    /// Deletes what is doubled, gone, replaced or surplus, and returns what stays.
    private mutating func shrink(_ cache: PlacementState.Cache) -> [PlacementState.Replica] {
        var kept: [PlacementState.Replica] = []
        for replica in copies(of: cache) {
            if workers[replica.workerUID] == nil {
                delete(replica, .workerGone)
            } else if kept.contains(where: { $0.workerUID == replica.workerUID }) {
                delete(replica, .duplicateWorker)
            } else {
                kept.append(replica)
            }
        }
        guard !cache.isHeld else { return kept }
        let readyUsable = kept.count { isUsable($0) && $0.isReady }
        if readyUsable >= cache.replicas {
            for replica in kept where !isUsable(replica) { delete(replica, .replaced) }
            kept.removeAll { !isUsable($0) }
        }
        while kept.count(where: { isUsable($0) }) > cache.replicas, let worst = worst(of: kept) {
            delete(kept.remove(at: worst), .surplus)
        }
        return kept
    }

    /// The usable copy to give up first: not ready, then on a crowded node, then on a loaded worker, then by name.
    private func worst(of kept: [PlacementState.Replica]) -> Int? {
        let nodes = crowding(of: kept.filter { isUsable($0) })
        func rank(_ replica: PlacementState.Replica) -> (Int, Int, Int, String) {
            let node = workers[replica.workerUID]?.node ?? ""
            return (replica.isReady ? 0 : 1, nodes[node] ?? 0, load[replica.workerUID] ?? 0, replica.name)
        }
        return kept.indices.filter { isUsable(kept[$0]) }.max { rank(kept[$0]) < rank(kept[$1]) }
    }

    /// How many of the copies each node has.
    private func crowding(of replicas: [PlacementState.Replica]) -> [String: Int] {
        var count: [String: Int] = [:]
        for replica in replicas { count[workers[replica.workerUID]?.node ?? "", default: 0] += 1 }
        return count
    }

    private mutating func grow(
        _ cache: PlacementState.Cache, kept: [PlacementState.Replica], by count: Int
    ) {
        var taken = Set(kept.map(\.workerUID))
        var nodes = crowding(of: kept.filter { isUsable($0) })
        for done in 0..<count {
            let free = candidates.filter { !taken.contains($0.uid) }
            let best = free.min { left, right in
                (nodes[left.node] ?? 0, load[left.uid] ?? 0, left.name, left.uid)
                    < (nodes[right.node] ?? 0, load[right.uid] ?? 0, right.name, right.uid)
            }
            guard let best else {
                plan.missing[cache.uid] = count - done
                return
            }
            plan.creates.append(.init(cacheUID: cache.uid, workerUID: best.uid))
            taken.insert(best.uid)
            nodes[best.node, default: 0] += 1
            load[best.uid, default: 0] += 1
        }
    }
}
