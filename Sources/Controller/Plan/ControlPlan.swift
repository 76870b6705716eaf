internal import DepthCacheAPI
internal import K8sClient

/// One thing to be written, in the words of the API.
enum PlannedWrite: Sendable {
    case create(DepthCacheReplica, for: DepthCache)
    case update(DepthCacheReplica, spec: DepthCacheReplicaSpec)
    case delete(DepthCacheReplica, of: DepthCache?, why: PlacementPlan.DeletionCause)
    case status(DepthCache, DepthCacheStatus, events: [PlannedEvent])
}

/// From everything seen to everything to be written: pure.
enum ControlPlan {
    /// What is wrong with a spec beyond what its type says, such as an exchange that nobody knows.
    typealias SpecCheck = @Sendable (DepthCacheSpec) -> [SpecViolation]

    static func writes(_ seen: Observation, check: SpecCheck, now: Timestamp) -> [PlannedWrite] {
        let violations = Dictionary(
            seen.caches.compactMap { cache in
                cache.metadata.uid.map { ($0, cache.spec.violations + check(cache.spec)) }
            }, uniquingKeysWith: { $1 })
        let placement = PlacementPlanner.plan(seen.placementState(violations: violations))
        let caches = Dictionary(
            seen.caches.compactMap { cache in cache.metadata.uid.map { ($0, cache) } },
            uniquingKeysWith: { $1 })
        let workers = Dictionary(
            seen.workers.map { ($0.record.uid, $0) }, uniquingKeysWith: { $1 })
        let replicas = Dictionary(
            seen.replicas.map { ($0.metadata.name ?? "", $0) }, uniquingKeysWith: { $1 })
        var writes: [PlannedWrite] = []
        for creation in placement.creates {
            guard let cache = caches[creation.cacheUID], let worker = workers[creation.workerUID],
                let replica = DepthCacheReplica(
                    copyOf: cache, workerName: worker.record.name, workerUID: creation.workerUID)
            else { continue }
            writes.append(.create(replica, for: cache))
        }
        for deletion in placement.deletes {
            guard let replica = replicas[deletion.name] else { continue }
            // Copies with an owner go with it: the garbage collector sees to that, and we may not have seen the owner yet.
            if deletion.why == .cacheGone, !replica.metadata.ownerReferences.isEmpty { continue }
            writes.append(.delete(replica, of: caches[deletion.cacheUID], why: deletion.why))
        }
        let deleted = Set(placement.deletes.map(\.name))
        writes += updates(seen, caches, violations, leavingOut: deleted)
        writes += statuses(seen, placement, violations, workers, now)
        return writes
    }

    /// Copies whose spec no longer says what their DepthCache says.
    private static func updates(
        _ seen: Observation, _ caches: [String: DepthCache], _ violations: [String: [SpecViolation]],
        leavingOut deleted: Set<String>
    ) -> [PlannedWrite] {
        seen.replicas.compactMap { replica in
            guard let name = replica.metadata.name, !deleted.contains(name), !replica.metadata.isBeingDeleted,
                let uid = replica.cacheUID, let cache = caches[uid], violations[uid]?.isEmpty ?? true
            else { return nil }
            var wanted = DepthCacheReplicaSpec(copyOf: cache.spec, on: replica.spec.workerName)
            wanted.credentialsSecretName = replica.spec.credentialsSecretName
            return wanted == replica.spec ? nil : .update(replica, spec: wanted)
        }
    }

    private static func statuses(
        _ seen: Observation, _ placement: PlacementPlan, _ violations: [String: [SpecViolation]],
        _ workers: [String: Observation.ObservedWorker], _ now: Timestamp
    ) -> [PlannedWrite] {
        let byCache = Dictionary(grouping: seen.replicas) { $0.cacheUID ?? "" }
        var planned: [String: Int] = [:]
        for creation in placement.creates { planned[creation.cacheUID, default: 0] += 1 }
        for deletion in placement.deletes { planned[deletion.cacheUID, default: 0] += 1 }
        let live = seen.workers.count { $0.standing == .live }
        let unproven = seen.workers.count { $0.standing == .unproven }
        return seen.caches.compactMap { cache in
            guard let uid = cache.metadata.uid, !cache.metadata.isBeingDeleted else { return nil }
            let copies = (byCache[uid] ?? []).filter { !$0.metadata.isBeingDeleted }.map { replica in
                copy(replica, worker: replica.workerUID.flatMap { workers[$0] })
            }
            let status = StatusPlan.status(
                StatusInput(
                    cache: cache, copies: copies.sorted { $0.name < $1.name },
                    violations: violations[uid] ?? [], duplicateOf: placement.duplicates[uid],
                    missing: placement.missing[uid] ?? 0, plannedWrites: planned[uid] ?? 0, liveWorkers: live,
                    unprovenWorkers: unproven), now: now)
            guard status != cache.status else { return nil }
            return .status(cache, status, events: EventPlan.events(from: cache.status, to: status))
        }
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
