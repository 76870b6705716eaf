internal import Transport

/// A finished answer, before it becomes HTTP.
struct GatewayReply: Sendable, Equatable {
    var status: Int
    /// Part of what a worker sent, where it is a book: not copied.
    var body: ArraySlice<UInt8>
    /// The methods that would have been allowed, for 405.
    var allow: String?
    var contentType: String
    /// Besides type and length.
    var headers: [HTTPHeader]
    /// What became of the request, for the logs; why, if it is not what was asked for.
    var outcome: RequestOutcome
    var reason: String

    init(
        status: Int = 200, body: ArraySlice<UInt8>, allow: String? = nil,
        contentType: String = "application/json",
        headers: [HTTPHeader] = [], outcome: RequestOutcome = .ok, reason: String = ""
    ) {
        self.status = status
        self.body = body
        self.allow = allow
        self.contentType = contentType
        self.headers = headers
        self.outcome = outcome
        self.reason = reason
    }

    static let notFound = GatewayReply(status: 404, body: Array(#"{"detail":"Not Found"}"#.utf8)[...])

    static func methodNotAllowed(_ allowed: [String]) -> GatewayReply {
        GatewayReply(
            status: 405, body: Array(#"{"detail":"Method Not Allowed"}"#.utf8)[...],
            allow: allowed.joined(separator: ", "))
    }

    static func forbidden(_ reason: String) -> GatewayReply {
        GatewayReply(status: 403, body: JSONFragment([("detail", JSONFragment(reason))]).bytes[...])
    }
}

/// How a request ended, as a closed set for metrics.
enum RequestOutcome: Int, CaseIterable, Sendable {
    case ok, failover, outOfSync, unreachable, notFound, badRequest, unplaced, apiAway, refused, unavailable

    var label: String {
        switch self {
        case .ok: "ok"
        case .failover: "failover"
        case .outOfSync: "out_of_sync"
        case .unreachable: "unreachable"
        case .notFound: "not_found"
        case .badRequest: "bad_request"
        case .unplaced: "unplaced"
        case .apiAway: "api_away"
        case .refused: "refused"
        case .unavailable: "unavailable"
        }
    }
}
