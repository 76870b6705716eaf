internal import DepthCacheAPI
internal import K8sClient

/// Keeps copies of everything that the controller looks at.
struct ClusterWatch: Sendable {
    let caches: Informer<DepthCache>
    let replicas: Informer<DepthCacheReplica>
    let leases: Informer<Lease>
    let pods: Informer<Pod>

    init(client: KubernetesClient) {
        caches = Informer(client: client)
        replicas = Informer(client: client)
        leases = Informer(client: client, selector: Selector(labels: Component.worker.labels))
        pods = Informer(client: client, selector: Selector(labels: Component.worker.labels))
    }

    /// Watches until cancelled.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await caches.run() }
            group.addTask { await replicas.run() }
            group.addTask { await leases.run() }
            group.addTask { await pods.run() }
        }
    }

    func waitUntilSynced() async throws {
        try await caches.waitUntilSynced()
        try await replicas.waitUntilSynced()
        try await leases.waitUntilSynced()
        try await pods.waitUntilSynced()
    }

    /// Calls `changed` after every change, until cancelled.
    func forwardChanges(_ changed: @escaping @Sendable () -> Void) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in caches.changes() { changed() } }
            group.addTask { for await _ in replicas.changes() { changed() } }
            group.addTask { for await _ in leases.changes() { changed() } }
            group.addTask { for await _ in pods.changes() { changed() } }
        }
    }

    /// Why something cannot be watched at the moment, or nil.
    var problem: String? {
        caches.state.problem ?? replicas.state.problem ?? leases.state.problem ?? pods.state.problem
    }

    /// Everything as it is known now.
    func observe(_ liveness: inout WorkerLiveness, at now: ContinuousClock.Instant) -> Observation {
        let seen = leases.objects
        let state = leases.state
        liveness.observe(seen, epoch: state.epoch, isLive: state.isLive, at: now)
        return Observation(
            caches: Array(caches.objects.values), replicas: Array(replicas.objects.values),
            workers: Observation.workers(
                leases: Array(seen.values), pods: Array(pods.objects.values),
                verdicts: liveness.verdicts(at: now)))
    }
}
