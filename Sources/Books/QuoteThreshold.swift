/// A bound on the quote volume (the sum of price × quantity) that an answer may reach.
package enum QuoteThreshold: Sendable, Equatable {
    /// No bound, as `inf` gives it.
    case unlimited
    /// Below any volume (`nan`, `-inf`, negative numbers): only the best level, which is always given.
    case bestOnly
    /// `mantissa` × 10^`exponent`.
    case volume(mantissa: UInt128, exponent: Int)

    /// Reads what Python's `float()` takes: `1e5`, `.5`, `1_000`, `inf`, `nan`; nil for anything else.
    ///
    /// The number stays exact to 38 significant digits; further ones are cut.
    package init?(_ text: String) {
        var digits = text.utf8[...]
        while let first = digits.first, Self.isSpace(first) { digits.removeFirst() }
        while let last = digits.last, Self.isSpace(last) { digits.removeLast() }
        let isNegative = digits.first == 0x2D
        if isNegative || digits.first == 0x2B { digits.removeFirst() }
        switch String(decoding: digits.map { $0 | 0x20 }, as: UTF8.self) {
        case "inf", "infinity": self = isNegative ? .bestOnly : .unlimited
        case "nan": self = .bestOnly
        default:
            guard let (mantissa, exponent) = Self.number(digits) else { return nil }
            self = isNegative && mantissa != 0 ? .bestOnly : .volume(mantissa: mantissa, exponent: exponent)
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

    private static func number(_ text: Substring.UTF8View) -> (mantissa: UInt128, exponent: Int)? {
        let parts = text.split(maxSplits: 1, omittingEmptySubsequences: false) { $0 | 0x20 == 0x65 }
        var power = 0
        if parts.count == 2 {
            var rest = parts[1]
            let isNegative = rest.first == 0x2D
            if isNegative || rest.first == 0x2B { rest.removeFirst() }
            guard let value = wholeNumber(rest) else { return nil }
            power = isNegative ? -value : value
        }
        let sides = parts[0].split(separator: 0x2E, maxSplits: 1, omittingEmptySubsequences: false)
        guard sides.allSatisfy({ $0.isEmpty || hasPlainDigits($0) }), sides.contains(where: { !$0.isEmpty })
        else { return nil }
        var mantissa: UInt128 = 0
        for (index, side) in sides.enumerated() {
            for byte in side where byte != 0x5F {
                let isKept = mantissa < 10_000_000_000_000_000_000_000_000_000_000_000_000
                if isKept { mantissa = mantissa * 10 + UInt128(byte - 0x30) }
                power += (index == 1 ? -1 : 0) + (isKept ? 0 : 1)
            }
        }
        return (mantissa, power)
    }

    /// Digits with single underscores between them, as Python allows.
    private static func hasPlainDigits(_ text: Substring.UTF8View) -> Bool {
        var before: UInt8 = 0x5F
        for byte in text {
            guard (0x30...0x39).contains(byte) || (byte == 0x5F && before != 0x5F) else { return false }
            before = byte
        }
        return before != 0x5F
    }

    private static func wholeNumber(_ text: Substring.UTF8View) -> Int? {
        guard hasPlainDigits(text) else { return nil }
        var value = 0
        for byte in text where byte != 0x5F { value = min(value * 10 + Int(byte - 0x30), 1_000_000) }
        return value
    }

    /// The largest whole number of units of 10^-`scale` that is inside the bound; nil for no bound.
    func units(scale: Int) -> Int128? {
        switch self {
        case .unlimited: return nil
        case .bestOnly: return -1
        case .volume(let mantissa, let exponent):
            var units = mantissa
            var shift = exponent + scale
            while shift > 0, units > 0 {
                let (product, overflowed) = units.multipliedReportingOverflow(by: 10)
                if overflowed { return .max }
                units = product
                shift -= 1
            }
            while shift < 0, units > 0 {
                units /= 10
                shift += 1
            }
            return Int128(clamping: units)
        }
    }
}
