import K8sClient

/// The part of CEL that the embedded API understands: comparisons between fields of `self`, of `oldSelf` and literals,
/// joined by `&&` and `||`.
///
/// A rule outside of it refuses the whole CustomResourceDefinition: better than a rule that silently never runs.
struct ValidationRule: Sendable {
    indirect enum Expression: Sendable {
        case path(root: String, [String])
        case literal(JSONValue)
        case compare(Expression, String, Expression)
        case has([String], root: String)
        case not(Expression)
        case all([Expression])
        case any([Expression])
    }

    let text: String
    let message: String
    let expression: Expression
    /// A rule about change runs only where there is an old value.
    let isTransition: Bool

    init(_ rule: JSONValue, path: String) throws(SchemaError) {
        text = rule["rule"]?.text ?? ""
        message = rule["message"]?.text ?? "failed rule: \(text)"
        do throws(RuleParser.Failure) {
            var parser = try RuleParser(text)
            expression = try parser.expression()
            try parser.finish()
            isTransition = parser.usesOld
        } catch {
            throw SchemaError(
                path,
                "is outside of what this API server can check (comparisons of fields of self and oldSelf), "
                    + "was \"\(text)\": \(error.description)")
        }
    }

    /// The message if the rule does not hold.
    func violation(self value: JSONValue, old: JSONValue?) -> String? {
        if isTransition && old == nil { return nil }
        return holds(expression, value, old) ? nil : message
    }

    private func holds(_ expression: Expression, _ value: JSONValue, _ old: JSONValue?) -> Bool {
        switch expression {
        case .compare(let left, let sign, let right):
            guard let a = operand(left, value, old), let b = operand(right, value, old) else { return false }
            return compare(a, sign, b)
        case .has(let path, let root): return (root == "self" ? value : old)?.at(path) != nil
        case .not(let inner): return !holds(inner, value, old)
        case .all(let parts): return parts.allSatisfy { holds($0, value, old) }
        case .any(let parts): return parts.contains { holds($0, value, old) }
        case .path, .literal: return operand(expression, value, old) == true
        }
    }

    private func operand(_ expression: Expression, _ value: JSONValue, _ old: JSONValue?) -> JSONValue? {
        switch expression {
        case .path("self", let path): value.at(path)
        case .path(_, let path): old?.at(path)
        case .literal(let literal): literal
        default: .none
        }
    }

    private func compare(_ a: JSONValue, _ sign: String, _ b: JSONValue) -> Bool {
        if sign == "==" || sign == "!=" {
            let isEqual = a.real.flatMap { x in b.real.map { x == $0 } } ?? (a == b)
            return isEqual == (sign == "==")
        }
        let order: Int
        if let x = a.real, let y = b.real {
            order = x < y ? -1 : x > y ? 1 : 0
        } else if let x = a.text, let y = b.text {
            order = x < y ? -1 : x > y ? 1 : 0
        } else {
            return false
        }
        switch sign {
        case "<": return order < 0
        case "<=": return order <= 0
        case ">": return order > 0
        default: return order >= 0
        }
    }
}

/// Reads the rule language by recursive descent.
private struct RuleParser {
    struct Failure: Error, CustomStringConvertible { var description: String }

    private var tokens: [String]
    private var position = 0
    private(set) var usesOld = false

    init(_ text: String) throws(Failure) {
        tokens = []
        var rest = Array(text)[...]
        while let first = rest.first {
            if first.isWhitespace {
                rest.removeFirst()
            } else if first == "'" || first == "\"" {
                guard let end = rest.dropFirst().firstIndex(of: first) else {
                    throw Failure(description: "a string does not end")
                }
                tokens.append("'" + String(rest[(rest.startIndex + 1)..<end]))
                rest = rest[(end + 1)...]
            } else if first.isLetter || first.isNumber || first == "_" || first == "-" {
                let word = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "." || $0 == "-" }
                tokens.append(String(word))
                rest = rest.dropFirst(word.count)
            } else if ["==", "!=", "<=", ">=", "&&", "||"].contains(String(rest.prefix(2))) {
                tokens.append(String(rest.prefix(2)))
                rest = rest.dropFirst(2)
            } else {
                tokens.append(String(first))
                rest.removeFirst()
            }
        }
    }

    private var next: String? { position < tokens.count ? tokens[position] : nil }

    private mutating func take(_ token: String) -> Bool {
        guard next == token else { return false }
        position += 1
        return true
    }

    func finish() throws(Failure) {
        if let next { throw Failure(description: "\"\(next)\" was not expected") }
    }

    mutating func expression() throws(Failure) -> ValidationRule.Expression {
        var parts = [try conjunction()]
        while take("||") { parts.append(try conjunction()) }
        return parts.count == 1 ? parts[0] : .any(parts)
    }

    private mutating func conjunction() throws(Failure) -> ValidationRule.Expression {
        var parts = [try comparison()]
        while take("&&") { parts.append(try comparison()) }
        return parts.count == 1 ? parts[0] : .all(parts)
    }

    private mutating func comparison() throws(Failure) -> ValidationRule.Expression {
        if take("!") { return .not(try comparison()) }
        if take("(") {
            let inner = try expression()
            guard take(")") else { throw Failure(description: "a closing parenthesis is missing") }
            return inner
        }
        if next == "has" {
            position += 1
            guard take("("), case .path(let root, let path) = try operand(), take(")") else {
                throw Failure(description: "has() needs one field")
            }
            return .has(path, root: root)
        }
        let left = try operand()
        guard let sign = next, ["==", "!=", "<", "<=", ">", ">="].contains(sign) else { return left }
        position += 1
        return .compare(left, sign, try operand())
    }

    private mutating func operand() throws(Failure) -> ValidationRule.Expression {
        guard let token = next else { throw Failure(description: "a value is missing") }
        position += 1
        if token.hasPrefix("'") { return .literal(.string(String(token.dropFirst()))) }
        if token == "true" || token == "false" { return .literal(.bool(token == "true")) }
        if let number = Int(token) { return .literal(.from(number)) }
        if let number = Double(token) { return .literal(.double(number)) }
        let parts = token.split(separator: ".").map(String.init)
        guard let root = parts.first, root == "self" || root == "oldSelf", next != "(" else {
            throw Failure(description: "\"\(token)\" is neither a field of self or oldSelf nor a literal")
        }
        if root == "oldSelf" { usesOld = true }
        return .path(root: root, Array(parts.dropFirst()))
    }
}
