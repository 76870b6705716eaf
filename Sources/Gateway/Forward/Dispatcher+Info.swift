internal import DepthCacheAPI

/// What the workers of one market say of their books, gathered within a deadline; bound to the loop.
final class InfoRequest {
    /// A worker that does not answer in this time is left out.
    static let deadline: Duration = .milliseconds(800)

    private var awaited: Int
    private var found: [String: JSONFragment] = [:]
    private let completion: ([String: JSONFragment]) -> Void

    init(awaited: Int, completion: @escaping ([String: JSONFragment]) -> Void) {
        self.awaited = awaited
        self.completion = completion
        if awaited == 0 { completion([:]) }
    }

    /// Takes the answer of the worker with this uid.
    func take(_ result: Result<[UInt8], WorkerLinkError>, from worker: String) {
        if case .success(let payload) = result, case .served(let json)? = try? BookAnswer(decoding: payload) {
            found[worker] = JSONFragment(bytes: Array(json))
        }
        awaited -= 1
        if awaited == 0 { completion(found) }
    }
}

extension Dispatcher {
    /// Asks all workers that hold the market how their books stand, and calls back on the loop.
    func describe(_ route: MarketRoute, completion: @escaping ([String: JSONFragment]) -> Void) {
        let query = MarketQuery(exchange: route.cache.exchange, market: route.cache.market).encoded()
        let holders = route.replicas.compactMap { replica in
            links[replica.workerUID].map { (replica.workerUID, $0) }
        }.filter { $0.1.condition == .up }
        let gathering = InfoRequest(awaited: holders.count, completion: completion)
        for (worker, link) in holders {
            link.describe(query, timeout: InfoRequest.deadline) { gathering.take($0, from: worker) }
        }
    }
}
