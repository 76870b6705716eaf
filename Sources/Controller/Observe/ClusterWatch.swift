internal import DepthCacheAPI
internal import K8sClient
internal import Telemetry

/// Keeps copies of everything that the controller looks at, and remembers what has changed since it last looked.
///
/// It watches in a standby too, so that a new leader knows already which workers live.
final class ClusterWatch: Sendable {
    private struct State {
        var caches: Set<ObjectKey> = []
        var replicas: Set<ObjectKey> = []
        var loads: [String: Int] = [:]
        var epochs: [Int] = []
        var liveness = WorkerLiveness(duration: .seconds(Fathom.workerLeaseDurationSeconds))
        var settling = WorkerSettling()
        var arrivals = ArrivalGate()
    }

    let caches: Informer<DepthCache>
    let replicas: Informer<DepthCacheReplica>
    let leases: Informer<Lease>
    let pods: Informer<Pod>
    let nodes: NodeLabels
    private let log = Log("controller")
    private let state = Guarded(State())
    private let wakeUps: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    init(client: KubernetesClient) {
        caches = Informer(client: client)
        replicas = Informer(client: client)
        leases = Informer(client: client, selector: Selector(labels: Component.worker.labels))
        pods = Informer(client: client, selector: Selector(labels: Component.worker.labels))
        nodes = NodeLabels(client: client)
        (wakeUps, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Watches until cancelled.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.caches.run() }
            group.addTask { await self.replicas.run() }
            group.addTask { await self.leases.run() }
            group.addTask { await self.pods.run() }
            group.addTask { await self.nodes.run() }
            group.addTask {
                for await keys in self.caches.changes() { self.note { $0.caches.formUnion(keys) } }
            }
            group.addTask {
                for await keys in self.replicas.changes() { self.note { $0.replicas.formUnion(keys) } }
            }
            group.addTask { for await _ in self.leases.changes() { self.note { _ in } } }
            group.addTask { for await _ in self.pods.changes() { self.note { _ in } } }
            // Time makes workers lost and settled.
            group.addTask {
                while !Task.isCancelled {
                    self.note { _ in }
                    do { try await Task.sleep(for: .seconds(1)) } catch { return }
                }
            }
        }
    }

    private func note(_ change: (inout State) -> Void) {
        let leases = (objects: leases.objects, state: leases.state)
        state.withLock { state in
            change(&state)
            guard leases.state.isSynced else { return }
            state.liveness.observe(
                leases.objects, epoch: leases.state.epoch, isLive: leases.state.isLive, at: .now)
        }
        wake.yield()
    }

    /// Takes what a worker measured; it counts at the next look.
    func take(loads: [String: Int]) { state.withLock { $0.loads.merge(loads) { $1 } } }

    func waitUntilSynced() async throws {
        try await caches.waitUntilSynced()
        try await replicas.waitUntilSynced()
        try await leases.waitUntilSynced()
        try await pods.waitUntilSynced()
        try await nodes.waitUntilTried()
    }

    /// An element after every change, and one a second.
    var changes: AsyncStream<Void> { wakeUps }

    /// Whether all that has to be known was read once.
    var isSynced: Bool { caches.isSynced && replicas.isSynced && leases.isSynced && pods.isSynced }

    /// Why something cannot be watched at the moment, or nil.
    var problem: String? {
        caches.state.problem ?? replicas.state.problem ?? leases.state.problem ?? pods.state.problem
    }

    /// Whether some worker may still be shown alive by its next renewal.
    func hasUnprovenWorkers(at now: ContinuousClock.Instant) -> Bool {
        state.withLock { $0.liveness.verdicts(at: now).values.contains(.unproven) }
    }

    /// Whether new caches wait for the end of their swarm: then the next look is due soon, whatever happens.
    var holdsArrivals: Bool { state.withLock { $0.arrivals.isHolding } }

    /// What is new since the last look.
    func observe(at now: ContinuousClock.Instant) -> Observation {
        let epochs = [caches.state.epoch, replicas.state.epoch]
        let leases = Array(leases.objects.values)
        let pods = Array(pods.objects.values)
        let zones = nodes.zones
        var seen = Observation()
        let (changedCaches, replicaKeys) = state.withLock { state in
            let keys = (state.caches, state.replicas)
            (state.caches, state.replicas) = ([], [])
            (seen.loads, state.loads) = (state.loads, [:])
            // After another list something may be gone that never came as a change.
            seen.isWhole = state.epochs != epochs
            state.epochs = epochs
            seen.workers = Observation.workers(
                leases: leases, pods: pods, verdicts: state.liveness.verdicts(at: now), zones: zones)
            state.settling.judge(&seen.workers, at: now)
            return keys
        }
        if seen.isWhole {
            let (workers, loads) = (seen.workers, seen.loads)
            seen = Observation(
                caches: Array(caches.objects.values), replicas: Array(replicas.objects.values),
                workers: workers)
            seen.loads = loads
            let names = Set(seen.caches.keys)
            state.withLock { $0.arrivals.takeAll(names) }
        } else {
            let found = Dictionary(
                changedCaches.map { ($0.name, caches[$0] != nil) }, uniquingKeysWith: { $1 })
            let (heldBefore, names, holds) = state.withLock { state in
                let heldBefore = state.arrivals.isHolding
                let names = state.arrivals.release(found, at: now)
                return (heldBefore, names, state.arrivals.isHolding)
            }
            if holds, !heldBefore {
                log.info("Many DepthCaches are being created; they are placed when no more come")
            }
            if heldBefore, !holds {
                log.info("Placing the DepthCaches that came together", ["count": "\(names.count)"])
            }
            for name in names { seen.caches.updateValue(caches[name], forKey: name) }
            for key in replicaKeys { seen.replicas.updateValue(replicas[key], forKey: key.name) }
        }
        return seen
    }
}
