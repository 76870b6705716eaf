internal import DepthCacheAPI
internal import K8sClient
internal import Telemetry
internal import Transport

/// Where a request says that it comes from.
struct RequestSource {
    var host: String?
    var origin: String?
    var fetchSite: String?
}

/// `/v1`: finds the operation in the table, checks what was sent, and hands it on.
extension Dispatcher {
    typealias V1Reply = @Sendable (GatewayReply) -> Void

    func handleV1(
        _ request: GatewayRequest, from source: RequestSource, authorization: () -> String?,
        _ reply: @escaping V1Reply
    ) {
        guard let path = V1Path(request.path) else {
            let detail = "There is no \(request.path.prefix(200)); /openapi.json lists what there is"
            return rejectV1(Problem(status: 404, id: .unknownPath, detail: detail), reply)
        }
        let resource = path.resource
        let operation = V1Operation.find(resource, method: request.method)
        if let reason = service.loopback.refusal(
            host: source.host, origin: source.origin, fetchSite: source.fetchSite,
            changesState: operation?.changesState ?? false)
        {
            return rejectV1(Problem(status: 403, id: .forbidden, detail: reason), reply)
        }
        guard let operation else {
            let methods = V1Operation.methods(of: resource).joined(separator: ", ")
            let allow = [HTTPHeader("allow", methods)]
            guard request.method != "OPTIONS" else {
                return reply(GatewayReply(status: 204, body: [], headers: allow))
            }
            let detail = "\(resource.rawValue) takes \(methods), not \(request.method.prefix(32))"
            return rejectV1(
                Problem(status: 405, id: .methodNotAllowed, detail: detail, headers: allow), reply)
        }
        if let refusal = refusal(operation.changesState, request, authorization) {
            return rejectV1(refusal.problem, reply)
        }
        let counted: V1Reply = { [metrics = service.metrics] answer in
            metrics.count(resource, answer.outcome, since: request.start)
            reply(answer)
        }
        do throws(Problem) {
            let known = service.markets.withLock { $0 }
            let values = try V1Values(
                operation, path: path, query: request.query, body: request.body, known)
            try carryOut(operation, request, values, counted)
        } catch {
            counted(error.reply)
        }
    }

    private func carryOut(
        _ operation: V1Operation, _ request: GatewayRequest, _ values: V1Values, _ reply: @escaping V1Reply
    ) throws(Problem) {
        switch operation.name {
        case .getBook: getBook(request, values, reply)
        case .getBooks: try getBooks(request, values, reply)
        case .listDepthCaches: try listCaches(values, reply)
        case .getDepthCache:
            withRoute(values, reply) { [self] route in reply(json(service.pages.cache(route))) }
        case .createDepthCache, .changeDepthCache, .deleteDepthCache: changeCache(operation, values, reply)
        case .auditBooks: auditBooks(values, reply)
        case .getCluster: try getCluster(reply)
        case .getDocument:
            let known = service.markets.withLock { $0 }
            let document = OpenAPIDocument(version: service.pages.version, known: known)
            reply(json(JSONFragment(bytes: document.json.bytes)))
        }
    }

    func json(_ fragment: JSONFragment, status: Int = 200, _ headers: [HTTPHeader] = []) -> GatewayReply {
        GatewayReply(status: status, body: fragment.bytes[...], headers: headers)
    }

    private func rejectV1(_ problem: Problem, _ reply: V1Reply) {
        service.metrics.reject(problem.status)
        reply(problem.reply)
    }

    /// Finds the market of a path, in the Kubernetes API if the watches have not brought it yet.
    func withRoute(
        _ values: V1Values, _ reply: @escaping V1Reply, _ body: @escaping (MarketRoute) -> Void
    ) {
        if let route = service.directory.table.routes[values.key] { return body(route) }
        Task {
            do throws(StoreError) {
                guard let route = try await service.directory.lookUp(values.key) else {
                    return reply(Problem.notFound(values.exchange, values.market).reply)
                }
                body(route)
            } catch {
                reply(Problem(error, what: "\(values.market) of \(values.exchange) is not known here").reply)
            }
        }
    }
}

// MARK: - One book
extension Dispatcher {
    private func getBook(_ request: GatewayRequest, _ values: V1Values, _ reply: @escaping V1Reply) {
        withRoute(values, reply) { [self] route in
            let query = BooksQuery(
                limit: UInt32(clamping: values.whole("limit") ?? 0), threshold: values.threshold,
                leastID: values.whole("min_update_id") ?? 0,
                markets: [MarketQuery(exchange: route.cache.exchange, market: route.cache.market)])
            askBook(route, query, since: request.start) { [self] result in
                switch result {
                case .failure(let problem): reply(problem.reply)
                case .success(let book): reply(answer(book, to: request))
                }
            }
        }
    }

    /// Asks for both sides of one book, with failover.
    func askBook(
        _ route: MarketRoute, _ query: BooksQuery, since start: ContinuousClock.Instant,
        completion: @escaping (Result<ServedBook, Problem>) -> Void
    ) {
        guard !route.replicas.isEmpty else { return completion(.failure(.unplaced(route))) }
        ask(route, .both(query.encoded()), since: start) { [self] outcome, replicas in
            switch outcome {
            case .served(let json, let mark, let index, let failures):
                if !failures.isEmpty { service.metrics.failovers.add() }
                let failover = failures.isEmpty ? nil : Self.failoverText(failures, replicas)
                completion(
                    .success(
                        ServedBook(
                            json: json, mark: mark, worker: replicas[index].workerName, failover: failover)))
            case .behind(let id): completion(.failure(.behind(route, id, wanted: query.leastID)))
            case .outOfSync(let reason): completion(.failure(.outOfSync(route, reason)))
            case .unreachable(let failures):
                completion(.failure(.unreachable(route, failures, replicas)))
            case .badRequest(let parameter, let message):
                completion(
                    .failure(
                        .parameter(parameter, expected: message, was: "what was sent", .badQueryParameter)))
            }
        }
    }

    private func answer(_ book: ServedBook, to request: GatewayRequest) -> GatewayReply {
        let tag = book.tag
        let isKnown = tag.map { EntityTag.isMatch($0, request.ifNoneMatch) } ?? false
        return GatewayReply(
            status: isKnown ? 304 : 200, body: isKnown ? [] : book.bytes,
            headers: [HTTPHeader("cache-control", "no-cache")] + (tag.map { [HTTPHeader("etag", $0)] } ?? []),
            outcome: book.failover == nil ? .ok : .failover, reason: book.failover ?? "")
    }
}

/// A book as a worker gave it, and who that was.
struct ServedBook {
    var json: ArraySlice<UInt8>
    var mark: BookMark?
    var worker: String
    /// What went wrong before, for people.
    var failover: String?

    /// The state's mark and a digest of the levels and what is covered.
    ///
    /// A book that was wrong is mended, and one comes to know more, at the same id. Weak: the times before the levels differ
    /// from copy to copy, and the age goes on.
    var tag: String? {
        guard let mark else { return nil }
        let levels = json.firstRange(of: Self.levelsBegin).map { json[$0.lowerBound...] } ?? json
        let digest = Digest.hex(Array(Digest.sha256(Array(levels)).prefix(8)))
        return "W/\"\(mark.updateID)-\(mark.coveredLevels)-\(digest)\""
    }
    private static let levelsBegin = Array(",\"bids\":".utf8)

    var bytes: ArraySlice<UInt8> {
        var extra = [("worker", JSONFragment(worker))]
        if let failover { extra.append(("failover", JSONFragment(failover))) }
        return Envelope.splice(extra, into: json)
    }
}

/// The comparison of `If-None-Match`.
enum EntityTag {
    /// Whether `sent` is `*` or lists `tag`, weak or strong.
    static func isMatch(_ tag: String, _ sent: String?) -> Bool {
        guard let sent else { return false }
        func opaque(_ text: Substring) -> Substring { text.hasPrefix("W/") ? text.dropFirst(2) : text }
        return sent.split(separator: ",").contains { entry in
            var entry = entry
            while entry.first == " " || entry.first == "\t" { entry.removeFirst() }
            while entry.last == " " || entry.last == "\t" { entry.removeLast() }
            return entry == "*" || opaque(entry) == opaque(tag[...])
        }
    }
}

extension Problem {
    private static func words(_ route: MarketRoute) -> String {
        "\(route.cache.market) of \(route.cache.exchange)"
    }

    static func unplaced(_ route: MarketRoute) -> Problem {
        .unavailable(.noReplicaPlaced, "\(words(route)) has no copy on any worker yet")
    }

    static func outOfSync(_ route: MarketRoute, _ reason: String) -> Problem {
        .unavailable(.notSynchronized, "\(words(route)) is out of sync: \(reason)")
    }

    static func behind(_ route: MarketRoute, _ id: Int64, wanted: Int64) -> Problem {
        Problem(
            status: 409, id: .behind, detail: "\(words(route)) stands at update id \(id), before \(wanted)",
            members: [Member(name: "update_id", value: JSONFragment(Int(id)))],
            headers: [HTTPHeader("retry-after", "1")])
    }

    static func unreachable(
        _ route: MarketRoute, _ failures: [ReplicaFailure], _ replicas: [ReplicaRoute]
    ) -> Problem {
        let workers = failures.map { failure in
            JSONFragment([
                ("worker", JSONFragment(replicas[failure.index].workerName)),
                ("reason", JSONFragment(failure.detail)),
            ])
        }
        return .unavailable(
            .noWorkerReachable, "No worker that keeps \(words(route)) has answered",
            [Member(name: "workers", value: JSONFragment(workers))])
    }
}

extension RequestOutcome {
    init(status: Int) {
        self =
            switch status {
            case ..<400: .ok
            case 400: .badRequest
            case 404: .notFound
            case ..<500: .refused
            default: .unavailable
            }
    }
}
