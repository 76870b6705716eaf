internal import DepthCacheAPI
internal import Transport

/// Which web pages of other origins may use the answers.
struct CrossOrigin: Sendable {
    private let origins: Set<String>
    private let isAny: Bool

    /// Origins such as `https://board.example`, or `*` for all; nil without any.
    init?(_ origins: [String]) {
        guard !origins.isEmpty else { return nil }
        self.origins = Set(origins.map(\.asciiLowercased))
        isAny = self.origins.contains("*")
    }

    /// Whether this is what a page's origin looks like.
    static func isOrigin(_ text: String) -> Bool {
        if text == "*" { return true }
        guard let scheme = ["https://", "http://"].first(where: { text.asciiLowercased.hasPrefix($0) }) else {
            return false
        }
        let rest = text.dropFirst(scheme.count)
        return !rest.isEmpty
            && rest.utf8.allSatisfy {
                switch $0 {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x3A, 0x5B, 0x5D, 0x5F: true
                default: false
                }
            }
    }

    /// What every answer to a page says; a page that is not allowed gets answers that its browser withholds.
    func headers(origin: String?) -> [HTTPHeader] {
        guard let origin else { return isAny ? [] : [Self.vary] }
        guard isAny || origins.contains(origin.asciiLowercased) else { return [Self.vary] }
        let exposed = HTTPHeader("access-control-expose-headers", "etag, location, retry-after")
        return isAny
            ? [HTTPHeader("access-control-allow-origin", "*"), exposed]
            : [HTTPHeader("access-control-allow-origin", origin), Self.vary, exposed]
    }

    private static let vary = HTTPHeader("vary", "origin")

    /// The answer to a browser that asks beforehand; nil for any other request.
    func preflight(method: String, origin: String?, asksFor: () -> String?) -> GatewayReply? {
        guard method == "OPTIONS", origin != nil, asksFor() != nil else { return nil }
        return GatewayReply(
            status: 204, body: [],
            headers: [
                HTTPHeader("access-control-allow-methods", "GET, HEAD, POST, PATCH, DELETE"),
                HTTPHeader("access-control-allow-headers", "authorization, content-type, if-none-match"),
                HTTPHeader("access-control-max-age", "600"),
            ])
    }
}
