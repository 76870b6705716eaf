import DepthCacheAPI

@testable import Controller

/// The rules of `docs/placement.md` without moves, as plainly as they can be written: every worker is looked at for every copy.
struct NaivePlacement {
    private let state: PlacementState
    private let workers: [String: PlacementState.Worker]
    private let costs: [String: Int]
    private var load: [String: Int] = [:]
    private var plan = PlacementPlan()

    static func plan(_ state: PlacementState) -> PlacementPlan {
        var planner = NaivePlacement(state)
        planner.decide()
        return planner.plan
    }

    private init(_ state: PlacementState) {
        self.state = state
        workers = Dictionary(uniqueKeysWithValues: state.workers.map { ($0.uid, $0) })
        costs = Dictionary(uniqueKeysWithValues: state.caches.map { ($0.uid, $0.load) })
        for replica in state.replicas { load[replica.workerUID, default: 0] += costs[replica.cacheUID] ?? 0 }
    }

    private func copies(of uid: String) -> [PlacementState.Replica] {
        state.replicas.filter { $0.cacheUID == uid && !$0.isDeleting }.sorted { $0.name < $1.name }
    }

    private func isUsable(_ replica: PlacementState.Replica) -> Bool {
        [.live, .unproven].contains(workers[replica.workerUID]?.standing)
    }

    private func isUnknown(_ replica: PlacementState.Replica) -> Bool {
        workers[replica.workerUID]?.standing == .unproven
    }

    private mutating func delete(_ replica: PlacementState.Replica, _ why: PlacementPlan.DeletionCause) {
        plan.deletes.append(.init(name: replica.name, cacheUID: replica.cacheUID, why: why))
        load[replica.workerUID, default: 0] -= costs[replica.cacheUID] ?? 0
    }

    private mutating func decide() {
        let caches = state.caches.filter { !$0.isDeleting }.sorted {
            ($0.created, $0.uid) < ($1.created, $1.uid)
        }
        let known = Set(state.caches.map(\.uid))
        for replica in state.replicas where !known.contains(replica.cacheUID) && !replica.isDeleting {
            delete(replica, .cacheGone)
        }
        var shortfalls: [(PlacementState.Cache, [PlacementState.Replica], Int)] = []
        var keepers: [MarketKey: String] = [:]
        for cache in caches {
            if let keeper = keepers[cache.market] {
                plan.duplicates[cache.uid] = keeper
                for replica in copies(of: cache.uid) { delete(replica, .duplicateMarket) }
                continue
            }
            if !cache.isHeld { keepers[cache.market] = cache.name }
            // A copy that is about to leave for another worker is no load any more, from the moment that it is looked at.
            let (kept, missing) = shrink(cache)
            if missing > 0 { shortfalls.append((cache, kept, missing)) }
        }
        for (cache, kept, count) in shortfalls { grow(cache, kept, count) }
    }

    private mutating func shrink(_ cache: PlacementState.Cache) -> ([PlacementState.Replica], Int) {
        var kept: [PlacementState.Replica] = []
        for replica in copies(of: cache.uid) {
            if workers[replica.workerUID] == nil {
                delete(replica, .workerGone)
            } else if kept.contains(where: { $0.workerUID == replica.workerUID }) {
                delete(replica, .duplicateWorker)
            } else {
                kept.append(replica)
            }
        }
        guard !cache.isHeld else { return ([], 0) }
        var moves: [(old: PlacementState.Replica, new: PlacementState.Replica)] = []
        for replica in kept where isUsable(replica) && kept.contains(replica) {
            guard let old = kept.first(where: { $0.reference == replica.replaces }), old != replica,
                isUsable(old)
            else { continue }
            if replica.isReady,
                !old.isReady && !isUnknown(old) || kept.count(where: \.isReady) > cache.replicas
            {
                delete(old, .moved)
                kept.removeAll { $0 == old }
            } else if replica.isOverdue, !replica.isReady, !isUnknown(replica) {
                delete(replica, .moveAbandoned)
                kept.removeAll { $0 == replica }
            } else {
                moves.append((old, replica))
            }
        }
        moves.removeAll { !kept.contains($0.old) || !kept.contains($0.new) }
        func counted() -> [PlacementState.Replica] {
            kept.filter { copy in isUsable(copy) && !moves.contains { $0.new == copy } }
        }
        func leave(_ sign: Int) {
            for worker in Set(moves.map(\.old.workerUID)) { load[worker, default: 0] += sign * cache.load }
        }
        leave(-1)
        if counted().count >= cache.replicas {
            let isServed = counted().count(where: \.isReady) >= cache.replicas
            for replica in kept where !isUsable(replica) && (isServed || replica.isFailed && !replica.isReady)
            {
                delete(replica, .replaced)
                kept.removeAll { $0 == replica }
            }
        }
        // Which copy may go cannot be said while nothing is known of one.
        if counted().count > cache.replicas, !kept.contains(where: isUnknown) {
            // Ready copies are needed, or they would have taken their places.
            leave(1)
            for move in moves where !move.new.isReady {
                delete(move.new, .surplus)
                kept.removeAll { $0 == move.new }
            }
            moves.removeAll { !kept.contains($0.new) }
            leave(-1)
            while counted().count > cache.replicas {
                let usable = counted()
                let worst = usable.max { rank($0, usable) < rank($1, usable) }
                guard let worst else { break }
                delete(worst, .surplus)
                kept.removeAll { $0 == worst }
            }
        }
        return (kept, max(0, cache.replicas - counted().count))
    }

    private func rank(
        _ replica: PlacementState.Replica, _ among: [PlacementState.Replica]
    ) -> (Int, Int, Int, Int, String) {
        let (zone, node) = crowd(replica.workerUID, among.map(\.workerUID))
        return (replica.isReady ? 0 : 1, zone, node, load[replica.workerUID] ?? 0, replica.name)
    }

    private func crowd(_ worker: String, _ others: [String]) -> (Int, Int) {
        let place = workers[worker]
        return (
            others.count { workers[$0]?.zone == place?.zone },
            others.count { workers[$0]?.zone == place?.zone && workers[$0]?.node == place?.node }
        )
    }

    private mutating func grow(_ cache: PlacementState.Cache, _ kept: [PlacementState.Replica], _ count: Int)
    {
        var counted = kept.filter { isUsable($0) }.map(\.workerUID)
        var taken = Set(state.replicas.filter { $0.cacheUID == cache.uid }.map(\.workerUID))
        for done in 0..<count {
            let free = workers.values.filter { $0.standing == .live && !taken.contains($0.uid) }
            func rank(_ worker: PlacementState.Worker) -> (Int, Int, Int, String, String) {
                let (zone, node) = crowd(worker.uid, counted)
                return (zone, node, load[worker.uid] ?? 0, worker.name, worker.uid)
            }
            guard let best = free.min(by: { rank($0) < rank($1) }) else {
                plan.missing[cache.uid] = count - done
                return
            }
            plan.creates.append(.init(cacheUID: cache.uid, workerUID: best.uid))
            load[best.uid, default: 0] += cache.load
            taken.insert(best.uid)
            counted.append(best.uid)
        }
    }
}
