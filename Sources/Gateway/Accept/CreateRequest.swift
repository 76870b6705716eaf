internal import DepthCacheAPI
internal import FoundationEssentials
internal import K8sClient

/// The parameters of the two create endpoints, from a query or from a JSON body, checked.
struct CreateRequest: Sendable {
    var specs: [DepthCacheSpec]

    /// Reads `/create_depthcache` or, if `many`, `/create_depthcaches`.
    init(_ request: GatewayRequest, body: JSONValue?, many: Bool, known: MarketDirectory)
        throws(ParameterProblem)
    {
        let source = ParameterSource(request: request, body: body)
        let exchange = try source.text("exchange") ?? ""
        let markets = many ? try source.texts("markets") : try source.text("market").map { [$0] }
        let missing =
            (exchange.isEmpty ? ["exchange"] : [])
            + (markets == nil || (!many && markets == [""]) ? [many ? "markets" : "market"] : [])
        guard missing.isEmpty, let markets else { throw ParameterProblem(missing: missing) }
        let replicas = try source.integer("desired_quantity", SpecBounds.replicas)
        let depth = try source.integer("depth", SpecBounds.depth)
        let interval = try source.integer("update_interval", SpecBounds.updateIntervalMilliseconds)
        let refresh = try source.integer("refresh_interval", SpecBounds.refreshIntervalSeconds)
        if let problem = known.problem(exchange: exchange) { throw problem }
        if let interval, let problem = known.problem(updateInterval: interval, of: exchange) { throw problem }
        var seen: Set<MarketKey> = []
        specs = []
        for market in markets {
            guard SpecBounds.nameLength.contains(market.unicodeScalars.count) else {
                throw ParameterProblem(
                    name: many ? "markets" : "market", expected: "1 to 64 characters", was: market)
            }
            if let problem = known.problem(market: market, of: exchange) { throw problem }
            let spec = DepthCacheSpec(
                exchange: exchange, market: market, replicas: replicas ?? SpecBounds.defaultReplicas,
                depth: depth ?? SpecBounds.defaultDepth, updateIntervalMilliseconds: interval,
                refreshIntervalSeconds: refresh)
            if seen.insert(spec.key).inserted { specs.append(spec) }
        }
    }
}

/// Gives parameters by name, wherever they were sent.
private struct ParameterSource {
    var request: GatewayRequest
    var body: JSONValue?

    private func value(_ name: StaticString) -> JSONValue? {
        guard let body else { return request.text(name).map { .string($0) } }
        guard let value = body["\(name)"], !value.isNull, value.text != "None" else { return nil }
        return value
    }

    func text(_ name: StaticString) throws(ParameterProblem) -> String? {
        guard let value = value(name) else { return nil }
        guard let text = value.text else {
            throw ParameterProblem(name: "\(name)", expected: "a string", was: value.rendered)
        }
        return text
    }

    /// A JSON array of strings, or one comma-separated string.
    func texts(_ name: StaticString) throws(ParameterProblem) -> [String]? {
        guard let value = value(name) else { return nil }
        if let text = value.text {
            if body == nil, let legacy = Self.legacyTexts(text) { return legacy }
            return text.isEmpty ? nil : text.split(separator: ",").map(String.init)
        }
        var texts: [String] = []
        for element in value.elements ?? [.null] {
            guard let text = element.text else {
                throw ParameterProblem(name: "\(name)", expected: "an array of strings", was: value.rendered)
            }
            texts.append(text)
        }
        return texts
    }

    /// A JSON array of strings in base64, as clients of the peer sent it until their version 2.8.
    private static func legacyTexts(_ text: String) -> [String]? {
        // In a query `+` is a blank.
        guard let data = Data(base64Encoded: text.replacing(" ", with: "+")),
            let elements = try? JSONValue(parsing: Array(data)).elements
        else { return nil }
        let texts = elements.compactMap(\.text)
        return texts.count == elements.count ? texts : nil
    }

    /// An integer, its text, a float (cut) or a bool, as long as it is within the bounds.
    func integer(_ name: StaticString, _ bounds: ClosedRange<Int>) throws(ParameterProblem) -> Int? {
        guard let value = value(name) else { return nil }
        let expected =
            bounds.upperBound >= Int(Int32.max)
            ? "a whole number of at least \(bounds.lowerBound)"
            : "a whole number from \(bounds.lowerBound) to \(bounds.upperBound)"
        let number: Int64? =
            if let text = value.text {
                NumberText.integer(text)
            } else if let bool = value.bool {
                bool ? 1 : 0
            } else if let whole = value.number {
                whole
            } else {
                value.double.flatMap { Int64(exactly: $0.rounded(.towardZero)) }
            }
        guard let number, bounds.contains(Int(number)) else {
            throw ParameterProblem(name: "\(name)", expected: expected, was: value.text ?? value.rendered)
        }
        return Int(number)
    }
}
