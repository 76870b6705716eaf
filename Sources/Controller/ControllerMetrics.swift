internal import DepthCacheAPI
internal import Telemetry

/// All metrics of the controller.
final class ControllerMetrics: Sendable {
    let registry: MetricRegistry
    let isLeader: Gauge
    let passes: Counter
    let writes: Counter
    let writeFailures: Counter
    private let depthCaches: Gauge
    private let readyDepthCaches: Gauge
    private let replicas: Gauge
    private let workers: [PlacementState.Standing: Gauge]

    init(registry: MetricRegistry = MetricRegistry()) {
        self.registry = registry
        isLeader = registry.gauge("fathom_controller_leader", help: "1 while this process leads.")
        passes = registry.counter("fathom_controller_passes_total", help: "Passes over all DepthCaches.")
        writes = registry.counter("fathom_controller_writes_total", help: "Writes to the Kubernetes API.")
        writeFailures = registry.counter(
            "fathom_controller_write_failures_total", help: "Writes to the Kubernetes API that failed.")
        depthCaches = registry.gauge("fathom_controller_depthcaches", help: "DepthCaches seen.")
        readyDepthCaches = registry.gauge(
            "fathom_controller_depthcaches_ready", help: "DepthCaches with a synchronised copy.")
        replicas = registry.gauge("fathom_controller_replicas", help: "DepthCacheReplicas seen.")
        let standings: [(PlacementState.Standing, String)] = [
            (.live, "live"), (.unproven, "unproven"), (.draining, "draining"), (.lost, "lost"),
        ]
        workers = Dictionary(
            uniqueKeysWithValues: standings.map { standing, name in
                (
                    standing,
                    registry.gauge(
                        "fathom_controller_workers", help: "Workers by standing.", labels: ["standing": name])
                )
            })
    }

    /// Whether the markets of an exchange could be fetched at the last attempt.
    func exchangeReachable(_ exchange: String) -> Gauge {
        registry.gauge(
            "fathom_controller_exchange_reachable",
            help: "1 if exchangeInfo was fetched at the last attempt.",
            labels: ["exchange": exchange])
    }

    func passed(_ seen: Observation) {
        passes.add()
        depthCaches.set(seen.caches.count)
        readyDepthCaches.set(seen.caches.count { ($0.status?.readyReplicas ?? 0) > 0 })
        replicas.set(seen.replicas.count)
        for (standing, gauge) in workers { gauge.set(seen.workers.count { $0.standing == standing }) }
    }
}
