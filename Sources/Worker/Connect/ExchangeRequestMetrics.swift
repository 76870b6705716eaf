import DepthCacheAPI
import Telemetry

/// How requests to one exchange end and how long they take.
struct ExchangeRequestMetrics: Sendable {
    private let exchange: String
    private let registry: MetricRegistry
    private let duration: Histogram

    init(exchange: String, _ registry: MetricRegistry) {
        self.exchange = exchange
        self.registry = registry
        duration = registry.histogram(
            "fathom_worker_exchange_request_duration_seconds",
            help: "Time from sending a request to the exchange to its whole answer.",
            bounds: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20],
            labels: ["exchange": exchange])
    }

    /// A few a second at most, so the counter is looked up.
    func count(
        _ purpose: SnapshotOrder.Purpose, _ outcome: SnapshotOutcome, since started: ContinuousClock.Instant
    ) {
        duration.observe(started.duration(to: .now))
        registry.counter(
            "fathom_worker_exchange_requests_total",
            help: "Requests to the exchange, by purpose and outcome.",
            labels: ["exchange": exchange, "purpose": purpose.label, "outcome": outcome.label]
        ).add()
    }
}

extension SnapshotOrder.Purpose {
    fileprivate var label: String {
        switch self {
        case .synchronize: "synchronize"
        case .status: "status"
        case .check: "check"
        case .deepen: "deepen"
        case .refresh: "refresh"
        case .probe: "probe"
        case .audit: "audit"
        }
    }
}

extension SnapshotOutcome {
    fileprivate var label: String {
        switch self {
        case .snapshot, .copy, .status, .statuses: "ok"
        case .unknownMarket: "unknown_market"
        case .failed(.rateLimited, _): "rate_limited"
        case .failed(.banned, _): "banned"
        case .failed(.exchangeUnreachable, _): "unreachable"
        case .failed: "failed"
        }
    }
}
