import Telemetry
import Transport

/// `/healthz`, `/readyz` and `/metrics` of a worker.
final class WorkerEndpoint: HTTPRequestHandler {
    private let health: Health
    private let metrics: MetricRegistry

    init(health: Health, metrics: MetricRegistry) {
        self.health = health
        self.metrics = metrics
    }

    func handle(_ request: HTTPServerRequest, _ reply: HTTPReply) {
        guard request.isMethod("GET") || request.isMethod("HEAD") else {
            return send(405, "only GET is answered here", reply)
        }
        switch request.path {
        case "/healthz": send(health.isAlive ? 200 : 503, health.isAlive ? "ok" : lines, reply)
        case "/readyz": send(health.isReady ? 200 : 503, health.isReady ? "ok" : lines, reply)
        case "/metrics":
            let type = HTTPHeader("content-type", "text/plain; version=0.0.4; charset=utf-8")
            reply.send(status: 200, headers: [type], body: metrics.render())
        default:
            send(
                404, "a worker answers /healthz, /readyz and /metrics; books are served over /link/v1", reply)
        }
    }

    private var lines: String { health.reasons.joined(separator: "\n") }

    private func send(_ status: Int, _ text: String, _ reply: HTTPReply) {
        let type = HTTPHeader("content-type", "text/plain; charset=utf-8")
        reply.send(status: status, headers: [type], body: Array((text + "\n").utf8))
    }
}
