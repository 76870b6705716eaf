import DepthCacheAPI
import K8sClient
import Telemetry

@testable import Controller

/// A cluster in memory: what the reconciler writes is what it sees next.
actor FakeCluster: ClusterWriter {
    private(set) var caches: [String: DepthCache] = [:]
    private(set) var replicas: [String: DepthCacheReplica] = [:]
    private(set) var workers: [Observation.ObservedWorker] = []
    private(set) var events: [PlannedEvent] = []
    private(set) var writeCount = 0
    private var version = 0
    /// While set, every write fails with it.
    private var outage: String?
    /// Names of objects that may not be written, by some policy.
    private var refused: Set<String> = []

    struct Outage: Error, CustomStringConvertible { var description: String }

    func setOutage(_ reason: String?) { outage = reason }
    func refuse(_ names: Set<String>) { refused = names }

    private func begin(_ name: String?) throws -> String {
        if let name, refused.contains(name) {
            throw APIError.status(Status(code: 403, reason: "Forbidden", message: "a policy says no"))
        }
        return try begin()
    }

    private func begin() throws -> String {
        if let outage { throw Outage(description: outage) }
        writeCount += 1
        version += 1
        return "\(version)"
    }

    func apply(_ name: String, _ spec: DepthCacheSpec, created: Int64 = 0) {
        version += 1
        var metadata = caches[name]?.metadata ?? ObjectMeta(name: name, namespace: "default")
        metadata.uid = metadata.uid ?? "uid-\(name)"
        metadata.generation = (metadata.generation ?? 0) + 1
        metadata.resourceVersion = "\(version)"
        metadata.creationTimestamp = metadata.creationTimestamp ?? Timestamp(secondsSinceEpoch: created)
        caches[name] = DepthCache(metadata: metadata, spec: spec, status: caches[name]?.status)
    }

    func setWorker(_ name: String, incarnation: String = "i1", _ standing: PlacementState.Standing = .live) {
        workers.removeAll { $0.record.name == name }
        workers.append(
            .init(
                record: WorkerRecord(name: name, uid: "uid-\(name)", incarnation: incarnation, endpoint: nil),
                standing: standing))
    }

    func removeWorker(_ name: String) { workers.removeAll { $0.record.name == name } }

    /// Says what a worker says of all its copies.
    func report(
        _ worker: String, _ phase: ReplicaPhase, _ reason: Reason? = nil, _ message: String? = nil,
        incarnation: String = "i1"
    ) {
        for (name, replica) in replicas where replica.spec.workerName == worker {
            version += 1
            replicas[name]?.metadata.resourceVersion = "\(version)"
            replicas[name]?.status = DepthCacheReplicaStatus(
                phase: phase, reason: reason, message: message, incarnation: incarnation)
        }
    }

    var seen: Observation {
        Observation(caches: Array(caches.values), replicas: Array(replicas.values), workers: workers)
    }

    func status(_ name: String) -> DepthCacheStatus? { caches[name]?.status }

    func condition(_ name: String, _ type: String) -> String {
        guard let condition = caches[name]?.status?.conditions?[type] else { return "none" }
        return "\(condition.status.rawValue) \(condition.reason): \(condition.message)"
    }

    func create(_ replica: DepthCacheReplica) throws -> WriteOutcome<DepthCacheReplica> {
        let version = try begin()
        guard let name = replica.metadata.name, replicas[name] == nil else { return .conflict }
        var made = replica
        made.metadata.uid = "uid-\(name)-\(version)"
        made.metadata.resourceVersion = version
        replicas[name] = made
        return .done(made)
    }

    func update(
        _ replica: DepthCacheReplica, spec: DepthCacheReplicaSpec
    ) throws -> WriteOutcome<DepthCacheReplica> {
        let version = try begin()
        guard let name = replica.metadata.name, var known = replicas[name] else { return .gone }
        guard known.metadata.resourceVersion == replica.metadata.resourceVersion else { return .conflict }
        known.spec = spec
        known.metadata.resourceVersion = version
        replicas[name] = known
        return .done(known)
    }

    func delete(_ replica: DepthCacheReplica) throws -> WriteOutcome<Void> {
        _ = try begin()
        return replicas.removeValue(forKey: replica.metadata.name ?? "") == nil ? .gone : .done(())
    }

    func writeStatus(of cache: DepthCache, _ status: DepthCacheStatus) throws -> WriteOutcome<DepthCache> {
        let version = try begin(cache.metadata.name)
        guard let name = cache.metadata.name, var known = caches[name] else { return .gone }
        guard known.metadata.resourceVersion == cache.metadata.resourceVersion else { return .conflict }
        known.status = status
        known.metadata.resourceVersion = version
        caches[name] = known
        return .done(known)
    }

    func record(_ event: PlannedEvent, about cache: DepthCache) { events.append(event) }

    func takeEvents() -> [PlannedEvent] {
        defer { events = [] }
        return events
    }
}

/// A reconciler and its cluster, with a clock that the test moves.
struct Bench {
    let cluster = FakeCluster()
    let reconciler: Reconciler
    let start = ContinuousClock.now

    init() {
        reconciler = Reconciler(
            writer: cluster,
            check: { spec in
                spec.exchange == "binance.com"
                    ? []
                    : [
                        SpecViolation(
                            field: "spec.exchange", expectation: "unknown exchange '\(spec.exchange)'")
                    ]
            }, metrics: ControllerMetrics())
    }

    /// Passes until nothing is written any more.
    func settle(second: Int64 = 0) async -> Bool {
        for _ in 0..<10 {
            let before = await cluster.writeCount
            let seen = await cluster.seen
            guard
                await reconciler.pass(
                    seen, at: start + .seconds(second), time: Timestamp(secondsSinceEpoch: second))
            else { return false }
            if await cluster.writeCount == before { return true }
        }
        return false
    }
}
