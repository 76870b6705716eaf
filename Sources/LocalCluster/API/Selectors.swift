import K8sClient

/// Which objects a list, a watch or a delete of many is about.
struct Selection: Sendable {
    enum Requirement: Sendable {
        case isOneOf(String, [String])
        case isNoneOf(String, [String])
        case exists(String)
        case isAbsent(String)
    }

    var labels: [Requirement] = []
    /// Dotted path, wanted value, whether equality is wanted.
    var fields: [(path: String, value: String, isEqual: Bool)] = []

    init(labelSelector: String?, fieldSelector: String?, for type: ResourceType) throws(StatusError) {
        if let labelSelector { labels = try Self.requirements(labelSelector) }
        for part in (fieldSelector ?? "").split(separator: ",") {
            let isEqual = !part.contains("!=")
            let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard halves.count == 2 else {
                throw .badRequest("invalid selector: '\(part)'; can't understand '\(part)'")
            }
            let path = String(halves[0].filter { $0 != "!" && $0 != " " })
            guard
                ["metadata.name", "metadata.namespace"].contains(path) || type.selectableFields.contains(path)
            else { throw .badRequest("field label not supported: \(path)") }
            fields.append((path, String(halves[1].drop { $0 == "=" }), isEqual))
        }
    }

    func matches(_ object: JSONValue) -> Bool {
        for field in fields {
            let value =
                object.at(field.path.split(separator: ".").map(String.init))
                ?? (field.path == "source" ? object.at("source", "component") : .none)
            let text = value?.text ?? (value == nil || value == .null ? "" : value?.jsonText ?? "")
            guard (text == field.value) == field.isEqual else { return false }
        }
        guard !labels.isEmpty else { return true }
        let present = object.at("metadata", "labels")
        return labels.allSatisfy { requirement in
            switch requirement {
            case .isOneOf(let key, let values): present?[key]?.text.map(values.contains) ?? false
            case .isNoneOf(let key, let values): !(present?[key]?.text.map(values.contains) ?? false)
            case .exists(let key): present?[key] != nil
            case .isAbsent(let key): present?[key] == nil
            }
        }
    }

    private static func requirements(_ text: String) throws(StatusError) -> [Requirement] {
        var result: [Requirement] = []
        for part in split(text) {
            let words = part.split(whereSeparator: { " (),".contains($0) }).map(String.init)
            if words.count >= 2, words[1] == "in" || words[1] == "notin" {
                let values = Array(words.dropFirst(2))
                result.append(words[1] == "in" ? .isOneOf(words[0], values) : .isNoneOf(words[0], values))
            } else if let halves = part.halves(at: "!=") {
                result.append(.isNoneOf(halves.0, [halves.1]))
            } else if let halves = part.halves(at: "==") ?? part.halves(at: "=") {
                result.append(.isOneOf(halves.0, [halves.1]))
            } else if words.count == 1 {
                result.append(
                    words[0].hasPrefix("!") ? .isAbsent(String(words[0].dropFirst())) : .exists(words[0]))
            } else {
                throw .badRequest("unable to parse requirement: \(part)")
            }
        }
        return result
    }

    /// Splits at commas outside of parentheses.
    private static func split(_ text: String) -> [String] {
        var parts: [String] = [""]
        var depth = 0
        for character in text {
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            if character == ",", depth == 0 {
                parts.append("")
            } else {
                parts[parts.count - 1].append(character)
            }
        }
        return parts.filter { !$0.isEmpty }
    }
}

extension String {
    fileprivate func halves(at separator: String) -> (String, String)? {
        guard let range = firstRange(of: separator) else { return nil }
        func trimmed(_ part: Substring) -> String { String(part.filter { $0 != " " }) }
        return (trimmed(self[..<range.lowerBound]), trimmed(self[range.upperBound...]))
    }
}
