/// How a number is written.
package enum DecimalText: Sendable {
    /// As it was sent: `0.00001010`.
    case exact
    /// As the compatibility API writes it: trailing zeros cut, one decimal kept: `100.0`.
    case compatible
    /// As the canonical text of a book has it: no trailing zeros, no trailing point.
    case canonical

    /// The most bytes that a number takes: a sign, 20 digits, a point and `.0`.
    static let longest = 24

    /// Appends the number's text to `bytes`; numbers of a book are never negative.
    package func append(_ number: FixedDecimal, to bytes: inout [UInt8]) {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.longest) { place in
            guard let start = place.baseAddress else { return }
            let end = unsafe write(number, at: start)
            unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: start, count: end - start))
        }
    }

    /// Writes the number's text to `place`, which has room for `longest` bytes, and returns where the text ends.
    @inline(__always)
    func write(
        _ number: FixedDecimal, at place: UnsafeMutablePointer<UInt8>
    ) -> UnsafeMutablePointer<UInt8> {
        var rest = number.mantissa.magnitude
        var scale = Int(number.scale)
        if self != .exact { Self.cutZeros(&rest, &scale, keeping: self == .compatible ? 1 : 0) }
        var place = unsafe place
        if number.mantissa < 0 {
            unsafe place.pointee = 0x2D
            unsafe place += 1
        }
        // A number below 1 has a zero before the point.
        let whole = max(1, Self.digits(of: rest) - scale)
        var end = unsafe place + whole
        if scale > 0 {
            var left = scale
            unsafe end += 1 + scale
            var digit = unsafe end
            while left >= 2 {
                unsafe digit -= 2
                unsafe Self.writePair(&rest, at: digit)
                left -= 2
            }
            if left == 1 {
                unsafe digit -= 1
                unsafe Self.writeDigit(&rest, at: digit)
            }
            unsafe place[whole] = 0x2E
        }
        var left = whole
        while left >= 2 {
            left -= 2
            unsafe Self.writePair(&rest, at: place + left)
        }
        if left == 1 { unsafe Self.writeDigit(&rest, at: place) }
        if self == .compatible, scale == 0 {
            unsafe end[0] = 0x2E
            unsafe end[1] = 0x30
            unsafe end += 2
        }
        return unsafe end
    }

    /// Takes zeros off the end of the decimals, but for `kept` of them.
    @inline(__always)
    private static func cutZeros(_ rest: inout UInt64, _ scale: inout Int, keeping kept: Int) {
        while scale >= kept + 4 {
            let quotient = rest / 10_000
            guard rest == quotient &* 10_000 else { break }
            rest = quotient
            scale -= 4
        }
        while scale > kept {
            let quotient = rest / 10
            guard rest == quotient &* 10 else { break }
            rest = quotient
            scale -= 1
        }
    }

    /// How many digits the number has; 1 for 0.
    @inline(__always)
    private static func digits(of number: UInt64) -> Int {
        // 1233/4096 is a little more than log10(2), so the guess is right or one too large.
        let guess = ((64 - number.leadingZeroBitCount) &* 1233) >> 12
        return guess + (number >= powers[guess] ? 1 : 0)
    }

    /// 10^0 (0 here, so that 0 has a digit) to 10^19.
    private static let powers: InlineArray<20, UInt64> = [
        0, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000,
        10_000_000_000, 100_000_000_000, 1_000_000_000_000, 10_000_000_000_000, 100_000_000_000_000,
        1_000_000_000_000_000, 10_000_000_000_000_000, 100_000_000_000_000_000,
        1_000_000_000_000_000_000, 10_000_000_000_000_000_000,
    ]

    /// Writes the last two digits and takes them off.
    @inline(__always)
    private static func writePair(_ rest: inout UInt64, at place: UnsafeMutablePointer<UInt8>) {
        let quotient = rest / 100
        let pair = UInt16(truncatingIfNeeded: rest &- quotient &* 100)
        let tens = (pair &* 103) >> 10  // pair / 10 for all pairs
        unsafe place[0] = UInt8(truncatingIfNeeded: tens &+ 0x30)
        unsafe place[1] = UInt8(truncatingIfNeeded: pair &- tens &* 10 &+ 0x30)
        rest = quotient
    }

    @inline(__always)
    private static func writeDigit(_ rest: inout UInt64, at place: UnsafeMutablePointer<UInt8>) {
        let quotient = rest / 10
        unsafe place.pointee = UInt8(truncatingIfNeeded: rest &- quotient &* 10 &+ 0x30)
        rest = quotient
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
