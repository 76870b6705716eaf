/// A number as the exchange sent it: `mantissa` × 10^-`scale`, with the sent number of decimals kept.
///
/// `==` compares what was sent (`1.0` and `1.00` differ); use `isSameNumber(as:)` for the value.
@usableFromInline package struct FixedDecimal: Hashable, Sendable, CustomStringConvertible {
    /// More decimals than this cannot be held.
    @inlinable package static var maximumScale: UInt8 { 18 }

    @usableFromInline package var mantissa: Int64
    @usableFromInline package var scale: UInt8

    @inlinable package init(mantissa: Int64, scale: UInt8) {
        self.mantissa = mantissa
        self.scale = scale
    }

    /// Reads plain decimal text such as `0.00001010`; no sign, no exponent.
    package init(_ text: String) throws(BookError) {
        var copy = text
        let read = copy.withUTF8 { bytes -> FixedDecimal? in
            guard var position = bytes.baseAddress else { return nil }
            let end = unsafe position + bytes.count
            let number = unsafe scanDecimal(&position, end)
            return unsafe number.isValid && position == end ? number : nil
        }
        guard let read else { throw .unreadableNumber(text) }
        self = read
    }

    /// False only for the mark that `scanDecimal` returns for something else than a number that fits.
    @inlinable package var isValid: Bool { scale <= Self.maximumScale }

    /// The text that was sent.
    @usableFromInline package var description: String {
        var bytes: [UInt8] = []
        DecimalText.exact.append(self, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Whether both are the same number, whatever their scales.
    package func isSameNumber(as other: FixedDecimal) -> Bool {
        let common = max(scale, other.scale)
        let left = Int128(mantissa) * Int128(powerOfTen(Int(common - scale)))
        return left == Int128(other.mantissa) * Int128(powerOfTen(Int(common - other.scale)))
    }
}

/// Why a book could not take what it was given.
package enum BookError: Error, Equatable, Sendable, CustomStringConvertible {
    case unreadableNumber(String)
    /// A price or quantity does not fit the book's 64 bits once all prices share a scale.
    case numberOutOfRange

    package var description: String {
        switch self {
        case .unreadableNumber(let text): "expected a decimal number that fits 64 bits, was '\(text)'"
        case .numberOutOfRange: "expected numbers that fit 64 bits at one scale, one did not"
        }
    }
}

/// 10^`exponent` for 0 to 18; 0 beyond, which no caller asks for.
@inlinable package func powerOfTen(_ exponent: Int) -> Int64 {
    switch exponent {
    case 0: 1
    case 1: 10
    case 2: 100
    case 3: 1000
    case 4: 10_000
    case 5: 100_000
    case 6: 1_000_000
    case 7: 10_000_000
    case 8: 100_000_000
    case 9: 1_000_000_000
    case 10: 10_000_000_000
    case 11: 100_000_000_000
    case 12: 1_000_000_000_000
    case 13: 10_000_000_000_000
    case 14: 100_000_000_000_000
    case 15: 1_000_000_000_000_000
    case 16: 10_000_000_000_000_000
    case 17: 100_000_000_000_000_000
    case 18: 1_000_000_000_000_000_000
    default: 0
    }
}
