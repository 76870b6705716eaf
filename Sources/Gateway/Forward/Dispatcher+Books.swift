internal import DepthCacheAPI
internal import Transport

/// `GET /v1/books`: many books in one call.
extension Dispatcher {
    /// Levels of one side that one call may ask for, over all its markets.
    static let mostLevels = 200_000

    func getBooks(_ request: GatewayRequest, _ values: V1Values, _ reply: @escaping V1Reply) throws(Problem) {
        let names = values.texts("markets") ?? []
        let isAll = names.count == 1 && names[0].asciiLowercased == "all"
        let wanted = values.text("exchange")
        let limit = Int(values.whole("limit") ?? 1)
        let api = service.directory.apiState
        if isAll || wanted == nil, !api.hasSynced { throw .unread(api) }
        guard !isAll else {
            let key = wanted?.asciiUppercased
            let routes = service.directory.table.ordered.filter {
                key == nil || $0.cache.exchange.asciiUppercased == key
            }
            try Self.check(limit, markets: routes.count)
            return answer(routes, limit, values, request, [], reply)
        }
        guard let exchange = wanted else {
            let (routes, problems) = service.directory.table.everywhere(names)
            try Self.check(limit, markets: routes.count)
            return answer(routes, limit, values, request, problems, reply)
        }
        try Self.check(limit, markets: names.count)
        let keys = names.map { MarketKey(exchange: exchange, market: $0) }
        let table = service.directory.table
        let known = keys.compactMap { table.routes[$0] }
        guard known.count < keys.count else { return answer(known, limit, values, request, [], reply) }
        Task {
            var routes: [MarketRoute] = []
            var problems: [JSONFragment] = []
            let found = await service.directory.lookUp(keys)
            for (name, result) in zip(names, found) {
                switch result {
                case .success(let route?): routes.append(route)
                case .success(nil):
                    problems.append(Self.problem(.notFound(exchange, name), exchange, name))
                case .failure(let error):
                    let problem = Problem(error, what: "\(name) of \(exchange) is not known here")
                    problems.append(Self.problem(problem, exchange, name))
                }
            }
            answer(routes, limit, values, request, problems, reply)
        }
    }

    private static func check(_ limit: Int, markets: Int) throws(Problem) {
        guard limit * markets > mostLevels else { return }
        throw Problem.parameter(
            "limit", expected: "at most \(mostLevels / markets) levels for \(markets) markets",
            was: "\(limit)", .badQueryParameter)
    }

    private func answer(
        _ routes: [MarketRoute], _ limit: Int, _ values: V1Values, _ request: GatewayRequest,
        _ problems: [JSONFragment], _ reply: @escaping V1Reply
    ) {
        let query = BooksQuery(limit: UInt32(clamping: limit), threshold: values.threshold, markets: [])
        gather(routes, query, since: request.start) { results in
            var problems = problems
            var bytes: [UInt8] = []
            bytes.reserveCapacity(64 + results.count * (320 + limit * 64))
            bytes.append(raw: "{\"books\":[")
            let empty = bytes.count
            for (route, result) in zip(routes, results) {
                switch result {
                case .success(let book):
                    if bytes.count > empty { bytes.append(UInt8(ascii: ",")) }
                    bytes.append(book)
                case .failure(let problem):
                    problems.append(Self.problem(problem, route.cache.exchange, route.cache.market))
                }
            }
            bytes.append(raw: "],\"problems\":")
            bytes.append(contentsOf: JSONFragment(problems).bytes)
            bytes.append(UInt8(ascii: "}"))
            reply(GatewayReply(body: bytes[...], headers: [HTTPHeader("cache-control", "no-store")]))
        }
    }

    private static func problem(_ problem: Problem, _ exchange: String, _ market: String) -> JSONFragment {
        problem.fragment([("exchange", JSONFragment(exchange)), ("market", JSONFragment(market))])
    }

    /// Asks each worker for all that it is to answer; what fails there gets a query of its own, with failover.
    private func gather(
        _ routes: [MarketRoute], _ query: BooksQuery, since start: ContinuousClock.Instant,
        completion: @escaping ([Result<ServedBook, Problem>]) -> Void
    ) {
        let gathering = BooksGathering(count: routes.count, completion: completion)
        let alone = { [self] (index: Int) in
            var query = query
            query.markets = [routes[index].query]
            askBook(routes[index], query, since: start) { gathering.take($0, at: index) }
        }
        var shares = WorkerShares()
        var rest: [Int] = []
        for (index, route) in routes.enumerated() {
            if let share = firstChoice(route, among: &shares, at: start) {
                shares.all[share].markets.append(index)
            } else {
                rest.append(index)
            }
        }
        let most = BooksGathering.marketsPerQuery(limit: Int(query.limit))
        for share in shares.all where !share.markets.isEmpty {
            guard let link = share.link, let name = service.directory.table.workers[share.uid]?.name else {
                rest += share.markets
                continue
            }
            let uid = share.uid
            for first in stride(from: 0, to: share.markets.count, by: most) {
                let part = share.markets[first..<min(first + most, share.markets.count)]
                var query = query
                query.markets = part.map { routes[$0].query }
                link.askBooks(query.encoded(), timeout: BookRequest.doubtAfter) { [self] result in
                    for index in gathering.take(result, at: part, from: name) {
                        shun(routes[index], on: uid)
                        alone(index)
                    }
                }
            }
        }
        for index in rest { alone(index) }
        gathering.endIfDone()
    }

    /// Whose turn it is among the copies that seem well, and have not just failed if there are such: the number of a share.
    private func firstChoice(
        _ route: MarketRoute, among shares: inout WorkerShares, at now: ContinuousClock.Instant
    ) -> Int? {
        let count = route.replicas.count
        guard count > 0 else { return nil }
        let turn = Int(UInt(bitPattern: route.nextTurn()) % UInt(count))
        var shunned: Int?
        for offset in 0..<count {
            let replica = route.replicas[(turn + offset) % count]
            guard replica.isRunning else { continue }
            let share = shares.number(of: replica.workerUID) { links[replica.workerUID] }
            guard shares.all[share].isUp else { continue }
            guard ledger.isShunned(replica, at: now) else { return share }
            shunned = shunned ?? share
        }
        return shunned
    }

    /// Has a copy that was asked for together with others asked last for a while.
    private func shun(_ route: MarketRoute, on worker: String) {
        guard let replica = route.replicas.first(where: { $0.workerUID == worker }) else { return }
        ledger.shun(replica, at: .now)
    }
}

extension RoutingTable {
    /// The books of these markets on whatever exchange, and a problem for each market that has none.
    fileprivate func everywhere(_ names: [String]) -> ([MarketRoute], [JSONFragment]) {
        let routes = Dictionary(grouping: ordered, by: { $0.cache.market.asciiUppercased })
        var problems: [JSONFragment] = []
        let found = names.flatMap { (name) -> [MarketRoute] in
            if let found = routes[name.asciiUppercased] { return found }
            let problem = Problem(status: 404, id: .notFound, detail: "There is no DepthCache for \(name)")
            problems.append(problem.fragment([("market", JSONFragment(name))]))
            return []
        }
        return (found, problems)
    }
}

extension MarketRoute {
    /// How workers are asked for it.
    var query: MarketQuery { MarketQuery(exchange: cache.exchange, market: cache.market) }
}

extension [UInt8] {
    /// A book and who served it, spliced before its last brace.
    fileprivate mutating func append(_ book: ServedBook) {
        unsafe book.json.withUnsafeBufferPointer {
            unsafe append(contentsOf: UnsafeBufferPointer(rebasing: $0.dropLast()))
        }
        append(raw: ",\"worker\":")
        append(json: book.worker)
        if let failover = book.failover {
            append(raw: ",\"failover\":")
            append(json: failover)
        }
        append(UInt8(ascii: "}"))
    }
}
