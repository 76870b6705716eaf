internal import Glibc
internal import Telemetry
internal import Transport

/// What is written down about requests: what went wrong always, all else at the level debug or where it is asked for.
///
/// Of a URL only the path: a query may carry what nobody may read.
struct RequestJournal: Sendable {
    private static let log = Log("requests")
    /// What goes wrong with every request is written ten times a second; the rest is counted.
    private static let limit = LogLimit(perSecond: 10)

    /// Whether every request is written down.
    var writesAll: Bool
    private let ids: RequestIDs

    init(writesAll: Bool = false, prefix: String) {
        self.writesAll = writesAll
        ids = RequestIDs(prefix: prefix)
    }

    /// Writes the answer down if need be; the id that it is to carry, nil if nothing is said about it anywhere.
    ///
    /// An id of ours is made only where there is something to find by it.
    func note(_ answer: GatewayReply, to request: GatewayRequest, _ sentID: String?) -> String? {
        let isTrouble = answer.outcome.isTrouble
        let writes = writesAll || isTrouble || LogSettings.allows(.debug)
        guard writes || sentID != nil || answer.status >= 400 else { return nil }
        let id = sentID ?? ids.next()
        guard writes, !isTrouble || writesAll || passes() else { return id }
        let took = request.start.duration(to: .now)
        let milliseconds = Double(took / .microseconds(1)).rounded() / 1000
        let reason = answer.reason
        let fields: KeyValuePairs<String, String> = [
            "request_id": id, "client": request.client, "method": request.method,
            "path": String(request.path.prefix(200)), "status": "\(answer.status)",
            "outcome": answer.outcome.label, "bytes": "\(answer.body.count)",
            "milliseconds": "\(milliseconds)", "reason": String(reason.prefix(1000)),
        ]
        if isTrouble {
            Self.log.warning("Request failed, in part or whole", fields)
        } else if writesAll {
            Self.log.info("Request answered", fields)
        } else {
            Self.log.debug("Request answered", fields)
        }
        return id
    }

    private func passes() -> Bool {
        var now = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &now)
        let (mayWrite, suppressed) = Self.limit.pass(second: Int64(now.tv_sec))
        if suppressed > 0 {
            Self.log.warning("More requests failed than are written down", ["suppressed": "\(suppressed)"])
        }
        return mayWrite
    }
}

extension RequestOutcome {
    /// Whether the cluster fell short: somebody may want to know why, later.
    var isTrouble: Bool {
        switch self {
        case .ok, .notFound, .badRequest, .refused, .unplaced: false
        case .failover, .outOfSync, .unreachable, .apiAway, .unavailable: true
        }
    }
}
