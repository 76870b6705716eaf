package import Telemetry

extension HTTPServer {
    /// Shows the server's numbers; `listener` says which of a program's it is.
    package func show(in metrics: MetricRegistry, listener: String) {
        let labels = ["listener": listener]
        metrics.gauge("fathom_http_connections", help: "Open connections.", labels: labels) { [weak self] in
            Double(self?.connectionCount ?? 0)
        }
        metrics.gauge(
            "fathom_http_held_bytes",
            help: "Memory taken by requests that have not come whole and by answers that are not taken.",
            labels: labels
        ) { [weak self] in Double(self?.heldBytes ?? 0) }
        for limit in HTTPRefusal.allCases {
            metrics.counter(
                "fathom_http_refused_total",
                help: "Requests and connections that were refused or cut off, by limit.",
                labels: labels.merging(["limit": limit.rawValue]) { $1 }
            ) { [refusals] in Double(refusals.count(of: limit)) }
        }
    }
}
