package import Telemetry

extension HTTPServer {
    /// Shows the server's numbers; `listener` says which of a program's it is.
    package func show(in metrics: MetricRegistry, listener: String) {
        let labels = ["listener": listener]
        metrics.gauge("fathom_http_connections", help: "Open connections.", labels: labels) { [weak self] in
            Double(self?.connectionCount ?? 0)
        }
        metrics.counter(
            "fathom_http_refused_total",
            help: "Requests and connections that were refused before anything was asked.", labels: labels
        ) { [weak self] in
            Double(self?.refusedRequests ?? 0)
        }
    }
}
