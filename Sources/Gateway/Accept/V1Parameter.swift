internal import DepthCacheAPI
internal import K8sClient

/// One value that a request of `/v1` may carry: the one place that says how it is written, checked and documented.
struct V1Parameter: Sendable {
    enum Place: String, Sendable {
        case path, query, body
    }
    enum Kind: Sendable {
        case exchange
        case market
        /// Markets with commas between them, or `all`.
        case markets
        case whole(ClosedRange<Int64>)
        case volume
    }
    var name: String
    var place: Place
    var kind: Kind
    var isRequired = false
    var about: String
    var example: JSONValue

    static let mostMarkets = 1000
    private static let wholeDigits = 20
    private static let decimals = 18

    /// What was expected, in words.
    func expected(_ known: MarketDirectory) -> String {
        switch kind {
        case .exchange: "one of \(known.exchanges.joined(separator: ", "))"
        case .market: "a market of 1 to \(SpecBounds.nameLength.upperBound) characters"
        case .markets:
            "all, or 1 to \(Self.mostMarkets) markets of 1 to \(SpecBounds.nameLength.upperBound) characters with commas between them"
        case .whole(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .volume:
            "a decimal number of at most \(Self.wholeDigits) digits before and \(Self.decimals) behind the point, such as 1500.50"
        }
    }

    /// Its schema in the OpenAPI document.
    func schema(_ known: MarketDirectory) -> JSONValue {
        switch kind {
        case .exchange: ["type": "string", "enum": .array(known.exchanges.map { .string($0) })]
        case .market:
            ["type": "string", "minLength": 1, "maxLength": .int(Int64(SpecBounds.nameLength.upperBound))]
        case .markets:
            [
                "type": "array", "minItems": 1, "maxItems": .int(Int64(Self.mostMarkets)),
                "items": [
                    "type": "string", "minLength": 1,
                    "maxLength": .int(Int64(SpecBounds.nameLength.upperBound)), "pattern": "^[^,]+$",
                ],
            ]
        case .whole(let range):
            [
                "type": "integer", "format": "int64", "minimum": .int(range.lowerBound),
                "maximum": .int(range.upperBound),
            ]
        case .volume:
            ["type": "string", "pattern": "^[0-9]{1,\(Self.wholeDigits)}(\\.[0-9]{1,\(Self.decimals)})?$"]
        }
    }

    /// The value of `text`, or nil if it is not what was expected.
    func value(_ text: String, _ known: MarketDirectory) -> V1Value? {
        switch kind {
        case .exchange: known.problem(exchange: text) == nil ? .text(text) : nil
        case .market: Self.isMarket(text) ? .text(text) : nil
        case .markets:
            Self.markets(text).map { .texts($0) }
        case .whole(let range):
            Int64(text).flatMap { range.contains($0) ? .whole($0) : nil }
        case .volume: Self.isDecimal(text) ? NumberText.threshold(text).map { .volume($0) } : nil
        }
    }

    /// The value of a member of a JSON body, where numbers are numbers.
    func value(_ json: JSONValue, _ known: MarketDirectory) -> V1Value? {
        switch kind {
        case .whole(let range):
            // 2.0 is a whole number to JSON.
            guard let number = json.number ?? json.double.flatMap({ Int64(exactly: $0) }),
                range.contains(number)
            else { return nil }
            return .whole(number)
        default: return json.text.flatMap { value($0, known) }
        }
    }

    private static func isMarket(_ text: String) -> Bool {
        SpecBounds.nameLength.contains(text.unicodeScalars.count)
    }

    /// Each once, in the order in which they were sent.
    private static func markets(_ text: String) -> [String]? {
        let sent = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard sent.allSatisfy(isMarket) else { return nil }
        var seen: Set<String> = []
        let markets = sent.filter { seen.insert($0.asciiUppercased).inserted }
        return markets.count <= mostMarkets ? markets : nil
    }

    private static func isDecimal(_ text: String) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.allSatisfy({ $0.allSatisfy { (0x30...0x39).contains($0) } }), let whole = parts.first,
            (1...wholeDigits).contains(whole.count)
        else { return false }
        return parts.count == 1 || (parts.count == 2 && (1...decimals).contains(parts[1].count))
    }
}

enum V1Value: Sendable, Equatable {
    case text(String)
    case texts([String])
    case whole(Int64)
    case volume(VolumeThreshold)
}

/// The checked values of a request, by name.
struct V1Values: Sendable {
    private var values: [String: V1Value] = [:]

    func text(_ name: String) -> String? {
        if case .text(let text)? = values[name] { text } else { nil }
    }
    func texts(_ name: String) -> [String]? {
        if case .texts(let texts)? = values[name] { texts } else { nil }
    }
    func whole(_ name: String) -> Int64? {
        if case .whole(let number)? = values[name] { number } else { nil }
    }
    var threshold: VolumeThreshold {
        if case .volume(let volume)? = values["threshold"] { volume } else { .none }
    }
    var exchange: String { text("exchange") ?? "" }
    var market: String { text("market") ?? "" }
    var key: MarketKey { MarketKey(exchange: exchange, market: market) }

    /// Checks everything that was sent against the operation's table; nothing unknown and nothing twice.
    init(
        _ operation: V1Operation, path: V1Path, query: QueryString, body: [UInt8], _ known: MarketDirectory
    ) throws(Problem) {
        func parameter(_ name: String, in place: V1Parameter.Place) throws(Problem) -> V1Parameter {
            let here = operation.parameters.filter { $0.place == place }
            if let found = here.first(where: { $0.name == name }) { return found }
            let names = here.map(\.name).joined(separator: ", ")
            throw Problem.parameter(
                name, expected: here.isEmpty ? "no parameter" : "only \(names)", was: name,
                operation.parameterError)
        }
        for (name, text) in path.values {
            let found = try parameter(name, in: .path)
            try put(found, found.value(text, known), was: text, known, operation)
        }
        for (name, text) in query.all {
            let found = try parameter(name, in: .query)
            guard values[name] == nil else {
                throw Problem.parameter(
                    name, expected: "to be sent once", was: text, operation.parameterError)
            }
            try put(found, found.value(text, known), was: text, known, operation)
        }
        if operation.hasBody {
            guard let json = try? JSONValue(parsing: body), let fields = json.fields else {
                throw Problem.parameter(
                    "body", expected: "a JSON object", was: String(decoding: body, as: UTF8.self),
                    operation.parameterError)
            }
            for (name, value) in fields.sorted(by: { $0.key < $1.key }) {
                let found = try parameter(name, in: .body)
                try put(found, found.value(value, known), was: value.text ?? value.rendered, known, operation)
            }
        }
        for parameter in operation.parameters where parameter.isRequired && values[parameter.name] == nil {
            throw Problem.missing(
                parameter.name, expected: parameter.expected(known), operation.parameterError)
        }
    }

    private mutating func put(
        _ parameter: V1Parameter, _ value: V1Value?, was: String, _ known: MarketDirectory,
        _ operation: V1Operation
    ) throws(Problem) {
        guard let value else {
            throw Problem.parameter(
                parameter.name, expected: parameter.expected(known), was: was, operation.parameterError)
        }
        values[parameter.name] = value
    }
}
