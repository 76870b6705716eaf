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
            let list = service.directory.table.list(of: wanted)
            try Self.check(limit, markets: list.routes.count)
            return answer(list, limit, values, request, [], reply)
        }
        guard let exchange = wanted else {
            let (routes, problems) = service.directory.table.everywhere(names)
            try Self.check(limit, markets: routes.count)
            return answer(BooksList(routes), limit, values, request, problems, reply)
        }
        try Self.check(limit, markets: names.count)
        let keys = names.map { MarketKey(exchange: exchange, market: $0) }
        let table = service.directory.table
        let known = keys.compactMap { table.routes[$0] }
        guard known.count < keys.count else {
            return answer(BooksList(known), limit, values, request, [], reply)
        }
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
            answer(BooksList(routes), limit, values, request, problems, reply)
        }
    }

    private static func check(_ limit: Int, markets: Int) throws(Problem) {
        guard limit * markets > mostLevels else { return }
        throw Problem.parameter(
            "limit", expected: "at most \(mostLevels / markets) levels for \(markets) markets",
            was: "\(limit)", .badQueryParameter)
    }

    private func answer(
        _ list: BooksList, _ limit: Int, _ values: V1Values, _ request: GatewayRequest,
        _ problems: [JSONFragment], _ reply: @escaping V1Reply
    ) {
        let query = BooksQuery(limit: UInt32(clamping: limit), threshold: values.threshold, markets: [])
        gather(list, query, since: request.start) { gathered in
            var problems = problems
            for (index, problem) in gathered.problems.sorted(by: { $0.key < $1.key }) {
                let cache = list.routes[index].cache
                problems.append(Self.problem(problem, cache.exchange, cache.market))
            }
            let told = JSONFragment(problems).bytes
            var bytes: [UInt8] = []
            bytes.reserveCapacity(64 + gathered.byteCount + told.count)
            bytes.append(raw: "{\"books\":[")
            gathered.append(to: &bytes)
            bytes.append(raw: "],\"problems\":")
            bytes.append(contentsOf: told)
            bytes.append(UInt8(ascii: "}"))
            reply(GatewayReply(body: bytes[...], headers: [HTTPHeader("cache-control", "no-store")]))
        }
    }

    private static func problem(_ problem: Problem, _ exchange: String, _ market: String) -> JSONFragment {
        problem.fragment([("exchange", JSONFragment(exchange)), ("market", JSONFragment(market))])
    }

    /// Asks each worker for all that it is to answer; what fails there gets a query of its own, with failover.
    private func gather(
        _ list: BooksList, _ query: BooksQuery, since start: ContinuousClock.Instant,
        completion: @escaping (BooksGathering) -> Void
    ) {
        let gathering = BooksGathering(count: list.routes.count, completion: completion)
        let alone = { [self] (index: Int) in
            let route = list.routes[index]
            var query = query
            query.markets = [MarketQuery(exchange: route.cache.exchange, market: route.cache.market)]
            askBook(route, query, since: start) { gathering.take($0, at: index) }
        }
        let ends = list.workers.map { uid -> (link: any WorkerLink, name: String)? in
            guard let link = links[uid], link.condition == .up,
                let name = service.directory.table.workers[uid]?.name
            else { return nil }
            return (link, name)
        }
        let isUp = ends.map { $0 != nil }
        bookCalls &+= 1
        var shares = [[Int]](repeating: [], count: ends.count)
        var rest: [Int] = []
        for index in list.routes.indices {
            if let worker = firstChoice(index, of: list, bookCalls, isUp, at: start) {
                shares[worker].append(index)
            } else {
                rest.append(index)
            }
        }
        let most = BooksGathering.marketsPerQuery(limit: Int(query.limit))
        for ((end, uid), share) in zip(zip(ends, list.workers), shares) {
            guard let end else { continue }
            for first in stride(from: 0, to: share.count, by: most) {
                let part = share[first..<min(first + most, share.count)]
                let question = list.question(query, for: part)
                end.link.askBooks(question, timeout: BookRequest.doubtAfter) { [self] result in
                    for index in gathering.take(result, at: part, from: end.name) {
                        shun(list.routes[index], on: uid)
                        alone(index)
                    }
                }
            }
        }
        for index in rest { alone(index) }
        gathering.endIfDone()
    }

    /// Whose turn it is among the copies whose links are up: one that runs and has not just failed if there is such, else one
    /// that runs, else any, since the word that a copy runs comes later than the copy; the number of its worker.
    private func firstChoice(
        _ market: Int, of list: BooksList, _ call: Int, _ isUp: [Bool], at now: ContinuousClock.Instant
    ) -> Int? {
        let copies = list.copies(of: market)
        let turn = list.turn(of: market, in: call)
        var (shunned, idle): (Int?, Int?)
        for offset in 0..<copies.count {
            let place = (turn + offset) % copies.count
            let copy = copies[copies.startIndex + place]
            guard isUp[copy.worker] else { continue }
            guard copy.isRunning else {
                idle = idle ?? copy.worker
                continue
            }
            if ledger.isClear || !ledger.isShunned(list.routes[market].replicas[place], at: now) {
                return copy.worker
            }
            shunned = shunned ?? copy.worker
        }
        return shunned ?? idle
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
