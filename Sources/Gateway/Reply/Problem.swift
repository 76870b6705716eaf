internal import DepthCacheAPI
internal import Transport

/// An error of `/v1`: an HTTP status and a body after RFC 9457, with the same error ids as everywhere.
struct Problem: Error, Sendable, Equatable {
    struct Member: Sendable, Equatable {
        var name: String
        var value: JSONFragment
    }

    var status: Int
    var id: ErrorID
    var detail: String
    var members: [Member] = []
    var headers: [HTTPHeader] = []

    /// What each id is called; the same id always has the same type and title.
    private static let kinds: [ErrorID: (slug: String, title: String)] = [
        .notReady: ("not-ready", "The cluster's state has not been read yet"),
        .missingCreateParameter: ("missing-parameter", "A parameter is missing"),
        .creationRefused: ("refused", "The DepthCache is refused"),
        .stopRefused: ("refused", "The DepthCache is not deleted"),
        .alreadyExists: ("already-exists", "The market has a DepthCache"),
        .badQueryParameter: ("bad-parameter", "A parameter is wrong"),
        .unknownPath: ("unknown-path", "There is no such path"),
        .methodNotAllowed: ("method-not-allowed", "The path does not take this method"),
        .forbidden: ("forbidden", "The request is not allowed"),
        .tokenNeeded: ("token-needed", "A token that allows this is needed"),
        .tooManyRequests: ("too-many-requests", "The client asks more often than it may"),
        .noReplicaPlaced: ("not-placed", "No copy of the book is placed yet"),
        .noWorkerReachable: ("unreachable", "No worker that keeps the book answers"),
        .notSynchronized: ("out-of-sync", "No copy of the book is in sync"),
        .behind: ("behind", "No copy has come to min_update_id"),
        .notFound: ("not-found", "There is no such DepthCache"),
        .stateUnavailable: ("kubernetes-unreachable", "The Kubernetes API cannot be reached"),
    ]

    static func parameter(_ name: String, expected: String, was: String, _ id: ErrorID) -> Problem {
        let shown = was.count > 80 ? was.prefix(80) + "…" : was[...]
        return Problem(
            status: 400, id: id, detail: "\(name.prefix(80)): expected \(expected), was '\(shown)'",
            members: [
                Member(name: "parameter", value: JSONFragment(String(name.prefix(80)))),
                Member(name: "expected", value: JSONFragment(expected)),
            ])
    }

    static func missing(_ name: String, expected: String, _ id: ErrorID) -> Problem {
        Problem(
            status: 400, id: id == .creationRefused ? .missingCreateParameter : id,
            detail: "\(name) is missing: expected \(expected)",
            members: [
                Member(name: "parameter", value: JSONFragment(name)),
                Member(name: "expected", value: JSONFragment(expected)),
            ])
    }

    /// Something that will pass: the client may ask again in a second.
    static func unavailable(_ id: ErrorID, _ detail: String, _ members: [Member] = []) -> Problem {
        Problem(
            status: 503, id: id, detail: detail, members: members, headers: [HTTPHeader("retry-after", "1")])
    }

    static func notFound(_ exchange: String, _ market: String) -> Problem {
        Problem(status: 404, id: .notFound, detail: "There is no DepthCache for \(market) of \(exchange)")
    }

    init(
        status: Int, id: ErrorID, detail: String, members: [Member] = [], headers: [HTTPHeader] = []
    ) {
        self.status = status
        self.id = id
        self.detail = detail
        self.members = members
        self.headers = headers
    }

    init(_ error: StoreError, what: String) {
        switch error {
        case .alreadyExists: self.init(status: 409, id: .alreadyExists, detail: "\(what): it already exists")
        case .refused(let reason):
            self.init(status: 422, id: .creationRefused, detail: "\(what): \(reason)")
        case .unavailable(let reason):
            self = .unavailable(.stateUnavailable, "\(what): \(reason)")
        }
    }

    /// The members of the body; `exchange` and `market` are added where many books are asked for.
    func fragment(_ extra: [(String, JSONFragment)] = []) -> JSONFragment {
        let kind = Self.kinds[id] ?? ("unknown", "Something is wrong")
        return JSONFragment(
            [
                ("type", JSONFragment("urn:fathom:problem:\(kind.slug)")),
                ("title", JSONFragment(kind.title)),
                ("status", JSONFragment(status)), ("detail", JSONFragment(detail)),
                ("error_id", JSONFragment(id.rawValue)),
            ] + members.map { ($0.name, $0.value) } + extra)
    }

    var reply: GatewayReply {
        let outcome = RequestOutcome(status: status)
        // What is wrong with a request is told with what was sent, which belongs in no log.
        let reason = outcome.isTrouble ? detail : ""
        return GatewayReply(
            status: status, body: fragment().bytes[...], contentType: "application/problem+json",
            headers: headers, outcome: outcome, reason: reason)
    }
}
