internal import Telemetry

/// The gateway's metrics, with every handle made beforehand: none is looked up on the way of a query.
final class GatewayMetrics: Sendable {
    let registry: MetricRegistry
    let latency: Histogram
    let failovers: Counter
    /// Requests that were refused before an endpoint saw them: unknown path, wrong method, foreign page.
    let rejected: Counter
    private let requests: [Counter]
    /// Those to `/v1`, by resource and outcome.
    private let v1Requests: [V1Resource: [RequestOutcome: Counter]]
    private let links: [LinkCondition: Gauge]
    private let linksByLoop = Guarded<[Int: [LinkCondition: Int]]>([:])
    let unreadable: Gauge

    init(_ registry: MetricRegistry) {
        self.registry = registry
        latency = registry.histogram(
            "fathom_gateway_query_seconds", help: "Time from a book query's arrival to its answer.")
        failovers = registry.counter(
            "fathom_gateway_failovers_total", help: "Queries that were served after a replica had failed.")
        rejected = registry.counter(
            "fathom_gateway_rejected_total",
            help: "Requests with an unknown path or method, or from foreign pages.")
        func counter(_ endpoint: String, _ outcome: RequestOutcome) -> Counter {
            registry.counter(
                "fathom_gateway_requests_total", help: "Requests by endpoint and outcome.",
                labels: ["endpoint": endpoint, "outcome": outcome.rawValue])
        }
        requests = Endpoint.allCases.flatMap { endpoint in
            RequestOutcome.allCases.map { counter(endpoint.event.lowercased(), $0) }
        }
        v1Requests = Dictionary(
            uniqueKeysWithValues: V1Resource.allCases.map { resource in
                let counters = RequestOutcome.allCases.map { ($0, counter(resource.label, $0)) }
                return (resource, Dictionary(uniqueKeysWithValues: counters))
            })
        unreadable = registry.gauge(
            "fathom_gateway_unreadable_requests",
            help: "Requests since the start that could not be read and were refused or closed.")
        let states: [(LinkCondition, String)] = [
            (.up, "up"), (.suspect, "suspect"), (.connecting, "connecting"), (.down, "down"),
        ]
        links = Dictionary(
            uniqueKeysWithValues: states.map { state, name in
                (
                    state,
                    registry.gauge(
                        "fathom_gateway_links", help: "Links to workers by state.", labels: ["state": name])
                )
            })
    }

    /// Takes one loop's number of links by state and shows the sums of all loops.
    func setLinks(loop: Int, _ counts: [LinkCondition: Int]) {
        let sums = linksByLoop.withLock { all -> [LinkCondition: Int] in
            all[loop] = counts
            return all.values.reduce(into: [:]) { sums, counts in sums.merge(counts, uniquingKeysWith: +) }
        }
        for (state, gauge) in links { gauge.set(sums[state] ?? 0) }
    }

    func count(_ resource: V1Resource, _ outcome: RequestOutcome) { v1Requests[resource]?[outcome]?.add() }

    func count(_ endpoint: Endpoint, _ outcome: RequestOutcome) {
        guard let index = RequestOutcome.allCases.firstIndex(of: outcome) else { return }
        requests[endpoint.rawValue * RequestOutcome.allCases.count + index].add()
    }
}
