internal import DepthCacheAPI
internal import K8sClient

/// All that one pass of the controller may look at, read once.
struct Observation: Sendable {
    var caches: [DepthCache] = []
    var replicas: [DepthCacheReplica] = []
    var workers: [ObservedWorker] = []

    struct ObservedWorker: Equatable, Sendable {
        var record: WorkerRecord
        var standing: PlacementState.Standing
    }

    /// A worker's Lease, its pod and its renewals make one judgement.
    static func workers(
        leases: [Lease], pods: [Pod], verdicts: [String: WorkerLiveness.Verdict]
    ) -> [ObservedWorker] {
        let byName = Dictionary(pods.map { ($0.metadata.name ?? "", $0) }, uniquingKeysWith: { $1 })
        return leases.compactMap { lease in
            guard let record = WorkerRecord(lease) else { return nil }
            let verdict = verdicts[record.name] ?? .unproven
            return ObservedWorker(
                record: record,
                standing: standing(of: record, lease: lease, pod: byName[record.name], verdict: verdict))
        }
    }

    private static func standing(
        of record: WorkerRecord, lease: Lease, pod: Pod?, verdict: WorkerLiveness.Verdict
    ) -> PlacementState.Standing {
        guard record.incarnation != nil, verdict != .lost else { return .lost }
        if let pod {
            // A pod of the same name and another uid: this Lease is what its forerunner left.
            guard pod.metadata.uid == record.uid else { return .lost }
            if let phase = pod.status?.phase, phase == "Failed" || phase == "Succeeded" { return .lost }
            if pod.metadata.isBeingDeleted { return .draining }
        } else if lease.metadata.ownerReferences.contains(where: { $0.kind == "Pod" }) {
            return .lost
        }
        if record.isDraining { return .draining }
        return verdict == .live ? .live : .unproven
    }

    /// Whether some worker may still be shown alive by its next renewal.
    var hasUnprovenWorkers: Bool { workers.contains { $0.standing == .unproven } }

    /// The same for the planner.
    ///
    /// A copy's status is worth nothing unless the running incarnation of a worker that is not
    /// lost said it.
    func placementState(violations: [String: [SpecViolation]]) -> PlacementState {
        let byUID = Dictionary(workers.map { ($0.record.uid, $0) }, uniquingKeysWith: { $1 })
        return PlacementState(
            caches: caches.compactMap { cache in
                guard let uid = cache.metadata.uid, let name = cache.metadata.name else { return nil }
                return PlacementState.Cache(
                    uid: uid, name: name, market: cache.spec.key,
                    created: cache.metadata.creationTimestamp?.description ?? "",
                    replicas: cache.spec.replicas, isHeld: !(violations[uid] ?? []).isEmpty,
                    isDeleting: cache.metadata.isBeingDeleted)
            },
            replicas: replicas.compactMap { replica in
                guard let name = replica.metadata.name, let cacheUID = replica.cacheUID,
                    let workerUID = replica.workerUID
                else { return nil }
                let worker = byUID[workerUID]
                let phase = replica.phase(ofIncarnation: worker?.record.incarnation)
                return PlacementState.Replica(
                    name: name, cacheUID: cacheUID, workerUID: workerUID,
                    isReady: worker?.standing != .lost && worker?.standing != .unproven
                        && phase == .synchronized,
                    isDeleting: replica.metadata.isBeingDeleted)
            },
            workers: workers.map {
                PlacementState.Worker(
                    uid: $0.record.uid, name: $0.record.name, node: $0.record.node, standing: $0.standing)
            })
    }
}
