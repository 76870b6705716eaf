/// What a plain scalar means (YAML 1.2.2, section 10.3.2).
enum CoreSchema {
    static func value(of text: String) -> YAMLValue {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF": return .double(.infinity)
        case "-.inf", "-.Inf", "-.INF": return .double(-.infinity)
        case ".nan", ".NaN", ".NAN": return .double(.nan)
        default: break
        }
        if text.hasPrefix("0x"), let value = Int64(text.dropFirst(2), radix: 16), !hasSign(text.dropFirst(2))
        {
            return .int(value)
        }
        if text.hasPrefix("0o"), let value = Int64(text.dropFirst(2), radix: 8), !hasSign(text.dropFirst(2)) {
            return .int(value)
        }
        guard isNumber(Array(text.utf8)) else { return .string(text) }
        if let whole = Int64(text) { return .int(whole) }
        return Double(text).map { .double($0) } ?? .string(text)
    }

    private static func hasSign(_ text: Substring) -> Bool { text.first == "-" || text.first == "+" }

    /// The number of the core schema.
    ///
    /// `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
    private static func isNumber(_ text: [UInt8]) -> Bool {
        var at = 0
        func digits() -> Int {
            let start = at
            while at < text.count, text[at] >= 0x30, text[at] <= 0x39 { at += 1 }
            return at - start
        }
        if at < text.count, text[at] == 0x2B || text[at] == 0x2D { at += 1 }
        let whole = digits()
        var fraction = 0
        if at < text.count, text[at] == 0x2E {
            at += 1
            fraction = digits()
        }
        guard whole + fraction > 0 else { return false }
        if at < text.count, text[at] | 0x20 == 0x65 {
            at += 1
            if at < text.count, text[at] == 0x2B || text[at] == 0x2D { at += 1 }
            guard digits() > 0 else { return false }
        }
        return at == text.count
    }
}
