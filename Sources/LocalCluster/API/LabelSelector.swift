/// One requirement of a label selector.
enum LabelRequirement: Equatable, Sendable {
    case isOneOf(String, [String])
    case isNoneOf(String, [String])
    case exists(String)
    case isAbsent(String)
}

/// Reads label selectors as strictly as Kubernetes does: a selector that is misread selects the wrong objects.
struct LabelSelectorParser {
    private var tokens: [String] = []
    private var position = 0

    static func requirements(_ text: String) throws(StatusError) -> [LabelRequirement] {
        var parser = LabelSelectorParser(text)
        return try parser.all()
    }

    private init(_ text: String) {
        var word = ""
        var rest = Array(text)[...]
        func isSpecial(_ character: Character) -> Bool { "(),!=<>".contains(character) }
        while let first = rest.popFirst() {
            if !first.isWhitespace && !isSpecial(first) {
                word.append(first)
                continue
            }
            if !word.isEmpty { tokens.append(word) }
            word = ""
            guard isSpecial(first) else { continue }
            if "!=".contains(first), rest.first == "=" {
                rest.removeFirst()
                tokens.append("\(first)=")
            } else {
                tokens.append(String(first))
            }
        }
        if !word.isEmpty { tokens.append(word) }
    }

    private var next: String? { position < tokens.count ? tokens[position] : nil }

    private func isWord(_ token: String?) -> Bool { token.map { !"(),!=<>".contains($0.prefix(1)) } ?? false }

    private func failure(_ expected: String) -> StatusError {
        .badRequest("unable to parse requirement: found '\(next ?? "")', expected: \(expected)")
    }

    private mutating func take(_ token: String) -> Bool {
        guard next == token else { return false }
        position += 1
        return true
    }

    private mutating func all() throws(StatusError) -> [LabelRequirement] {
        guard next != nil else { return [] }
        var result = [try requirement()]
        while next != nil {
            guard take(",") else { throw failure("',' or 'end of string'") }
            result.append(try requirement())
        }
        return result
    }

    private mutating func requirement() throws(StatusError) -> LabelRequirement {
        let isAbsent = take("!")
        guard isWord(next), let key = next else { throw failure("identifier") }
        guard NameRules.isQualified(key) else {
            throw .badRequest(
                "unable to parse requirement: key: Invalid value: \"\(key)\": must be a qualified name")
        }
        position += 1
        if isAbsent { return .isAbsent(key) }
        guard let sign = next, sign != "," else { return .exists(key) }
        position += 1
        switch sign {
        case "=", "==": return .isOneOf(key, [try value()])
        case "!=": return .isNoneOf(key, [try value()])
        case "in": return .isOneOf(key, try values())
        case "notin": return .isNoneOf(key, try values())
        default:
            position -= 1
            throw failure("in, notin, =, ==, !=")
        }
    }

    /// One value, which may be empty.
    private mutating func value() throws(StatusError) -> String {
        guard let text = next, text != "," else { return "" }
        guard isWord(text) else { throw failure("identifier") }
        position += 1
        guard NameRules.isLabelValue(text) else {
            throw .badRequest(
                "unable to parse requirement: values: Invalid value: \"\(text)\": not a valid label value")
        }
        return text
    }

    private mutating func values() throws(StatusError) -> [String] {
        guard take("(") else { throw failure("'('") }
        var result: [String] = []
        repeat {
            result.append(next == ")" ? "" : try value())
        } while take(",")
        guard take(")") else { throw failure("',' or ')'") }
        return result
    }
}
