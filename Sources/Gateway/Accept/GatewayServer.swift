internal import DepthCacheAPI
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
            guard answer.status != 200 else { return reply.sendJSON(answer.body) }
            var headers = [HTTPHeader("content-type", "application/json")]
            if let allow = answer.allow { headers.append(HTTPHeader("allow", allow)) }
            reply.send(status: answer.status, headers: headers, body: answer.body)
        }
        guard let dispatcher = dispatchers[ObjectIdentifier(request.loop)],
            request.header("upgrade")?.asciiLowercased != "websocket"
        else { return send(.notFound) }
        let rawQuery = Array(request.rawQuery)
        let accepted = GatewayRequest(
            method: request.method, path: request.path, query: QueryString(rawQuery), rawQuery: rawQuery,
            host: request.header("host"), body: request.body)
        let origin = request.header("origin")
        let fetchSite = request.header("sec-fetch-site")
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
        switch request.path {
        case "/healthz": answer(reply, isGood: health.isAlive)
        case "/readyz": answer(reply, isGood: health.isReady)
        case "/metrics":
            let type = HTTPHeader("content-type", "text/plain; version=0.0.4; charset=utf-8")
            reply.send(status: 200, headers: [type], body: registry.render())
        default: answer(reply, 404, "not found\n")
        }
    }

    private func answer(_ reply: HTTPReply, isGood: Bool) {
        answer(reply, isGood ? 200 : 503, isGood ? "ok\n" : health.reasons.joined(separator: "\n") + "\n")
    }

    private func answer(_ reply: HTTPReply, _ status: Int, _ text: String) {
        let type = HTTPHeader("content-type", "text/plain; charset=utf-8")
        reply.send(status: status, headers: [type], body: Array(text.utf8))
    }
}
