import Telemetry

/// The embedded API's metrics; their names are those of kube-apiserver where it has the same.
final class APIMetrics: Sendable {
    /// Methods that have a label of their own; a client may send any.
    private static let methods: Set<String> = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

    let registry: MetricRegistry
    private let watchers: Gauge
    private let revision: Gauge

    init(_ registry: MetricRegistry = MetricRegistry()) {
        self.registry = registry
        watchers = registry.gauge("apiserver_watchers", help: "Open watches.")
        revision = registry.gauge("apiserver_revision", help: "Number of the last change.")
    }

    func count(_ method: String, _ code: Int, since started: ContinuousClock.Instant) {
        let verb = Self.methods.contains(method) ? method : "other"
        registry.counter(
            "apiserver_request_total", help: "Requests answered, by method and status.",
            labels: ["verb": verb, "code": "\(code)"]
        ).add()
        registry.histogram(
            "apiserver_request_duration_seconds", help: "Time to answer requests; of watches, to begin them.",
            labels: ["verb": verb]
        ).observe(started.duration(to: .now))
    }

    func render(watchers count: Int, revision number: Int64) -> [UInt8] {
        watchers.set(count)
        revision.set(Double(number))
        return registry.render()
    }
}
