/// How a number is written.
package enum DecimalText: Sendable {
    /// As it was sent: `0.00001010`.
    case exact
    /// As the compatibility API writes it: trailing zeros cut, one decimal kept: `100.0`.
    case compatible
    /// As the canonical text of a book has it: no trailing zeros, no trailing point.
    case canonical

    /// Appends the number's text to `bytes`; numbers of a book are never negative.
    package func append(_ number: FixedDecimal, to bytes: inout [UInt8]) {
        var rest = number.mantissa.magnitude
        var scale = Int(number.scale)
        if self != .exact {
            let kept = self == .compatible ? 1 : 0
            while scale > kept {
                let (quotient, remainder) = rest.quotientAndRemainder(dividingBy: 10)
                guard remainder == 0 else { break }
                rest = quotient
                scale -= 1
            }
        }
        if number.mantissa < 0 { bytes.append(0x2D) }
        Self.appendDigits(rest, scale: scale, to: &bytes)
        if self == .compatible, scale == 0 {
            bytes.append(0x2E)
            bytes.append(0x30)
        }
    }

    private static func appendDigits(_ value: UInt64, scale: Int, to bytes: inout [UInt8]) {
        // At most 20 digits, or 18 decimals behind a point and a zero.
        var scratch = InlineArray<24, UInt8>(repeating: 0x30)
        var next = 24
        var rest = value
        var written = 0
        while rest > 0 || written <= scale {
            if written == scale, scale > 0 {
                next -= 1
                scratch[next] = 0x2E
            }
            let (quotient, remainder) = rest.quotientAndRemainder(dividingBy: 10)
            next -= 1
            scratch[next] = 0x30 &+ UInt8(truncatingIfNeeded: remainder)
            rest = quotient
            written += 1
        }
        for index in next..<24 { bytes.append(scratch[index]) }
    }
}

extension [UInt8] {
    /// Appends a whole number as decimal text.
    package mutating func append(number: Int64) {
        if number < 0 { append(0x2D) }
        DecimalText.exact.append(
            FixedDecimal(mantissa: Int64(clamping: number.magnitude), scale: 0), to: &self)
    }
}
