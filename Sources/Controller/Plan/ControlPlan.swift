internal import DepthCacheAPI
internal import K8sClient

/// What is to be done for one cache, in the order in which it is done: new copies come before old ones go.
struct CacheWork: Sendable {
    var uid: String
    var creates: [PlacementPlan.Creation] = []
    var deletes: [PlacementPlan.Deletion] = []

    var count: Int { creates.count + deletes.count }
}

/// From what is known to what is to be written: pure.
enum ControlPlan {
    /// What is wrong with a spec beyond what its type says, such as an exchange that nobody knows.
    typealias SpecCheck = @Sendable (DepthCacheSpec) -> [SpecViolation]

    /// All that is to be done now; afterwards nothing is dirty until something is touched or changes.
    static func work(_ world: inout World) -> [CacheWork] {
        let (placement, looks) = world.plan()
        let creates = Dictionary(grouping: placement.creates, by: \.cacheUID)
        let deletes = Dictionary(grouping: placement.deletes, by: \.cacheUID)
        return looks.map { uid in
            CacheWork(uid: uid, creates: creates[uid] ?? [], deletes: deletes[uid] ?? [])
        }
    }

    /// The object for a new copy.
    static func replica(_ creation: PlacementPlan.Creation, in world: World) -> DepthCacheReplica? {
        guard let cache = world.caches[creation.cacheUID], let worker = world.workers[creation.workerUID],
            var replica = DepthCacheReplica(
                copyOf: cache, workerName: worker.record.name, workerUID: creation.workerUID)
        else { return nil }
        if let old = creation.replaces {
            replica.metadata.annotations[AnnotationKey.replaces] = old.name
            replica.metadata.annotations[AnnotationKey.replacesUID] = old.uid
        }
        return replica
    }

    /// The copy to be deleted; nil when the garbage collector does it.
    static func victim(_ deletion: PlacementPlan.Deletion, in world: World) -> DepthCacheReplica? {
        guard let replica = world.replicas[deletion.name] else { return nil }
        // Copies with an owner go with it: the garbage collector sees to that, and we may not have seen the owner yet.
        if deletion.why == .cacheGone, !replica.metadata.ownerReferences.isEmpty { return nil }
        return replica
    }

    /// Copies whose spec no longer says what their DepthCache says.
    static func updates(_ uid: String, in world: World) -> [(DepthCacheReplica, DepthCacheReplicaSpec)] {
        guard let cache = world.caches[uid], world.violations(of: uid).isEmpty else { return [] }
        return world.copies(of: uid).compactMap { replica in
            guard !replica.metadata.isBeingDeleted else { return nil }
            var wanted = DepthCacheReplicaSpec(copyOf: cache.spec, on: replica.spec.workerName)
            wanted.credentialsSecretName = replica.spec.credentialsSecretName
            return wanted == replica.spec ? nil : (replica, wanted)
        }
    }

    /// The status that the cache deserves, if it has another one.
    static func status(
        _ uid: String, in world: World, undone: Int, now: Timestamp
    ) -> (cache: DepthCache, status: DepthCacheStatus, events: [PlannedEvent])? {
        guard let cache = world.caches[uid], !cache.metadata.isBeingDeleted else { return nil }
        let copies = world.copies(of: uid).filter { !$0.metadata.isBeingDeleted }.map { replica in
            copy(replica, worker: replica.workerUID.flatMap { world.workers[$0] })
        }
        let standing = world.planner.standing(cacheUID: uid)
        let status = StatusPlan.status(
            StatusInput(
                cache: cache, copies: copies, violations: world.violations(of: uid),
                duplicateOf: standing.duplicateOf, missing: standing.missing, plannedWrites: undone,
                moves: standing.moves, liveWorkers: world.workers(.live),
                unprovenWorkers: world.workers(.unproven), leavingWorkers: world.workers(.draining)), now: now
        )
        guard status != cache.status else { return nil }
        return (cache, status, EventPlan.events(from: cache.status, to: status))
    }

    private static func copy(
        _ replica: DepthCacheReplica, worker: Observation.ObservedWorker?
    ) -> StatusInput.Copy {
        let isLost = worker == nil || worker?.standing == .lost
        let isUnproven = worker?.standing == .unproven
        // What an earlier incarnation said is past, and what a worker said that may be long dead is worth nothing.
        let isCurrent =
            !isLost && !isUnproven && replica.status?.incarnation == worker?.record.incarnation
        let doubt = isUnproven ? "its worker has not renewed its Lease since this controller leads" : nil
        return StatusInput.Copy(
            name: replica.metadata.name ?? "", workerName: replica.spec.workerName,
            phase: isCurrent ? replica.phase(ofIncarnation: worker?.record.incarnation) : .pending,
            reason: isCurrent ? replica.status?.reason : nil,
            message: isCurrent ? replica.status?.message : doubt, isOnLostWorker: isLost,
            updateIntervalMilliseconds: isCurrent ? replica.status?.updateIntervalMilliseconds : nil,
            lastAudit: isCurrent ? replica.status?.lastAudit : nil)
    }
}
