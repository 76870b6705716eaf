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
        var line = TextLine()
        line.prepend(number, as: self)
        line.move(to: &bytes)
    }
}

/// A short text that is put together on the stack, from its end to its start, and appended in one piece.
struct TextLine {
    /// A price and a quantity, each at most 20 digits, a point and `.0`, with quotes and brackets.
    static let capacity = 64
    private var bytes = InlineArray<64, UInt8>(repeating: 0)
    private var start = TextLine.capacity

    @inline(__always)
    mutating func prepend(_ byte: UInt8) {
        start &-= 1
        bytes[start] = byte
    }

    /// Puts the number before what is there.
    @inline(__always)
    mutating func prepend(_ number: FixedDecimal, as text: DecimalText) {
        var rest = number.mantissa.magnitude
        var scale = Int(number.scale)
        if text != .exact {
            let kept = text == .compatible ? 1 : 0
            while scale > kept {
                let quotient = rest / 10
                guard rest == quotient &* 10 else { break }
                rest = quotient
                scale &-= 1
            }
            if text == .compatible, scale == 0 {
                prepend(0x30)
                prepend(0x2E)
            }
        }
        if scale > 0 {
            for _ in 0..<scale { prependDigit(&rest) }
            prepend(0x2E)
        }
        repeat { prependDigit(&rest) } while rest > 0
        if number.mantissa < 0 { prepend(0x2D) }
    }

    @inline(__always)
    private mutating func prependDigit(_ rest: inout UInt64) {
        let quotient = rest / 10
        prepend(0x30 &+ UInt8(truncatingIfNeeded: rest &- quotient &* 10))
        rest = quotient
    }

    /// Appends all to `out`.
    @inline(__always)
    func move(to out: inout [UInt8]) {
        let text = bytes.span.extracting(start..<Self.capacity)
        unsafe text.withUnsafeBufferPointer { unsafe out.append(contentsOf: $0) }
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
