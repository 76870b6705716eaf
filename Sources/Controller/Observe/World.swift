internal import DepthCacheAPI
internal import K8sClient

/// All that the controller knows: what was seen, what was written since, and the planner that was told of both.
///
/// Pure; a change costs what it touches.
struct World: Sendable {
    private(set) var caches: [String: DepthCache] = [:]
    private(set) var replicas: [String: DepthCacheReplica] = [:]
    private(set) var workers: [String: Observation.ObservedWorker] = [:]
    private var cacheUIDs: [String: String] = [:]
    private var copies: [String: Set<String>] = [:]
    private var onWorker: [String: Set<String>] = [:]
    private var violations: [String: [SpecViolation]] = [:]
    private var loads: [String: Int] = [:]
    private var recent = RecentWrites()
    /// Copies that say that they are to take another's place, while that is there.
    private var moving: Set<String> = []
    private var overdue: Set<String> = []
    private var moves = MoveWatch()
    /// Caches, by uid, whose placement or status may not be right any more.
    private(set) var dirty: Set<String> = []
    private(set) var planner = PlacementPlanner()
    private let check: ControlPlan.SpecCheck

    init(check: @escaping ControlPlan.SpecCheck) { self.check = check }

    // MARK: What was seen

    mutating func take(_ seen: Observation, at now: ContinuousClock.Instant) {
        for (name, object) in seen.caches { takeCache(name, object, now) }
        for (name, object) in seen.replicas { takeReplica(name, object, now) }
        if seen.isWhole {
            for name in cacheUIDs.keys where seen.caches[name] == nil { takeCache(name, nil, now) }
            for name in replicas.keys where seen.replicas[name] == nil { takeReplica(name, nil, now) }
        }
        for (name, object) in recent.expiredReplicas(at: now) { put(replica: name, object) }
        for cache in recent.expiredCaches(at: now) { put(cache) }
        takeWorkers(seen.workers)
        for (name, load) in seen.loads { take(load: load, ofReplica: name) }
        watchMoves(now)
    }

    /// Gives up moves whose new copies do not become ready.
    private mutating func watchMoves(_ now: ContinuousClock.Instant) {
        for name in moving {
            guard let replica = replicas[name], let cache = replica.cacheUID, let worker = replica.workerUID,
                let old = replica.replaces, replicas[old.name]?.metadata.uid == old.uid
            else {
                moving.remove(name)
                moves.forget(name)
                continue
            }
            var told = placementReplica(name, cache, worker, replica)
            guard !told.isReady else {
                moves.forget(name)
                continue
            }
            guard moves.waits(name, at: now), overdue.insert(name).inserted else { continue }
            told.isOverdue = true
            planner.set(told)
            dirty.insert(cache)
            moves.avoid(worker: worker, at: now)
            if let worker = workers[worker] { planner.set(placementWorker(worker)) }
        }
        for uid in moves.rested(at: now) { workers[uid].map { planner.set(placementWorker($0)) } }
    }

    private func placementWorker(_ worker: Observation.ObservedWorker) -> PlacementState.Worker {
        PlacementState.Worker(
            uid: worker.record.uid, name: worker.record.name, node: worker.record.node, zone: worker.zone,
            standing: worker.standing, isSettled: worker.isSettled,
            isAvoided: moves.isAvoided(worker: worker.record.uid))
    }

    private mutating func takeCache(_ name: String, _ object: DepthCache?, _ now: ContinuousClock.Instant) {
        if let uid = cacheUIDs[name], object?.metadata.uid != uid { removeCache(name, uid) }
        if let object { put(recent.overlay(object, at: now)) }
    }

    private mutating func takeReplica(
        _ name: String, _ object: DepthCacheReplica?, _ now: ContinuousClock.Instant
    ) {
        if recent.hides(name, object, at: now) { return }
        put(replica: name, object)
    }

    private mutating func put(_ cache: DepthCache) {
        guard let uid = cache.metadata.uid, let name = cache.metadata.name, caches[uid] != cache else {
            return
        }
        if caches[uid]?.spec != cache.spec || violations[uid] == nil {
            violations[uid] = cache.spec.violations + check(cache.spec)
        }
        cacheUIDs[name] = uid
        caches[uid] = cache
        planner.set(placementCache(uid, name, cache))
        dirty.insert(uid)
    }

    private func placementCache(_ uid: String, _ name: String, _ cache: DepthCache) -> PlacementState.Cache {
        PlacementState.Cache(
            uid: uid, name: name, market: cache.spec.key,
            created: cache.metadata.creationTimestamp?.description ?? "", replicas: cache.spec.replicas,
            load: loads[uid]
                ?? ReplicaLoad.estimate(
                    intervalMilliseconds: cache.status?.updateIntervalMilliseconds
                        ?? cache.spec.updateIntervalMilliseconds ?? 100),
            isHeld: !(violations[uid] ?? []).isEmpty, isDeleting: cache.metadata.isBeingDeleted)
    }

    private mutating func removeCache(_ name: String, _ uid: String) {
        // Those that were duplicates of it may be placed now.
        cacheUIDs[name] = nil
        caches[uid] = nil
        violations[uid] = nil
        loads[uid] = nil
        dirty.remove(uid)
        planner.removeCache(uid: uid)
    }

    private mutating func put(replica name: String, _ object: DepthCacheReplica?) {
        guard replicas[name] != object else { return }
        if let old = replicas[name] {
            copies[old.cacheUID ?? ""]?.remove(name)
            onWorker[old.workerUID ?? ""]?.remove(name)
            if copies[old.cacheUID ?? ""]?.isEmpty == true { copies[old.cacheUID ?? ""] = nil }
            if onWorker[old.workerUID ?? ""]?.isEmpty == true { onWorker[old.workerUID ?? ""] = nil }
            if let uid = old.cacheUID { dirty.insert(uid) }
        }
        replicas[name] = object
        if object?.replaces != nil { moving.insert(name) }
        if object == nil {
            overdue.remove(name)
            moves.forget(name)
        }
        guard let object, let cache = object.cacheUID, let worker = object.workerUID else {
            return planner.removeReplica(name: name)
        }
        copies[cache, default: []].insert(name)
        onWorker[worker, default: []].insert(name)
        dirty.insert(cache)
        planner.set(placementReplica(name, cache, worker, object))
    }

    /// A copy's status is worth nothing unless the running incarnation of a worker that is not lost said it.
    private func placementReplica(
        _ name: String, _ cacheUID: String, _ workerUID: String, _ replica: DepthCacheReplica
    ) -> PlacementState.Replica {
        let worker = workers[workerUID]
        let phase = replica.phase(ofIncarnation: worker?.record.incarnation)
        let isHeard = worker?.standing != .lost && worker?.standing != .unproven
        return PlacementState.Replica(
            name: name, uid: replica.metadata.uid ?? "", cacheUID: cacheUID, workerUID: workerUID,
            isReady: isHeard && phase == .synchronized, isFailed: isHeard && phase == .failed,
            isDeleting: replica.metadata.isBeingDeleted,
            replaces: replica.replaces, isOverdue: overdue.contains(name))
    }

    private mutating func takeWorkers(_ seen: [Observation.ObservedWorker]) {
        let now = Dictionary(seen.map { ($0.record.uid, $0) }, uniquingKeysWith: { $1 })
        guard now != workers else { return }
        func census(_ workers: [String: Observation.ObservedWorker]) -> [Int] {
            let standings: [PlacementState.Standing] = [.live, .unproven, .draining]
            return standings.map { standing in workers.values.count { $0.standing == standing } }
        }
        let before = workers
        workers = now
        for (uid, worker) in now where before[uid] != worker {
            planner.set(placementWorker(worker))
            if worker.record != before[uid]?.record || worker.standing != before[uid]?.standing {
                lookAgain(onWorker: uid)
            }
        }
        for uid in before.keys where now[uid] == nil {
            planner.removeWorker(uid: uid)
            lookAgain(onWorker: uid)
        }
        // Their conditions tell how many workers there are.
        if census(before) != census(now) { dirty.formUnion(planner.shortOfCopies) }
    }

    private mutating func lookAgain(onWorker uid: String) {
        for name in onWorker[uid] ?? [] {
            guard let replica = replicas[name], let cache = replica.cacheUID else { continue }
            planner.set(placementReplica(name, cache, uid, replica))
            dirty.insert(cache)
        }
    }

    private mutating func take(load: Int, ofReplica name: String) {
        guard let uid = replicas[name]?.cacheUID, let cache = caches[uid], let own = cache.metadata.name
        else {
            return
        }
        let settled = ReplicaLoad.settled(load, inUse: loads[uid])
        guard settled != loads[uid] else { return }
        loads[uid] = settled
        planner.set(placementCache(uid, own, cache))
    }

    // MARK: What was written

    mutating func didCreate(_ replica: DepthCacheReplica, at now: ContinuousClock.Instant) {
        recent.didCreate(replica, at: now)
        if let name = replica.metadata.name { put(replica: name, replica) }
    }

    mutating func didDelete(_ replica: DepthCacheReplica, at now: ContinuousClock.Instant) {
        recent.didDelete(replica, at: now)
        if let name = replica.metadata.name { put(replica: name, nil) }
    }

    mutating func didUpdate(_ replica: DepthCacheReplica) {
        if let name = replica.metadata.name { put(replica: name, replica) }
    }

    mutating func didWrite(status cache: DepthCache, at now: ContinuousClock.Instant) {
        recent.didWrite(cache, at: now)
        put(cache)
        // What we wrote ourselves asks for nothing.
        if let uid = cache.metadata.uid { dirty.remove(uid) }
    }

    // MARK: For the plan

    /// What has to be done for the placement, and all caches to look at; afterwards none is dirty.
    mutating func plan() -> (placement: PlacementPlan, looks: [String]) {
        let placement = planner.plan()
        var looks = dirty.union(planner.lookedAt)
        looks.formUnion(placement.creates.map(\.cacheUID))
        looks.formUnion(placement.deletes.map(\.cacheUID))
        dirty = []
        return (
            placement,
            looks.sorted {
                (caches[$0]?.metadata.creationTimestamp?.description ?? "", $0)
                    < (caches[$1]?.metadata.creationTimestamp?.description ?? "", $1)
            }
        )
    }

    /// What was planned for the cache was not done, or not all of it.
    mutating func touch(_ uid: String) {
        dirty.insert(uid)
        planner.touch(cacheUID: uid)
    }

    func copies(of uid: String) -> [DepthCacheReplica] {
        (copies[uid] ?? []).compactMap { replicas[$0] }.sorted {
            ($0.metadata.name ?? "") < ($1.metadata.name ?? "")
        }
    }

    func violations(of uid: String) -> [SpecViolation] { violations[uid] ?? [] }

    func workers(_ standing: PlacementState.Standing) -> Int {
        workers.values.count { $0.standing == standing }
    }
}

extension DepthCacheReplica {
    /// The copy whose place it takes.
    ///
    /// By its uid, too: once that has gone, a new copy of the cache on the same worker has its name.
    fileprivate var replaces: PlacementState.Reference? {
        guard let name = metadata.annotations[AnnotationKey.replaces],
            let uid = metadata.annotations[AnnotationKey.replacesUID]
        else { return nil }
        return PlacementState.Reference(name: name, uid: uid)
    }
}
