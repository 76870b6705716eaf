import YAML

/// What is wrong with an exchanges file: each text names the exchange and the key.
package struct ExchangeFileError: Error, Equatable, Sendable, CustomStringConvertible {
    package var problems: [String]

    init(_ problems: [String]) { self.problems = problems }
    init(description: String) { problems = [description] }

    package var description: String { problems.joined(separator: "; ") }
}

/// What the override file may say about an exchange; described in `docs/exchanges.md`.
package enum ExchangeSetting: String, CaseIterable, Sendable {
    case restBaseURL, webSocketBaseURL, marketListBaseURL, caFile, snapshotLimits, weightPerMinute,
        streamsPerConnection, messagesPerSecond
}

extension ExchangeDirectory {
    /// The documented exchanges, changed by a YAML file: a mapping from exchange names to the keys that differ.
    package init(overridesYAML bytes: [UInt8]) throws(ExchangeFileError) {
        self.init()
        let value: YAMLValue
        do {
            value = try YAML.parse(bytes)
        } catch {
            throw ExchangeFileError(description: "expected YAML: \(error)")
        }
        if value.isNull { return }
        guard let entries = value.entries else {
            throw ExchangeFileError(
                description: "expected a mapping from exchange names to settings, was another value")
        }
        var problems: [String] = []
        for entry in entries {
            guard self[name: entry.key] != nil else {
                problems.append("expected one of \(names.joined(separator: ", ")), was '\(entry.key)'")
                continue
            }
            guard let settings = entry.value.entries else {
                problems.append("\(entry.key): expected a mapping, was another value")
                continue
            }
            for setting in settings {
                guard let key = ExchangeSetting(rawValue: setting.key) else {
                    let known = ExchangeSetting.allCases.map(\.rawValue).joined(separator: ", ")
                    problems.append(
                        "\(entry.key).\(setting.key): expected one of \(known), was '\(setting.key)'")
                    continue
                }
                do { try override(entry.key, key, setting.value) } catch { problems += error.problems }
            }
            let ownList = settings.first { $0.key == ExchangeSetting.marketListBaseURL.rawValue }
            if ownList == nil, settings.contains(where: { $0.key == ExchangeSetting.restBaseURL.rawValue }) {
                // Who sends the books elsewhere does not want the list from the documented host.
                update(entry.key) { if $0.marketListBaseURL != nil { $0.marketListBaseURL = $0.restBaseURL } }
            }
        }
        guard problems.isEmpty else { throw ExchangeFileError(problems) }
    }

    private mutating func override(
        _ name: String, _ key: ExchangeSetting, _ value: YAMLValue
    ) throws(ExchangeFileError) {
        let place = "\(name).\(key.rawValue)"
        switch key {
        case .restBaseURL:
            let url = try Self.url(value, place, schemes: ["https://", "http://"])
            update(name) { $0.restBaseURL = url }
        case .webSocketBaseURL:
            let url = try Self.url(value, place, schemes: ["wss://", "ws://"])
            update(name) { $0.webSocketBaseURL = url }
        case .marketListBaseURL:
            guard self[name: name]?.marketListBaseURL != nil else {
                throw ExchangeFileError(
                    description:
                        "\(place): expected only for trbinance.com, others list markets in exchangeInfo")
            }
            let url = try Self.url(value, place, schemes: ["https://", "http://"])
            update(name) { $0.marketListBaseURL = url }
        case .caFile:
            guard let path = value.text, !path.isEmpty else {
                throw ExchangeFileError(description: "\(place): expected a path, was another value")
            }
            update(name) { $0.caFile = path }
        case .snapshotLimits:
            let limits = try Self.limits(value, place)
            update(name) { exchange in
                exchange.snapshotLimits = limits.map {
                    Exchange.SnapshotLimit(levels: $0, weight: exchange.snapshotWeight(limit: $0))
                }
            }
        case .weightPerMinute:
            let number = try Self.positive(value, place)
            update(name) { ($0.weightPerMinute, $0.isWeightOverridden) = (number, true) }
        case .streamsPerConnection:
            let number = try Self.positive(value, place)
            update(name) { $0.streamsPerConnection = number }
        case .messagesPerSecond:
            let number = try Self.positive(value, place)
            update(name) { $0.messagesPerSecond = number }
        }
    }

    private static func url(
        _ value: YAMLValue, _ place: String, schemes: [String]
    ) throws(ExchangeFileError) -> String {
        guard let text = value.text, schemes.contains(where: { text.hasPrefix($0) && text != $0 }) else {
            throw ExchangeFileError(
                description: "\(place): expected a URL that starts with \(schemes[0]), was another value")
        }
        return text.hasSuffix("/") ? String(text.dropLast()) : text
    }

    private static func positive(_ value: YAMLValue, _ place: String) throws(ExchangeFileError) -> Int {
        guard let number = value.number, number > 0, number <= 1_000_000_000 else {
            throw ExchangeFileError(
                description: "\(place): expected a whole number above 0, was another value")
        }
        return Int(number)
    }

    private static func limits(_ value: YAMLValue, _ place: String) throws(ExchangeFileError) -> [Int] {
        guard let elements = value.elements, !elements.isEmpty else {
            throw ExchangeFileError(
                description: "\(place): expected a list of whole numbers, was another value")
        }
        var limits: [Int] = []
        for element in elements { limits.append(try positive(element, place)) }
        return limits.sorted()
    }
}
