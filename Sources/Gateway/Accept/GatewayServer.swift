internal import Telemetry
internal import Transport

/// Hands the requests of each connection to the dispatcher of its loop, without leaving the thread.
final class GatewayServer: HTTPRequestHandler {
    private let dispatchers: [ObjectIdentifier: Dispatcher]

    init(_ dispatchers: [(EventLoop, Dispatcher)]) {
        self.dispatchers = Dictionary(
            uniqueKeysWithValues: dispatchers.map { (ObjectIdentifier($0.0), $0.1) })
    }

    func handle(_ request: HTTPServerRequest, _ reply: HTTPReply) {
        let send: @Sendable (GatewayReply) -> Void = { answer in
            let headers = answer.allow.map { [HTTPHeader("allow", $0)] } ?? []
            reply.send(answer.status, headers: headers, contentType: "application/json", body: answer.body)
        }
        guard let dispatcher = dispatchers[ObjectIdentifier(request.loop)],
            request.headers["upgrade"]?.lowercased() != "websocket"
        else { return send(.notFound) }
        let rawQuery = Array((request.rawQuery ?? "").utf8)
        let accepted = GatewayRequest(
            method: request.method, path: request.path, query: QueryString(rawQuery), rawQuery: rawQuery,
            host: request.headers["host"], body: request.body)
        let origin = request.headers["origin"]
        let fetchSite = request.headers["sec-fetch-site"]
        dispatcher.assumeIsolated {
            $0.handle(accepted, origin: origin, fetchSite: fetchSite, reply: send)
        }
    }
}

/// `/healthz`, `/readyz` and `/metrics`, on a port of their own.
final class HealthServer: HTTPRequestHandler {
    private let health: Health
    private let registry: MetricRegistry

    init(health: Health, registry: MetricRegistry) {
        self.health = health
        self.registry = registry
    }

    func handle(_ request: HTTPServerRequest, _ reply: HTTPReply) {
        let text = "text/plain; charset=utf-8"
        switch request.path {
        case "/healthz": answer(reply, isGood: health.isAlive)
        case "/readyz": answer(reply, isGood: health.isReady)
        case "/metrics":
            reply.send(200, contentType: "text/plain; version=0.0.4; charset=utf-8", body: registry.render())
        default: reply.send(404, contentType: text, body: Array("not found\n".utf8))
        }
    }

    private func answer(_ reply: HTTPReply, isGood: Bool) {
        let text = isGood ? "ok\n" : health.reasons.joined(separator: "\n") + "\n"
        reply.send(isGood ? 200 : 503, contentType: "text/plain; charset=utf-8", body: Array(text.utf8))
    }
}
