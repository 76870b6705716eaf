package import Telemetry

/// Answers `/healthz`, `/readyz` and `/metrics`, the same for every process.
///
/// `/healthz` fails only for what a restart would cure; `/readyz` also while something is waited for. Both name the
/// reasons, one a line, also where the answer is good.
package final class HealthEndpoint: HTTPRequestHandler {
    private let health: Health
    private let metrics: MetricRegistry

    package init(health: Health, metrics: MetricRegistry) {
        self.health = health
        self.metrics = metrics
    }

    package func handle(_ request: HTTPServerRequest, _ reply: HTTPReply) {
        guard request.isMethod("GET") || request.isMethod("HEAD") else {
            return text(reply, 405, "only GET is answered here\n", [HTTPHeader("allow", "GET, HEAD")])
        }
        switch request.path {
        case "/healthz": answer(reply, isGood: health.isAlive)
        case "/readyz": answer(reply, isGood: health.isReady)
        case "/metrics":
            let type = HTTPHeader("content-type", "text/plain; version=0.0.4; charset=utf-8")
            reply.send(status: 200, headers: [type], body: metrics.render())
        default: text(reply, 404, "not found: there are /healthz, /readyz and /metrics\n")
        }
    }

    private func answer(_ reply: HTTPReply, isGood: Bool) {
        let reasons = health.reasons.map { "\($0)\n" }.joined()
        text(reply, isGood ? 200 : 503, isGood ? "ok\n\(reasons)" : reasons)
    }

    private func text(_ reply: HTTPReply, _ status: Int, _ text: String, _ more: [HTTPHeader] = []) {
        let type = HTTPHeader("content-type", "text/plain; charset=utf-8")
        reply.send(status: status, headers: [type] + more, body: Array(text.utf8))
    }
}
