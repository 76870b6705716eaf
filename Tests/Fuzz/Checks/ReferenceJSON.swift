/// A JSON value as the reference decoder sees it; texts are kept as their bytes between the quotes.
///
/// Slow and plain on purpose: it shares no code with the parsers that it judges.
indirect enum ReferenceJSON: Equatable {
    case object([(key: [UInt8], value: ReferenceJSON)])
    case array([ReferenceJSON])
    /// The raw bytes, and where they begin in the document.
    case text([UInt8], at: Int)
    case number([UInt8])
    case word

    static func == (left: ReferenceJSON, right: ReferenceJSON) -> Bool {
        switch (left, right) {
        case (.number(let one), .number(let other)): one == other
        case (.text(let one, _), .text(let other, _)): one == other
        default: false
        }
    }

    /// Nil unless `bytes` are strictly JSON, nested at most 30 deep.
    init?(_ bytes: [UInt8]) {
        var reader = StrictReader(bytes: bytes)
        guard let value = reader.value(depth: 0), reader.atEnd() else { return nil }
        self = value
    }

    /// The number if it is a whole one that fits.
    var whole: Int64? {
        guard case .number(let digits) = self else { return nil }
        // Text conversion knows nothing of the parsers. The one number without a positive twin is not accepted.
        return Int64(String(decoding: digits, as: UTF8.self)).flatMap { $0 == .min ? nil : $0 }
    }

    var isText: Bool { if case .text = self { true } else { false } }
    var isArray: Bool { if case .array = self { true } else { false } }

    func isText(_ expected: String) -> Bool { self == .text(Array(expected.utf8), at: 0) }

    /// The text with its escapes resolved.
    var unescaped: String? {
        guard case .text(let raw, _) = self else { return nil }
        var units: [UInt16] = []
        let source = Array(String(decoding: raw, as: UTF8.self).utf16)
        let simple: [UInt16: UInt16] = [0x62: 8, 0x66: 12, 0x6E: 10, 0x72: 13, 0x74: 9]
        var index = 0
        while index < source.count {
            guard source[index] == 0x5C else {
                units.append(source[index])
                index += 1
                continue
            }
            let escape = source[index + 1]
            if escape == 0x75 {
                let digits = String(decoding: source[index + 2..<index + 6], as: UTF16.self)
                units.append(UInt16(digits, radix: 16) ?? 0)
                index += 6
            } else {
                units.append(simple[escape] ?? escape)
                index += 2
            }
        }
        return String(decoding: units, as: UTF16.self)
    }
}

/// The grammar of RFC 8259, without a check that texts are UTF-8 (the exchange's names may be any bytes).
private struct StrictReader {
    let bytes: [UInt8]
    var position = 0

    var next: UInt8 { position < bytes.count ? bytes[position] : 0 }

    mutating func skipSpace() {
        while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
    }

    mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    mutating func atEnd() -> Bool {
        skipSpace()
        return position == bytes.count
    }

    mutating func value(depth: Int) -> ReferenceJSON? {
        guard depth < 30 else { return nil }
        skipSpace()
        switch next {
        case 0x7B: return object(depth: depth)
        case 0x5B: return array(depth: depth)
        case 0x22: return text()
        case 0x2D, 0x30...0x39: return number()
        default:
            for word in ["true", "false", "null"] where bytes[position...].starts(with: word.utf8) {
                position += word.utf8.count
                return .word
            }
            return nil
        }
    }

    private mutating func object(depth: Int) -> ReferenceJSON? {
        position += 1
        var fields: [(key: [UInt8], value: ReferenceJSON)] = []
        if take(0x7D) { return .object(fields) }
        repeat {
            skipSpace()
            guard next == 0x22, case .text(let key, _)? = text(), take(0x3A),
                let value = value(depth: depth + 1)
            else { return nil }
            fields.append((key, value))
        } while take(0x2C)
        return take(0x7D) ? .object(fields) : nil
    }

    private mutating func array(depth: Int) -> ReferenceJSON? {
        position += 1
        var elements: [ReferenceJSON] = []
        if take(0x5D) { return .array(elements) }
        repeat {
            guard let value = value(depth: depth + 1) else { return nil }
            elements.append(value)
        } while take(0x2C)
        return take(0x5D) ? .array(elements) : nil
    }

    private mutating func text() -> ReferenceJSON? {
        position += 1
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            if byte == 0x22 {
                position += 1
                return .text(Array(bytes[start..<position - 1]), at: start)
            }
            guard byte >= 0x20 else { return nil }
            position += 1
            if byte == 0x5C { guard skipEscape() else { return nil } }
        }
        return nil
    }

    private mutating func skipEscape() -> Bool {
        let escape = next
        position += 1
        if escape != 0x75 { return Array("\"\\/bfnrt".utf8).contains(escape) }
        for _ in 0..<4 {
            let digit = next
            guard (0x30...0x39).contains(digit) || (0x41...0x46).contains(digit & 0xDF) else { return false }
            position += 1
        }
        return true
    }

    private mutating func number() -> ReferenceJSON? {
        let start = position
        if next == 0x2D { position += 1 }
        let whole = digits()
        guard whole > 0, whole == 1 || bytes[position - whole] != 0x30 else { return nil }
        if next == 0x2E {
            position += 1
            guard digits() > 0 else { return nil }
        }
        if next | 0x20 == 0x65 {
            position += 1
            if next == 0x2B || next == 0x2D { position += 1 }
            guard digits() > 0 else { return nil }
        }
        return .number(Array(bytes[start..<position]))
    }

    private mutating func digits() -> Int {
        let start = position
        while (0x30...0x39).contains(next) { position += 1 }
        return position - start
    }
}
