internal import DepthCacheAPI
internal import K8sClient
internal import Telemetry
internal import Transport

/// What all loops of a gateway share.
struct GatewayService: Sendable {
    var directory: ClusterDirectory
    var markets: Guarded<MarketDirectory>
    var pages: ClusterPages
    var loopback: LoopbackGuard
    var access = AccessControl(anonymous: .manage)
    var refusals = HTTPRefusals()
    var metrics: GatewayMetrics
    var requestDeadline: Duration = .seconds(5)
    var namespace = "default"
    /// Nil where the credential endpoints are off.
    var credentials: CredentialAdministration?
    /// Equal questions that have not left for a worker yet share one answer.
    var sharesAnswers = true
    /// Unix seconds.
    var wallClock: @Sendable () -> Double

    var own: PodName { PodName(name: pages.gateway.name, uid: pages.gateway.uid) }
}

/// Answers the requests of one loop; bound to it, together with the loop's links.
///
/// Book queries never leave the loop. What needs the Kubernetes API runs as a task and answers from there.
actor Dispatcher {
    typealias Members = [(String, JSONFragment)]
    nonisolated let service: GatewayService
    private nonisolated let executor: any SerialExecutor
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }

    let loopLinks: LoopLinks
    var links: [String: any WorkerLink] {
        get { loopLinks.all }
        _modify { yield &loopLinks.all }
    }
    let ledger: RetryLedger
    private let known = KnownQueries()
    /// How many calls for many books there were.
    var bookCalls = 0
    private var inFlight: [BookRequest] = []
    /// When there are more, those that are done are let go, so that no memory is touched that is not in use.
    private var mostInFlight = Dispatcher.fewInFlight
    private static let fewInFlight = 64

    init(service: GatewayService, on executor: any SerialExecutor) {
        self.service = service
        self.executor = executor
        ledger = RetryLedger(metrics: service.metrics)
        loopLinks = LoopLinks(directory: service.directory)
    }

    func handle(
        _ request: GatewayRequest, origin: String?, fetchSite: String?,
        authorization: @Sendable () -> String? = { nil }, reply: @escaping @Sendable (GatewayReply) -> Void
    ) {
        guard let endpoint = Endpoint(path: request.path) else {
            guard V1Path.isOwn(request.path) else { return reject(.notFound, reply) }
            let source = RequestSource(host: request.host, origin: origin, fetchSite: fetchSite)
            return handleV1(request, from: source, authorization: authorization, reply)
        }
        guard endpoint.methods.contains(request.method) else {
            return reject(.methodNotAllowed(endpoint.methods), reply)
        }
        if let reason = service.loopback.refusal(
            host: request.host, origin: origin, fetchSite: fetchSite, changesState: endpoint.changesState)
        {
            return reject(.forbidden(reason), reply)
        }
        if let refusal = refusal(endpoint.changesState, request, authorization) {
            return reject(refusal.envelope(endpoint.event), reply)
        }
        switch endpoint {
        case .getAsks: forward(request, endpoint, .asks, reply)
        case .getBids: forward(request, endpoint, .bids, reply)
        case .list, .depthCache, .cluster, .credentials, .test: read(request, endpoint, reply)
        case .create, .createMany, .stop: change(request, endpoint, reply)
        case .addCredentials, .removeCredentials: changeCredentials(request, endpoint, reply)
        }
    }

    /// Why the request may not do what it asks for; what changes something needs more than what reads.
    func refusal(
        _ changesState: Bool, _ request: GatewayRequest, _ authorization: () -> String?
    ) -> AccessRefusal? {
        let needed: AccessScope = changesState ? .manage : .read
        guard let refusal = service.access.refusal(needed, authorization: authorization) else { return nil }
        service.refusals.add(.token, client: request.client)
        return refusal
    }

    private func reject(_ answer: GatewayReply, _ reply: @Sendable (GatewayReply) -> Void) {
        service.metrics.reject(answer.status)
        reply(answer)
    }

    /// Looks after all queries under way; called some twenty times a second.
    func check(_ now: ContinuousClock.Instant = .now) {
        for request in inFlight { request.check(now) }
        inFlight.removeAll(where: \.isDone)
        ledger.tidy(now)
    }

    /// For the end of the loop: queries know links, and links whom to tell.
    func abandonQueries() { inFlight = [] }

    var queriesUnderWay: Int { inFlight.count { !$0.isDone } }
}

// MARK: - Books
extension Dispatcher {
    private func forward(
        _ request: GatewayRequest, _ endpoint: Endpoint, _ side: BookSide,
        _ reply: @escaping @Sendable (GatewayReply) -> Void
    ) {
        let table = service.directory.table
        if let known = known.find(request.rawQuery, in: table) {
            return ask(known, side, request, endpoint, reply)
        }
        let query: BookQuery
        do throws(ParameterProblem) {
            query = try request.bookQuery(side)
        } catch {
            return finish(
                request, endpoint, .badRequest,
                Envelope.error(.badQueryParameter, endpoint.event, error.description),
                reply)
        }
        let key = MarketKey(exchange: query.exchange, market: query.market)
        let understood = { [self] (route: MarketRoute, table: RoutingTable) in
            known.keep(
                request.rawQuery, query, wantsDebug: request.wantsDebug, key: key, route: route, of: table)
        }
        if let route = table.routes[key] {
            return ask(understood(route, table), side, request, endpoint, reply)
        }
        Task {
            do throws(StoreError) {
                if let route = try await service.directory.lookUp(key) {
                    return ask(understood(route, service.directory.table), side, request, endpoint, reply)
                }
                let text = "DepthCache '\(query.market)' for '\(query.exchange)' not found!"
                let hint = service.markets.withLock { $0 }.problem(exchange: query.exchange)?.description
                let message = hint.map { "\(text) \($0)" } ?? text
                finish(
                    request, endpoint, .notFound, Envelope.error(.notFound, endpoint.event, message), reply)
            } catch {
                let members = CacheAdministration.unavailable(endpoint.event, "\(error)")
                finish(request, endpoint, .apiAway, members, reply)
            }
        }
    }

    private func ask(
        _ known: KnownQueries.Known, _ side: BookSide, _ request: GatewayRequest, _ endpoint: Endpoint,
        _ reply: @escaping @Sendable (GatewayReply) -> Void
    ) {
        let route = known.route
        guard !route.replicas.isEmpty else {
            let standing = route.cache.standing
            let reason = standing.isReady || standing.message.isEmpty ? "" : " \(standing.message)"
            let message = "No DCN found for '\(known.market)' on '\(known.exchange)'!\(reason)"
            return finish(
                request, endpoint, .unplaced, Envelope.error(.noReplicaPlaced, endpoint.event, message), reply
            )
        }
        let wantsDebug = known.wantsDebug
        ask(route, known.question(side), since: request.start) { [self] outcome, replicas in
            answer(outcome, replicas, route.cache, wantsDebug, request, endpoint, reply)
        }
    }

    /// Asks the copies of one market until one has answered or the time is up.
    func ask(
        _ route: MarketRoute, _ question: BookQuestion, since start: ContinuousClock.Instant,
        completion: @escaping (BookOutcome, [ReplicaRoute]) -> Void
    ) {
        let book = BookRequest(
            route: route, question: question, deadline: service.requestDeadline, now: start, ledger: ledger,
            loopLinks: loopLinks, completion: completion)
        book.advance(start)
        guard !book.isDone else { return }
        inFlight.append(book)
        guard inFlight.count > mostInFlight else { return }
        inFlight.removeAll(where: \.isDone)
        mostInFlight = max(Self.fewInFlight, 2 * inFlight.count)
    }

    private func answer(
        _ outcome: BookOutcome, _ replicas: [ReplicaRoute], _ cache: CachePicture, _ wantsDebug: Bool,
        _ request: GatewayRequest, _ endpoint: Endpoint, _ reply: @Sendable (GatewayReply) -> Void
    ) {
        let event = endpoint.event
        switch outcome {
        case .served(let json, _, let index, let failures):
            let outcome = failures.isEmpty ? RequestOutcome.ok : .failover
            service.metrics.count(endpoint, outcome, since: request.start)
            var extra: Members = []
            var reason = ""
            if wantsDebug {
                extra.append(("debug", request.debug([service.own, replicas[index].podName])))
            }
            if !failures.isEmpty {
                service.metrics.failovers.add()
                extra.append(("error_id", JSONFragment(ErrorID.servedAfterFailover.rawValue)))
                reason = Self.failoverText(failures, replicas)
                extra.append(("error", JSONFragment(reason)))
            }
            reply(
                GatewayReply(body: Envelope.splice(extra, into: json), outcome: outcome, reason: reason))
        case .behind(let id):
            let text = "\(Self.words(cache)) stands at update id \(id)"
            finish(request, endpoint, .outOfSync, Envelope.error(.behind, event, text), reply)
        case .outOfSync(let reason):
            let message = "\(Self.words(cache)) is out of sync! \(reason)"
            finish(request, endpoint, .outOfSync, Envelope.error(.notSynchronized, event, message), reply)
        case .unreachable(let failures):
            let requests = failures.map { failure -> JSONFragment in
                let worker = replicas[failure.index].worker
                return JSONFragment([
                    JSONFragment(worker?.address ?? ""), JSONFragment(worker?.port ?? 0),
                    JSONFragment(failure.detail),
                ])
            }
            let members = Envelope.error(
                .noWorkerReachable, event, "No DCN has responded to the request!",
                [("requests", JSONFragment(requests))])
            finish(
                request, endpoint, .unreachable, members, reason: Self.failoverText(failures, replicas), reply
            )
        case .badRequest(let parameter, let message):
            let text = "Invalid parameter \(parameter): \(message)"
            finish(request, endpoint, .badRequest, Envelope.error(.badQueryParameter, event, text), reply)
        }
    }

    private static func words(_ cache: CachePicture) -> String {
        "DepthCache '\(cache.market)' for '\(cache.exchange)'"
    }

    static func failoverText(_ failures: [ReplicaFailure], _ replicas: [ReplicaRoute]) -> String {
        let pods = failures.map { failure in
            let pod = replicas[failure.index].podName
            return "pod=\(pod.name) (uid=\(pod.uid)) — \(failure.detail)"
        }
        return "Data served after \(failures.count) DCN failure(s): \(pods.joined(separator: "; "))"
    }
}
