internal import Telemetry

/// The gateway's metrics, with every handle made beforehand: none is looked up on the way of a query.
final class GatewayMetrics: Sendable {
    let registry: MetricRegistry
    let latency: Histogram
    let failovers: Counter
    /// Requests that were refused before an endpoint saw them: unknown path, wrong method, foreign page.
    let rejected: Counter
    private let requests: [Counter]
    let links: [LinkCondition: Gauge]

    init(_ registry: MetricRegistry) {
        self.registry = registry
        latency = registry.histogram(
            "fathom_gateway_query_seconds", "Time from a book query's arrival to its answer.", labels: [:])
        failovers = registry.counter(
            "fathom_gateway_failovers_total", "Queries that were served after a replica had failed.", labels: [:])
        rejected = registry.counter(
            "fathom_gateway_rejected_total", "Requests with an unknown path or method, or from foreign pages.",
            labels: [:])
        requests = Endpoint.allCases.flatMap { endpoint in
            RequestOutcome.allCases.map { outcome in
                registry.counter(
                    "fathom_gateway_requests_total", "Requests by endpoint and outcome.",
                    labels: ["endpoint": endpoint.event.lowercased(), "outcome": outcome.rawValue])
            }
        }
        let states: [(LinkCondition, String)] = [
            (.up, "up"), (.suspect, "suspect"), (.connecting, "connecting"), (.down, "down"),
        ]
        links = Dictionary(
            uniqueKeysWithValues: states.map { state, name in
                (state, registry.gauge("fathom_gateway_links", "Links to workers by state.", labels: ["state": name]))
            })
    }

    func count(_ endpoint: Endpoint, _ outcome: RequestOutcome) {
        guard let index = RequestOutcome.allCases.firstIndex(of: outcome) else { return }
        requests[endpoint.rawValue * RequestOutcome.allCases.count + index].increment()
    }
}
