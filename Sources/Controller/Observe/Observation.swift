internal import DepthCacheAPI
internal import K8sClient

/// What one pass of the controller has to take in: what changed since the last one, and all workers.
struct Observation: Sendable {
    /// By name; nil: there is none any more.
    var caches: [String: DepthCache?] = [:]
    var replicas: [String: DepthCacheReplica?] = [:]
    var workers: [ObservedWorker] = []
    /// Loads that workers measured, by replica; see `ReplicaLoad`.
    var loads: [String: Int] = [:]
    /// What is not named here does not exist.
    var isWhole = false

    struct ObservedWorker: Equatable, Sendable {
        var record: WorkerRecord
        var standing: PlacementState.Standing
        var zone = ""
        var isSettled = true
    }

    init() {}

    /// Everything there is.
    init(caches: [DepthCache], replicas: [DepthCacheReplica], workers: [ObservedWorker]) {
        self.caches = Dictionary(caches.map { ($0.metadata.name ?? "", $0) }, uniquingKeysWith: { $1 })
        self.replicas = Dictionary(replicas.map { ($0.metadata.name ?? "", $0) }, uniquingKeysWith: { $1 })
        self.workers = workers
        isWhole = true
    }

    /// A worker's Lease, its pod and its renewals make one judgement.
    static func workers(
        leases: [Lease], pods: [Pod], verdicts: [String: WorkerLiveness.Verdict],
        zones: [String: String] = [:]
    ) -> [ObservedWorker] {
        let byName = Dictionary(pods.map { ($0.metadata.name ?? "", $0) }, uniquingKeysWith: { $1 })
        return leases.compactMap { lease in
            guard let record = WorkerRecord(lease) else { return nil }
            let verdict = verdicts[record.name] ?? .unproven
            return ObservedWorker(
                record: record,
                standing: standing(of: record, lease: lease, pod: byName[record.name], verdict: verdict),
                zone: zones[record.node] ?? "")
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
}

/// Which workers have been live for so long that it is worth moving copies to them; pure.
///
/// In a rolling update new workers come just before old ones go: what these leave goes to the new ones anyway.
struct WorkerSettling: Sendable {
    static let period: Duration = .seconds(30)
    private var since: [String: ContinuousClock.Instant] = [:]

    mutating func judge(_ workers: inout [Observation.ObservedWorker], at now: ContinuousClock.Instant) {
        let live = Set(workers.filter { $0.standing == .live }.map(\.record.uid))
        since = since.filter { live.contains($0.key) }
        for uid in live where since[uid] == nil { since[uid] = now }
        for index in workers.indices {
            let began = since[workers[index].record.uid]
            workers[index].isSettled = began.map { $0.duration(to: now) >= Self.period } ?? false
        }
    }
}
