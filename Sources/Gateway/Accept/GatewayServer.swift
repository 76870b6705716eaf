internal import DepthCacheAPI
internal import Transport

/// Hands the requests of each connection to the dispatcher of its loop, without leaving the thread.
final class GatewayServer: HTTPRequestHandler {
    /// One for each loop; so few that going through them is faster than a dictionary.
    private let dispatchers: [(loop: EventLoop, dispatcher: Dispatcher)]
    private let journal: RequestJournal
    private let crossOrigin: CrossOrigin?
    private let limit: RequestLimit?

    init(
        _ dispatchers: [(EventLoop, Dispatcher)], journal: RequestJournal, crossOrigin: CrossOrigin? = nil,
        limit: RequestLimit? = nil
    ) {
        self.journal = journal
        self.crossOrigin = crossOrigin
        self.limit = limit
        self.dispatchers = dispatchers.map { (loop: $0.0, dispatcher: $0.1) }
    }

    func handle(_ request: HTTPServerRequest, _ reply: HTTPReply) {
        let start = ContinuousClock.now
        let accepted = GatewayRequest(
            method: request.method, path: request.path, rawQuery: request.rawQuery,
            scheme: request.isTLS ? "https" : "http", host: request.header("host"),
            client: request.remoteAddress, ifNoneMatch: request.header("if-none-match"), body: request.body,
            start: start)
        let sentID = RequestIDs.accepted(request.header(RequestIDs.header))
        let origin = request.header("origin")
        let more = crossOrigin?.headers(origin: origin) ?? []
        let send: @Sendable (GatewayReply) -> Void = { [journal] answer in
            let id = journal.note(answer, to: accepted, sentID)
            guard answer.status != 200 || !answer.headers.isEmpty || id != nil || !more.isEmpty else {
                return reply.sendJSON(answer.body)
            }
            var headers = answer.headers + more
            if let id { headers.append(HTTPHeader("\(RequestIDs.header)", id)) }
            if !answer.body.isEmpty { headers.append(HTTPHeader("content-type", answer.contentType)) }
            if let allow = answer.allow { headers.append(HTTPHeader("allow", allow)) }
            reply.send(status: answer.status, headers: headers, body: answer.body)
        }
        guard let dispatcher = dispatchers.first(where: { $0.loop === request.loop })?.dispatcher,
            !request.header("upgrade", is: "websocket")
        else { return send(.notFound) }
        if let refusal = limit?.refusal(request, now: start) { return send(refusal) }
        let preflight = crossOrigin?.preflight(method: accepted.method, origin: origin) {
            request.header("access-control-request-method")
        }
        if let preflight { return send(preflight) }
        let fetchSite = request.header("sec-fetch-site")
        dispatcher.assumeIsolated {
            $0.handle(
                accepted, origin: origin, fetchSite: fetchSite,
                authorization: {
                    // The Kubernetes API's way to Services keeps the usual one for itself.
                    request.header("fathom-authorization") ?? request.header("authorization")
                }, reply: send)
        }
    }
}
