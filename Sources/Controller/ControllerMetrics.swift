internal import DepthCacheAPI
internal import Telemetry
internal import Transport

/// All metrics of the controller.
final class ControllerMetrics: Sendable {
    let registry: MetricRegistry
    let isLeader: Gauge
    let links: LinkMetrics
    private let passDuration: Histogram
    private let reconciles: [Reconciler.Verdict: Counter]
    let writes: Counter
    let writeFailures: Counter
    private let queueDepth: Gauge
    let movesAbandoned: Counter
    private let moves: Gauge
    private let depthCaches: Gauge
    private let readyDepthCaches: Gauge
    private let replicas: Gauge
    private let workers: [PlacementState.Standing: Gauge]

    init(registry: MetricRegistry = MetricRegistry()) {
        self.registry = registry
        isLeader = registry.gauge("fathom_controller_leader", help: "1 while this process leads.")
        links = LinkMetrics(registry)
        passDuration = registry.histogram(
            "fathom_controller_pass_duration_seconds",
            help: "Time that passes over all DepthCaches took, writes included.")
        reconciles = Dictionary(
            uniqueKeysWithValues: Reconciler.Verdict.allCases.map { verdict in
                (
                    verdict,
                    registry.counter(
                        "fathom_controller_reconciles_total",
                        help: "DepthCaches that were brought in line, by result.",
                        labels: ["result": verdict.rawValue])
                )
            })
        writes = registry.counter("fathom_controller_writes_total", help: "Writes to the Kubernetes API.")
        writeFailures = registry.counter(
            "fathom_controller_write_failures_total", help: "Writes to the Kubernetes API that failed.")
        queueDepth = registry.gauge(
            "fathom_controller_queue_depth", help: "DepthCaches that the last pass had to look at.")
        moves = registry.gauge(
            "fathom_controller_moves", help: "Copies on their way from one worker to another.")
        movesAbandoned = registry.counter(
            "fathom_controller_moves_abandoned_total",
            help: "Moves that were given up because the new copy did not become ready in time.")
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

    /// How many Secrets with credentials there are.
    func credentials(usable: Int, unusable: Int) {
        for (state, count) in [("usable", usable), ("unusable", unusable)] {
            registry.gauge(
                "fathom_controller_credentials", help: "Secrets with exchange credentials.",
                labels: ["state": state]
            ).set(count)
        }
    }

    /// Whether the markets of an exchange could be fetched at the last attempt.
    func exchangeReachable(_ exchange: String) -> Gauge {
        registry.gauge(
            "fathom_controller_exchange_reachable",
            help: "1 if exchangeInfo was fetched at the last attempt.",
            labels: ["exchange": exchange])
    }

    /// How one minute's request weight is divided.
    func weight(_ facts: WeightPlanner.Facts) {
        func gauge(_ name: String, _ help: String, _ more: [String: String] = [:]) -> Gauge {
            registry.gauge(
                name, help: help,
                labels: ["pool": facts.pool, "group": facts.group].merging(more) { $1 })
        }
        gauge("fathom_weight_limit", "Request weight that the exchange allows an address in a minute.")
            .set(facts.limit)
        gauge("fathom_weight_granted", "Request weight granted for this minute.").set(facts.granted)
        gauge("fathom_weight_used", "Request weight used of this minute, as reported.").set(facts.spent)
        gauge("fathom_weight_strangers", "Request weight that others behind the address used of this minute.")
            .set(facts.strangers)
        for (urgency, orders) in zip(["first", "depth", "other"], facts.waiting) {
            gauge(
                "fathom_weight_waiting_orders", "Requests that wait for weight, by urgency.",
                ["urgency": urgency]
            ).set(orders)
        }
    }

    func reconciled(_ verdict: Reconciler.Verdict) { reconciles[verdict]?.add() }

    func passEnded(since start: ContinuousClock.Instant) { passDuration.observe(start.duration(to: .now)) }

    /// `waiting`: the caches that the pass has to look at.
    func passed(_ world: World, waiting: Int) {
        queueDepth.set(waiting)
        depthCaches.set(world.caches.count)
        readyDepthCaches.set(world.caches.values.count { ($0.status?.readyReplicas ?? 0) > 0 })
        replicas.set(world.replicas.count)
        moves.set(world.planner.movesInFlight)
        for (standing, gauge) in workers { gauge.set(world.workers(standing)) }
    }
}
