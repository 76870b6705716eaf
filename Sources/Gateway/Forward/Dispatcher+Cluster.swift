internal import DepthCacheAPI
internal import K8sClient
internal import Telemetry

/// The endpoints about the cluster: read from the table, changed through the Kubernetes API.
extension Dispatcher {
    func finish(
        _ request: GatewayRequest, _ endpoint: Endpoint, _ outcome: RequestOutcome, _ members: Members,
        postBody: JSONFragment? = nil, reason: String = "", _ reply: @Sendable (GatewayReply) -> Void
    ) {
        service.metrics.count(endpoint, outcome, since: request.start)
        var members = members
        if request.wantsDebug || postBody != nil {
            members.append(("debug", request.debug([service.own], postBody: postBody)))
        }
        var reason = reason
        if reason.isEmpty, outcome.isTrouble, let message = members.first(where: { $0.0 == "message" }) {
            reason = String(decoding: message.1.bytes, as: UTF8.self)
        }
        reply(GatewayReply(body: Envelope.render(members), outcome: outcome, reason: reason))
    }

    func read(
        _ request: GatewayRequest, _ endpoint: Endpoint, _ reply: @escaping @Sendable (GatewayReply) -> Void
    ) {
        let table = service.directory.table
        switch endpoint {
        case .test: finish(request, endpoint, .ok, test(), reply)
        case .credentials:
            let list = JSONFragment(table.picture.credentials.map(\.json))
            state(request, endpoint, [("credentials", list)], reply)
        case .list:
            state(request, endpoint, [("depthcache_list", service.pages.depthCaches(table))], reply)
        case .cluster:
            let database = service.pages.database(table, now: service.wallClock())
            let version = JSONFragment(service.pages.version)
            state(request, endpoint, [("db", database), ("version", version)], reply)
        default: oneCache(request, endpoint, reply)
        }
    }

    private func oneCache(
        _ request: GatewayRequest, _ endpoint: Endpoint, _ reply: @escaping @Sendable (GatewayReply) -> Void
    ) {
        let exchange: String
        let market: String
        do throws(ParameterProblem) {
            (exchange, market) = try request.marketKey()
        } catch {
            let members = Envelope.error(endpoint.parameterError, endpoint.event, error.description)
            return finish(request, endpoint, .badRequest, members, reply)
        }
        let key = MarketKey(exchange: exchange, market: market)
        if let route = service.directory.table.routes[key] {
            return info(request, endpoint, route, reply)
        }
        Task {
            do throws(StoreError) {
                if let route = try await service.directory.lookUp(key) {
                    return info(request, endpoint, route, reply)
                }
                let message = "DepthCache '\(market)' for '\(exchange)' not found!"
                finish(
                    request, endpoint, .notFound, Envelope.error(.notFound, endpoint.event, message), reply)
            } catch {
                let members = CacheAdministration.unavailable(endpoint.event, "\(error)")
                finish(request, endpoint, .apiAway, members, reply)
            }
        }
    }

    private func info(
        _ request: GatewayRequest, _ endpoint: Endpoint, _ route: MarketRoute,
        _ reply: @escaping @Sendable (GatewayReply) -> Void
    ) {
        describe(route) { books in
            self.assumeIsolated { dispatcher in
                let record = dispatcher.service.pages.depthCache(route, books: books)
                dispatcher.state(request, endpoint, [("depthcache_info", record)], reply)
            }
        }
    }

    /// What the watches know: `OK` while they are alive, `#8000` with the last known state while the API is away,
    /// `#9000` or `#1014` when there has never been a state.
    private func state(
        _ request: GatewayRequest, _ endpoint: Endpoint, _ payload: Members,
        _ reply: @escaping @Sendable (GatewayReply) -> Void
    ) {
        let event = endpoint.event
        let api = service.directory.apiState
        switch (api.trouble, api.hasSynced) {
        case (nil, true): finish(request, endpoint, .ok, Envelope.ok(event, payload), reply)
        case (nil, false):
            let message =
                "The gateway has not read the cluster's state yet, please try again in a few seconds!"
            finish(request, endpoint, .apiAway, Envelope.error(.notReady, event, message), reply)
        case (let trouble?, false):
            finish(request, endpoint, .apiAway, CacheAdministration.unavailable(event, trouble), reply)
        case (let trouble?, true):
            let message = "The Kubernetes API cannot be reached, this is the last known state!"
            let extra = payload + [("error", JSONFragment(trouble))]
            finish(request, endpoint, .apiAway, Envelope.error(.cachedState, event, message, extra), reply)
        }
    }

    private func test() -> Members {
        let pages = service.pages
        let app = JSONFragment([
            ("name", JSONFragment("ubdcc-restapi")), ("version", JSONFragment(pages.version)),
            ("author", JSONFragment("Fathom")), ("build_type", JSONFragment("compiled")),
        ])
        let pod = JSONFragment([
            ("name", JSONFragment(pages.gateway.name)), ("uid", JSONFragment(pages.gateway.uid)),
            ("namespace", JSONFragment(service.namespace)), ("node", JSONFragment(pages.gateway.node)),
        ])
        return Envelope.ok(
            Endpoint.test.event,
            [
                ("app", app), ("headers", JSONFragment("")), ("message", JSONFragment("Hello World!")),
                ("pod", pod), ("ubdcc_mgmt_backup", .null),
            ])
    }

    func change(
        _ request: GatewayRequest, _ endpoint: Endpoint, _ reply: @escaping @Sendable (GatewayReply) -> Void
    ) {
        var body: JSONValue?
        if request.method == "POST" {
            guard let parsed = try? JSONValue(parsing: request.body), parsed.fields != nil else {
                let message = "Invalid request body: expected a JSON object"
                let members = Envelope.error(endpoint.parameterError, endpoint.event, message)
                return finish(request, endpoint, .badRequest, members, reply)
            }
            body = parsed
        }
        let wantsDebug = request.wantsDebug || body?["debug"]?.meansTrue == true
        let postBody = wantsDebug ? body.map { JSONFragment(bytes: $0.bytes) } : nil
        let administration = CacheAdministration(directory: service.directory)
        do throws(ParameterProblem) {
            let work: @Sendable () async -> Members
            if endpoint == .stop {
                let (exchange, market) = try request.marketKey()
                work = { await administration.stop(exchange: exchange, market: market) }
            } else {
                let known = service.markets.withLock { $0 }
                let specs = try CreateRequest(
                    request, body: body, many: endpoint == .createMany, known: known
                ).specs
                if endpoint == .create, let spec = specs.first {
                    work = { await administration.create(spec) }
                } else {
                    work = { await administration.create(specs) }
                }
            }
            Task {
                let members = await work()
                let outcome = RequestOutcome(members)
                finish(request, endpoint, outcome, members, postBody: postBody, reply)
            }
        } catch {
            let id: ErrorID =
                error.isMissing
                ? endpoint.parameterError : endpoint == .stop ? .stopRefused : .creationRefused
            let members = Envelope.error(id, endpoint.event, error.description)
            finish(request, endpoint, .badRequest, members, postBody: postBody, reply)
        }
    }
}

extension RequestOutcome {
    /// What the members of an answer of an administrative endpoint say.
    init(_ members: [(String, JSONFragment)]) {
        let id = members.first { $0.0 == "error_id" }?.1
        self =
            switch id {
            case nil: .ok
            case JSONFragment(ErrorID.notFound.rawValue), JSONFragment(ErrorID.credentialNotFound.rawValue):
                .notFound
            case JSONFragment(ErrorID.stateUnavailable.rawValue): .apiAway
            default: .refused
            }
    }
}

extension GatewayRequest {
    /// The `debug` member for this request, with the pods in the order of their use.
    func debug(_ usedPods: [PodName], postBody: JSONFragment? = nil) -> JSONFragment {
        DebugBlock(url: url, start: start, postBody: postBody).fragment(usedPods: usedPods)
    }
}

extension JSONValue {
    /// Whether a client means yes: `true`, or that word in any case.
    var meansTrue: Bool { bool == true || text?.asciiLowercased == "true" }
}
