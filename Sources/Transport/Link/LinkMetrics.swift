package import Telemetry

/// How many links a program has made to others, by state, and how often those changed.
package final class LinkMetrics: Sendable {
    private static let names = ["connecting", "up", "suspect", "down"]
    private let links: [String: Gauge]
    private let changes: [String: Counter]

    package init(_ metrics: MetricRegistry) {
        links = Dictionary(
            uniqueKeysWithValues: Self.names.map { name in
                (
                    name,
                    metrics.gauge(
                        "fathom_links", help: "Links to workers, by state.", labels: ["state": name])
                )
            })
        changes = Dictionary(
            uniqueKeysWithValues: Self.names.map { name in
                (
                    name,
                    metrics.counter(
                        "fathom_link_changes_total",
                        help: "Changes of links to workers, by the state they came to.",
                        labels: ["state": name])
                )
            })
    }

    /// What a new link tells its states to.
    package func follow() -> @Sendable (LinkState) -> Void {
        // A link begins so, and does not say it.
        let last = Guarded<String?>("connecting")
        links["connecting"]?.add(1)
        return { [links, changes] state in
            let name = Self.name(state)
            let before = last.withLock { last in
                defer { last = name }
                return last
            }
            // The text of a trouble may change while the state stays.
            guard name != before else { return }
            if let before { links[before]?.add(-1) }
            guard let name else { return }
            links[name]?.add(1)
            changes[name]?.add()
        }
    }

    private static func name(_ state: LinkState) -> String? {
        switch state {
        case .connecting: "connecting"
        case .up: "up"
        case .suspect: "suspect"
        case .down: "down"
        case .stopped: nil
        }
    }
}
