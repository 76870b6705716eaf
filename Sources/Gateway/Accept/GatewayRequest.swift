internal import DepthCacheAPI

/// An accepted request, independent of the server that received it.
///
/// A class, since every step of the way of a request holds it.
final class GatewayRequest: Sendable {
    let method: String
    let path: String
    let query: QueryString
    /// The query as sent; a part of the request's head, which is not copied.
    let rawQuery: ArraySlice<UInt8>
    let scheme: String
    let host: String?
    /// Where the request comes from, for the log.
    let client: String
    let ifNoneMatch: String?
    let body: [UInt8]
    let start: ContinuousClock.Instant

    init(
        method: String, path: String, rawQuery: ArraySlice<UInt8>, scheme: String = "http",
        host: String? = nil, client: String = "", ifNoneMatch: String? = nil, body: [UInt8] = [],
        start: ContinuousClock.Instant = .now, query: QueryString? = nil
    ) {
        self.method = method
        self.path = path
        self.rawQuery = rawQuery
        self.query = query ?? QueryString(rawQuery)
        self.scheme = scheme
        self.host = host
        self.client = client
        self.ifNoneMatch = ifNoneMatch
        self.body = body
        self.start = start
    }

    /// The same, but its URL is shown without the query.
    func hidingQuery() -> GatewayRequest {
        GatewayRequest(
            method: method, path: path, rawQuery: [], scheme: scheme, host: host, client: client,
            ifNoneMatch: ifNoneMatch, body: body, start: start, query: query)
    }

    /// The URL as the client may have written it.
    var url: String {
        let tail = rawQuery.isEmpty ? "" : "?" + String(decoding: rawQuery, as: UTF8.self)
        return "\(scheme)://\(host ?? "localhost")\(path)\(tail)"
    }

    /// A parameter that is absent when it is the literal `None`.
    func text(_ name: StaticString) -> String? {
        guard let value = query.last(name), value != "None" else { return nil }
        return value
    }

    var wantsDebug: Bool { query.last("debug")?.asciiLowercased == "true" }

    /// Exchange and market of the query, or which of them are missing or empty.
    func marketKey() throws(ParameterProblem) -> (exchange: String, market: String) {
        let exchange = text("exchange") ?? ""
        let market = text("market") ?? ""
        let missing = (exchange.isEmpty ? ["exchange"] : []) + (market.isEmpty ? ["market"] : [])
        guard missing.isEmpty else { throw ParameterProblem(missing: missing) }
        return (exchange, market)
    }

    /// The book query behind `/get_asks` and `/get_bids`.
    func bookQuery(_ side: BookSide) throws(ParameterProblem) -> BookQuery {
        let (exchange, market) = try marketKey()
        var query = BookQuery(exchange: exchange, market: market, side: side)
        if let limit = text("limit_count") {
            guard let number = NumberText.integer(limit) else {
                throw ParameterProblem(name: "limit_count", expected: "a whole number", was: limit)
            }
            query.limitCount = number
        }
        if let threshold = text("threshold_volume") {
            guard let volume = NumberText.threshold(threshold) else {
                throw ParameterProblem(name: "threshold_volume", expected: "a decimal number", was: threshold)
            }
            query.threshold = volume
        }
        return query
    }
}

/// A parameter that is missing or cannot be read, in words for the client.
struct ParameterProblem: Error, Equatable, CustomStringConvertible {
    let description: String
    let isMissing: Bool

    init(missing names: [String]) {
        description = "Missing required parameter: \(names.joined(separator: ", "))"
        isMissing = true
    }

    init(name: String, expected: String, was: String) {
        let shown = was.count > 80 ? was.prefix(80) + "…" : was[...]
        description = "Invalid parameter \(name): expected \(expected), was '\(shown)'"
        isMissing = false
    }
}
