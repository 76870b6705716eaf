internal import Telemetry
internal import Transport

/// Answers `/healthz`, `/readyz` and `/metrics`.
final class HealthEndpoint: HTTPRequestHandler {
    private let health: Health
    private let metrics: MetricRegistry

    init(health: Health, metrics: MetricRegistry) {
        self.health = health
        self.metrics = metrics
    }

    func handle(_ request: HTTPServerRequest, _ reply: HTTPReply) {
        switch request.path {
        case "/healthz": answer(reply, isGood: health.isAlive)
        case "/readyz": answer(reply, isGood: health.isReady)
        case "/metrics":
            reply.send(
                status: 200, headers: [HTTPHeader("content-type", "text/plain; version=0.0.4")],
                body: metrics.render())
        default: text(reply, 404, "not found: there are /healthz, /readyz and /metrics\n")
        }
    }

    private func answer(_ reply: HTTPReply, isGood: Bool) {
        let reasons = health.reasons.map { "\($0)\n" }.joined()
        text(reply, isGood ? 200 : 503, isGood ? "ok\n\(reasons)" : reasons)
    }

    private func text(_ reply: HTTPReply, _ status: Int, _ text: String) {
        reply.send(
            status: status, headers: [HTTPHeader("content-type", "text/plain; charset=utf-8")],
            body: Array(text.utf8))
    }
}
