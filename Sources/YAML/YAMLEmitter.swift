/// Writes a tree in block style; strings that could be read as something else are quoted.
struct YAMLEmitter {
    private(set) var text = ""

    mutating func document(_ value: YAMLValue) {
        switch value {
        case .mapping(let entries) where !entries.isEmpty: mapping(entries, indent: 0)
        case .sequence(let elements) where !elements.isEmpty: sequence(elements, indent: 0)
        default: text += scalar(value) + "\n"
        }
    }

    private mutating func mapping(_ entries: [YAMLValue.Entry], indent: Int, continuesLine: Bool = false) {
        var isFirst = continuesLine
        for entry in entries {
            if !isFirst { pad(indent) }
            isFirst = false
            text += quoted(entry.key) + ":"
            switch entry.value {
            case .mapping(let inner) where !inner.isEmpty:
                text += "\n"
                mapping(inner, indent: indent + 2)
            case .sequence(let inner) where !inner.isEmpty:
                text += "\n"
                sequence(inner, indent: indent)
            default: text += " " + scalar(entry.value) + "\n"
            }
        }
    }

    private mutating func sequence(_ elements: [YAMLValue], indent: Int, continuesLine: Bool = false) {
        var isFirst = continuesLine
        for element in elements {
            if !isFirst { pad(indent) }
            isFirst = false
            text += "- "
            switch element {
            case .mapping(let inner) where !inner.isEmpty:
                mapping(inner, indent: indent + 2, continuesLine: true)
            case .sequence(let inner) where !inner.isEmpty:
                sequence(inner, indent: indent + 2, continuesLine: true)
            default: text += scalar(element) + "\n"
            }
        }
    }

    private mutating func pad(_ count: Int) { text += String(repeating: " ", count: count) }

    private func scalar(_ value: YAMLValue) -> String {
        switch value {
        case .null: "null"
        case .bool(let flag): flag ? "true" : "false"
        case .int(let number): String(number)
        case .double(let number):
            number.isNaN ? ".nan" : number.isInfinite ? (number < 0 ? "-.inf" : ".inf") : "\(number)"
        case .string(let string): quoted(string)
        case .sequence: "[]"
        case .mapping: "{}"
        }
    }

    private func quoted(_ string: String) -> String {
        if isPlainSafe(string) { return string }
        var out = "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            default:
                let code = scalar.value
                let isPrintable =
                    (code >= 0x20 && code < 0x7F)
                    || (code >= 0xA0 && code < 0xD800 && code != 0x2028 && code != 0x2029)
                    || (code >= 0xE000 && code < 0xFEFF) || (code > 0xFEFF && code < 0xFFFE) || code > 0xFFFF
                if isPrintable {
                    out.unicodeScalars.append(scalar)
                } else {
                    let hex = String(code, radix: 16)
                    out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
                }
            }
        }
        return out + "\""
    }

    /// Old readers take `yes`, `on` and sexagesimals for something else, so those are quoted too.
    private func isPlainSafe(_ string: String) -> Bool {
        guard let first = string.utf8.first, CoreSchema.value(of: string) == .string(string) else {
            return false
        }
        let isWord = { (byte: UInt8) in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        }
        guard isWord(first) || first == 0x2F || first == 0x5F,
            string.utf8.allSatisfy({ isWord($0) || [0x2D, 0x2E, 0x2F, 0x5F].contains($0) })
        else { return false }
        return !["y", "n", "yes", "no", "on", "off", "null", "true", "false"].contains(string.lowercased())
            && !(first <= 0x39 && first >= 0x30)
    }
}
