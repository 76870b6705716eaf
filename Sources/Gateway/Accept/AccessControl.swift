internal import DepthCacheAPI
internal import Telemetry
internal import Transport

/// Who may do what: everybody up to a scope, and whoever has a token what that is for.
struct AccessControl: Sendable {
    /// What needs no token.
    var anonymous: AccessScope
    var tokens = Guarded(TokenList())

    /// Why the request is refused; nil lets it pass.
    ///
    /// The header is only looked at where a token is needed.
    func refusal(_ needed: AccessScope, authorization: () -> String?) -> AccessRefusal? {
        guard needed > anonymous else { return nil }
        guard let token = authorization().flatMap(Self.token) else { return .noToken(needed) }
        let scope = tokens.withLock { $0 }.scope(of: token)
        if scope >= needed { return nil }
        return scope == .none ? .unknownToken(needed) : .tooLittle(needed)
    }

    /// The token of `Bearer TOKEN`.
    private static func token(_ header: String) -> Substring? {
        let words = header.split(separator: " ")
        guard words.count == 2, String(words[0]).asciiLowercased == "bearer" else { return nil }
        return words[1]
    }
}

/// Why a request is not allowed, after RFC 6750.
enum AccessRefusal: Equatable, Sendable {
    case noToken(AccessScope)
    case unknownToken(AccessScope)
    case tooLittle(AccessScope)

    var status: Int { if case .tooLittle = self { 403 } else { 401 } }

    var words: String {
        switch self {
        case .noToken(let scope): "this needs a token that may \(scope): send 'Authorization: Bearer TOKEN'"
        case .unknownToken: "this gateway does not know the token"
        case .tooLittle(let scope): "the token may not \(scope)"
        }
    }

    private var challenge: HTTPHeader {
        let text =
            switch self {
            case .noToken(let scope): "Bearer realm=\"fathom\", scope=\"\(scope)\""
            case .unknownToken: "Bearer realm=\"fathom\", error=\"invalid_token\""
            case .tooLittle(let scope):
                "Bearer realm=\"fathom\", error=\"insufficient_scope\", scope=\"\(scope)\""
            }
        return HTTPHeader("www-authenticate", text)
    }

    /// The answer of `/v1`.
    var problem: Problem {
        Problem(status: status, id: .tokenNeeded, detail: words, headers: [challenge])
    }

    /// The answer of the other endpoints: the peer's envelope, with a status that every client takes for a refusal.
    func envelope(_ event: String) -> GatewayReply {
        GatewayReply(
            status: status, body: Envelope.render(Envelope.error(.tokenNeeded, event, words)),
            headers: [challenge])
    }
}
