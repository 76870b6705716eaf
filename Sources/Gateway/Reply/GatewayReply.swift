internal import Transport

/// A finished answer, before it becomes HTTP.
struct GatewayReply: Sendable, Equatable {
    var status = 200
    var body: [UInt8]
    /// The methods that would have been allowed, for 405.
    var allow: String?
    var contentType = "application/json"
    /// Besides type and length.
    var headers: [HTTPHeader] = []
    /// What became of the request, for the logs; why, if it is not what was asked for.
    var outcome = RequestOutcome.ok
    var reason = ""

    static let notFound = GatewayReply(status: 404, body: Array(#"{"detail":"Not Found"}"#.utf8))

    static func methodNotAllowed(_ allowed: [String]) -> GatewayReply {
        GatewayReply(
            status: 405, body: Array(#"{"detail":"Method Not Allowed"}"#.utf8),
            allow: allowed.joined(separator: ", "))
    }

    static func forbidden(_ reason: String) -> GatewayReply {
        GatewayReply(status: 403, body: JSONFragment([("detail", JSONFragment(reason))]).bytes)
    }
}

/// How a request ended, as a closed set for metrics.
enum RequestOutcome: String, CaseIterable, Sendable {
    case ok, failover, outOfSync = "out_of_sync", unreachable, notFound = "not_found", badRequest =
        "bad_request"
    case unplaced, apiAway = "api_away", refused, unavailable
}
