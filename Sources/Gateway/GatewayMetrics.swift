internal import Telemetry
internal import Transport

/// The gateway's metrics, with every handle made beforehand: none is looked up on the way of a query.
final class GatewayMetrics: Sendable {
    let links: LinkMetrics
    let failovers: Counter
    /// Attempts besides a query's first.
    let retries: Counter
    /// Queries to which the budget allowed no further one.
    let retriesWithheld: Counter
    /// Queries that took the answer of an equal one.
    let shared: Counter
    private let endpoints: [Account]
    private let resources: [V1Resource: Account]
    private let rejected: [Int: Counter]
    private let otherRejected: Counter
    private let certificateExpiry: Gauge
    private let certificateReloads: Counter
    let certificateFailures: Counter

    /// The requests to one endpoint.
    private struct Account {
        let outcomes: [Counter]
        let duration: Histogram

        init(_ registry: MetricRegistry, _ endpoint: String) {
            outcomes = RequestOutcome.allCases.map { outcome in
                registry.counter(
                    "fathom_gateway_requests_total", help: "Requests by endpoint and outcome.",
                    labels: ["endpoint": endpoint, "outcome": outcome.label])
            }
            duration = registry.histogram(
                "fathom_gateway_request_duration_seconds",
                help: "Time from a whole request to its answer, inside the gateway.",
                labels: ["endpoint": endpoint])
        }

        func count(_ outcome: RequestOutcome, since start: ContinuousClock.Instant) {
            duration.observe(start.duration(to: .now))
            outcomes[outcome.rawValue].add()
        }
    }

    init(_ registry: MetricRegistry) {
        links = LinkMetrics(registry)
        failovers = registry.counter(
            "fathom_gateway_failovers_total", help: "Books that were served after a replica had failed.")
        retries = registry.counter(
            "fathom_gateway_retries_total", help: "Attempts of queries besides the first one.")
        retriesWithheld = registry.counter(
            "fathom_gateway_retries_withheld_total",
            help: "Queries of which a further copy was not asked because too many had to be asked again.")
        shared = registry.counter(
            "fathom_gateway_shared_answers_total",
            help: "Queries that share the answer of an equal one that had not left for the worker yet.")
        func rejection(_ code: String) -> Counter {
            registry.counter(
                "fathom_gateway_rejected_total",
                help:
                    "Requests that no endpoint saw, by status: unknown paths, wrong methods, foreign pages and the like.",
                labels: ["code": code])
        }
        rejected = Dictionary(
            uniqueKeysWithValues: [401, 403, 404, 405, 413, 429].map { ($0, rejection("\($0)")) })
        otherRejected = rejection("other")
        endpoints = Endpoint.allCases.map { Account(registry, $0.event.lowercased()) }
        resources = Dictionary(
            uniqueKeysWithValues: V1Resource.allCases.map { ($0, Account(registry, $0.label)) })
        certificateExpiry = registry.gauge(
            "fathom_gateway_certificate_expiry_timestamp_seconds",
            help: "Until when the certificate in use is valid, in seconds since 1970; 0 without TLS.")
        func reloads(_ outcome: String) -> Counter {
            registry.counter(
                "fathom_gateway_certificate_reloads_total",
                help: "Changes of the certificate's files by outcome: failed ones leave the old one in use.",
                labels: ["outcome": outcome])
        }
        certificateReloads = reloads("ok")
        certificateFailures = reloads("failed")
    }

    func count(_ resource: V1Resource, _ outcome: RequestOutcome, since start: ContinuousClock.Instant) {
        resources[resource]?.count(outcome, since: start)
    }

    func count(_ endpoint: Endpoint, _ outcome: RequestOutcome, since start: ContinuousClock.Instant) {
        endpoints[endpoint.rawValue].count(outcome, since: start)
    }

    func certificate(_ context: TLSServerContext, isReload: Bool) {
        certificateExpiry.set(context.expiry)
        if isReload { certificateReloads.add() }
    }

    func reject(_ status: Int) { (rejected[status] ?? otherRejected).add() }
}
