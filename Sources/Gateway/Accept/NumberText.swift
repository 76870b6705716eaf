internal import DepthCacheAPI

/// Reads numbers as leniently as the clients of the compatibility API are used to, and exactly.
enum NumberText {
    /// An integer with surrounding blanks, a sign and single `_` between digits; what is too large saturates.
    static func integer(_ text: String) -> Int64? {
        var rest = trimmed(text)
        let isNegative = takeSign(&rest)
        guard let digits = digits(&rest), rest.isEmpty, !digits.isEmpty else { return nil }
        var value: Int64 = 0
        for digit in digits {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.subtractingReportingOverflow(Int64(digit))
            if overflow || carry { return isNegative ? .min : .max }
            value = sum
        }
        guard !isNegative else { return value }
        return value == .min ? .max : -value
    }

    /// A decimal with optional exponent, `inf`, `infinity` or `nan`, in any case and with a sign.
    static func threshold(_ text: String) -> VolumeThreshold? {
        var rest = trimmed(text)
        let isNegative = takeSign(&rest)
        switch String(decoding: rest, as: UTF8.self).asciiLowercased {
        case "inf", "infinity": return isNegative ? .bestOnly : .unlimited
        case "nan": return .bestOnly
        default: break
        }
        guard let whole = digits(&rest) else { return nil }
        var fraction: [UInt8] = []
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            guard let part = digits(&rest) else { return nil }
            fraction = part
        }
        guard !whole.isEmpty || !fraction.isEmpty else { return nil }
        var exponent = 0
        if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
            rest = rest.dropFirst()
            let isDown = takeSign(&rest)
            guard let part = digits(&rest), !part.isEmpty else { return nil }
            for digit in part { exponent = min(exponent * 10 + Int(digit), 1_000_000) }
            if isDown { exponent = -exponent }
        }
        guard rest.isEmpty else { return nil }
        return threshold(
            digits: whole + fraction, exponent: exponent - fraction.count, isNegative: isNegative)
    }

    /// Cuts what 38 digits cannot tell apart from any sum that a book can have.
    private static func threshold(digits: [UInt8], exponent: Int, isNegative: Bool) -> VolumeThreshold {
        let significant = digits.drop { $0 == 0 }
        guard !significant.isEmpty, !isNegative else { return .bestOnly }
        let dropped = max(0, significant.count - 38)
        var mantissa: UInt128 = 0
        for digit in significant.prefix(38) { mantissa = mantissa * 10 + UInt128(digit) }
        var scale = -(exponent + dropped)
        while mantissa % 10 == 0 {
            mantissa /= 10
            scale -= 1
        }
        if scale < -60 { return .unlimited }
        return scale > 120 ? .bestOnly : .quote(mantissa: mantissa, scale: Int16(scale))
    }

    private static func trimmed(_ text: String) -> ArraySlice<UInt8> {
        func isBlank(_ byte: UInt8) -> Bool {
            byte == 0x20 || (0x09...0x0D).contains(byte) || (0x1C...0x1F).contains(byte)
        }
        var rest = ArraySlice(text.utf8)
        while let first = rest.first, isBlank(first) { rest.removeFirst() }
        while let last = rest.last, isBlank(last) { rest.removeLast() }
        return rest
    }

    private static func takeSign(_ rest: inout ArraySlice<UInt8>) -> Bool {
        guard let first = rest.first, first == UInt8(ascii: "-") || first == UInt8(ascii: "+") else {
            return false
        }
        rest.removeFirst()
        return first == UInt8(ascii: "-")
    }

    /// Takes digits with single `_` between them; nil for a misplaced `_`.
    private static func digits(_ rest: inout ArraySlice<UInt8>) -> [UInt8]? {
        var found: [UInt8] = []
        var lastWasDigit = false
        while let byte = rest.first {
            if (0x30...0x39).contains(byte) {
                found.append(byte - 0x30)
                lastWasDigit = true
            } else if byte == UInt8(ascii: "_") {
                guard lastWasDigit else { return nil }
                lastWasDigit = false
            } else {
                break
            }
            rest.removeFirst()
        }
        return found.isEmpty || lastWasDigit ? found : nil
    }
}
