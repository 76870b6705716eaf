package import Telemetry

/// How calls to the Kubernetes API end and how long they take, and how its watches stand.
package struct CallMetrics: Sendable {
    private let registry: MetricRegistry

    package init(_ registry: MetricRegistry) { self.registry = registry }

    /// `status`: nil if there was no answer.
    func note(_ method: String, _ status: Int?, since started: ContinuousClock.Instant) {
        registry.counter(
            "fathom_kubernetes_requests_total",
            help: "Requests to the Kubernetes API, watches aside, by status; none: no answer.",
            labels: ["method": method, "code": status.map { "\($0)" } ?? "none"]
        ).add()
        registry.histogram(
            "fathom_kubernetes_request_duration_seconds",
            help: "Time that requests to the Kubernetes API took, watches aside.",
            labels: ["method": method]
        ).observe(started.duration(to: .now))
    }

    /// The watches of one kind of object.
    func watches(_ kind: String) -> (open: Gauge, failures: Counter) {
        let labels = ["kind": kind]
        return (
            registry.gauge(
                "fathom_kubernetes_watches", help: "Open watches of the Kubernetes API.", labels: labels),
            registry.counter(
                "fathom_kubernetes_watch_failures_total",
                help: "Lists and watches of the Kubernetes API that failed or broke.", labels: labels)
        )
    }
}
