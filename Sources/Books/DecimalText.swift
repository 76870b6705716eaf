internal import CDigits

/// How a number is written.
package enum DecimalText: Sendable {
    /// As it was sent: `0.00001010`.
    case exact
    /// As the compatibility API writes it: trailing zeros cut, one decimal kept: `100.0`.
    case compatible
    /// As the canonical text of a book has it: no trailing zeros, no trailing point.
    case canonical

    /// The room that writing a number needs: 20 digits, a point and `.0`, and what sixteen digits are written over.
    static let room = 40
    /// The room for the digits of two numbers, and for reading sixteen from any of them on.
    static let digitsRoom = 48
    /// Numbers from this one on have more digits than are found at once.
    private static let limit: UInt64 = 10_000_000_000_000_000

    /// Appends the number's text to `bytes`; numbers of a book are never negative.
    package func append(_ number: FixedDecimal, to bytes: inout [UInt8]) {
        if number.mantissa < 0 { bytes.append(0x2D) }
        let (mantissa, scale) = (number.mantissa.magnitude, Int(number.scale))
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.room + Self.digitsRoom) {
            guard let start = $0.baseAddress else { return }
            let end = unsafe write(mantissa, scale: scale, at: start, digits: start + Self.room)
            unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: start, count: end - start))
        }
    }

    /// Writes a number to `place`, which has `room`, with `digits` of `digitsRoom` to find its digits in.
    func write(
        _ mantissa: UInt64, scale: Int, at place: UnsafeMutablePointer<UInt8>,
        digits: UnsafeMutablePointer<UInt8>
    ) -> UnsafeMutablePointer<UInt8> {
        guard Self.isShort(mantissa, scale: scale) else {
            return unsafe writeLong(mantissa, scale: scale, sent: scale, at: place)
        }
        let significant = unsafe cdigits_write(mantissa, 0, digits)
        return unsafe write(digits, significant, scale: scale, sent: scale, at: place)
    }

    /// Whether a number's digits are found at once.
    @inline(__always)
    static func isShort(_ mantissa: UInt64, scale: Int) -> Bool { mantissa < limit && scale < 16 }

    /// Writes a number of sixteen `digits` to `place`, which has `room`, and returns where the text ends.
    ///
    /// `significant` has a bit for each digit that is not zero, from bit 0 on; others may follow after 16. `scale`: how many
    /// digits are decimals. `sent`: how many decimals it was sent with, at most `scale`. What is after the digits must be
    /// readable for 16 bytes more: more is copied than counts, so that no length decides which way to go.
    @inline(__always)
    func write(
        _ digits: UnsafePointer<UInt8>, _ significant: UInt32, scale: Int, sent: Int,
        at place: UnsafeMutablePointer<UInt8>
    ) -> UnsafeMutablePointer<UInt8> {
        // A number below 1 has a zero before the point.
        let start = min((significant | 0x8000).trailingZeroBitCount, 15 &- scale)
        unsafe Self.copy(digits + start, to: place)
        let point = unsafe place + (16 &- scale &- start)
        var decimals = sent
        if self != .exact {
            // What is above the sixteen bits falls off; 16 zeros if no bit is set.
            let zeros = (significant &<< 16 | 0x8000).leadingZeroBitCount
            decimals = max(self == .compatible ? 1 : 0, scale &- zeros)
        }
        if decimals == 0 { return unsafe point }
        unsafe point.pointee = 0x2E
        unsafe Self.copy(digits + (16 &- scale), to: point + 1)
        if scale == 0 { unsafe point[1] = 0x30 }
        return unsafe point + 1 + decimals
    }

    @inline(__always)
    private static func copy(_ digits: UnsafePointer<UInt8>, to place: UnsafeMutablePointer<UInt8>) {
        let sixteen = unsafe UnsafeRawPointer(digits).loadUnaligned(as: SIMD16<UInt8>.self)
        unsafe UnsafeMutableRawPointer(place).storeBytes(of: sixteen, as: SIMD16<UInt8>.self)
    }

    /// As `write`, digit by digit, for numbers that are not short; no exchange sends such.
    @inline(never)
    func writeLong(
        _ mantissa: UInt64, scale: Int, sent: Int, at place: UnsafeMutablePointer<UInt8>
    ) -> UnsafeMutablePointer<UInt8> {
        var (rest, scale) = (mantissa, scale)
        let least =
            switch self {
            case .exact: sent
            case .compatible: 1
            case .canonical: 0
            }
        while scale > least, rest.isMultiple(of: 10) {
            rest /= 10
            scale -= 1
        }
        var whole = 1
        var power: UInt64 = 10
        var above = rest
        for _ in 0..<scale { above /= 10 }
        while above >= power, whole < 19 {
            whole += 1
            power *= 10
        }
        let end = unsafe place + whole + (scale > 0 ? 1 + scale : 0)
        var digit = unsafe end
        for position in 0..<(whole + scale) {
            if position == scale, scale > 0 {
                unsafe digit -= 1
                unsafe digit.pointee = 0x2E
            }
            unsafe digit -= 1
            unsafe digit.pointee = UInt8(truncatingIfNeeded: rest % 10 + 0x30)
            rest /= 10
        }
        guard self == .compatible, scale == 0 else { return unsafe end }
        unsafe end[0] = 0x2E
        unsafe end[1] = 0x30
        return unsafe end + 2
    }
}

extension [UInt8] {
    /// Appends a whole number as decimal text.
    package mutating func append(number: Int64) {
        DecimalText.exact.append(FixedDecimal(mantissa: number, scale: 0), to: &self)
    }
}
