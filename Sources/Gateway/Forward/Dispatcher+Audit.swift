internal import DepthCacheAPI

/// `POST /v1/audits`: every replica of a market is compared with the exchange's own book, each by its worker.
extension Dispatcher {
    /// A worker gives up after a minute; the rest is for the way.
    private static let auditTimeout: Duration = .seconds(65)

    func auditBooks(_ values: V1Values, _ reply: @escaping V1Reply) {
        withRoute(values, reply) { [self] route in
            guard !route.replicas.isEmpty else { return reply(Problem.unplaced(route).reply) }
            let query = MarketQuery(exchange: route.cache.exchange, market: route.cache.market).encoded()
            let round = AuditRound(route) { [self] results in
                reply(
                    json(
                        JSONFragment([
                            ("exchange", JSONFragment(route.cache.exchange)),
                            ("market", JSONFragment(route.cache.market)),
                            ("replicas", JSONFragment(results)),
                        ])))
            }
            for (index, replica) in route.replicas.enumerated() {
                guard let link = links[replica.workerUID], link.condition == .up || link.condition == .suspect
                else {
                    let trouble =
                        links[replica.workerUID]?.trouble ?? "its worker has no Lease with an endpoint"
                    round.failed(index, trouble)
                    continue
                }
                link.audit(query, timeout: Self.auditTimeout) { round.take($0, index) }
            }
            round.endIfDone()
        }
    }
}

/// One audit of all replicas of a market on its way; bound to its loop.
private final class AuditRound {
    private let route: MarketRoute
    private var results: [JSONFragment?]
    private var completion: (([JSONFragment]) -> Void)?

    init(_ route: MarketRoute, completion: @escaping ([JSONFragment]) -> Void) {
        self.route = route
        self.completion = completion
        results = Array(repeating: nil, count: route.replicas.count)
    }

    func take(_ result: Result<[UInt8], WorkerLinkError>, _ index: Int) {
        switch result {
        case .failure(let error): failed(index, error.reason)
        case .success(let bytes):
            do {
                switch try AuditAnswer(decoding: bytes) {
                case .compared(let report):
                    note(index, report.isExact ? "exact" : "mismatch", Self.members(report))
                case .unavailable(let reason): failed(index, reason)
                case .notHere: failed(index, "the worker keeps no replica of the market")
                case .badRequest(let message): failed(index, message)
                }
            } catch {
                failed(index, "unreadable answer: \(error)")
            }
        }
        endIfDone()
    }

    func failed(_ index: Int, _ reason: String) {
        note(index, "unavailable", [("reason", JSONFragment(reason))])
    }

    private func note(_ index: Int, _ outcome: String, _ members: Dispatcher.Members) {
        results[index] = JSONFragment(
            [("worker", JSONFragment(route.replicas[index].workerName)), ("outcome", JSONFragment(outcome))]
                + members)
    }

    private static func members(_ report: AuditReport) -> Dispatcher.Members {
        func side(_ side: AuditReport.Side) -> JSONFragment {
            JSONFragment([
                ("match", JSONFragment(Int(side.matched))), ("drift", JSONFragment(Int(side.drifted))),
                ("orphaned", JSONFragment(Int(side.orphaned))), ("missed", JSONFragment(Int(side.missed))),
                ("compared_to", side.comparedTo.isEmpty ? .null : JSONFragment(side.comparedTo)),
            ])
        }
        var members: Dispatcher.Members = [
            ("update_id", JSONFragment(Int(report.updateID))),
            ("duration_ms", JSONFragment(Int(report.durationMilliseconds))), ("asks", side(report.asks)),
            ("bids", side(report.bids)),
        ]
        if !report.dump.isEmpty { members.append(("dump", JSONFragment(report.dump))) }
        return members
    }

    func endIfDone() {
        guard let completion, !results.contains(where: { $0 == nil }) else { return }
        self.completion = nil
        completion(results.compactMap(\.self))
    }
}
