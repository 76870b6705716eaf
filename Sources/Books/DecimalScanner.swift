/// Reads a decimal number at `position`, which moves past it; the result's `isValid` is false if there is none or
/// it does not fit.
///
/// Eight digits are read at a time: the numbers of one frame are most of its bytes.
@inlinable @inline(__always)
package func scanDecimal(
    _ position: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
) -> FixedDecimal {
    let start = unsafe position
    var value: UInt64 = 0
    let wholeDigits = unsafe scanDigits(&position, end, &value)
    var digits = wholeDigits
    var scale = 0
    if unsafe position < end, unsafe position.pointee == 0x2E {
        unsafe position += 1
        scale = unsafe scanDigits(&position, end, &value)
        digits &+= scale
        if scale == 0 { return FixedDecimal(mantissa: 0, scale: .max) }
    }
    // Nineteen digits always fit an unsigned word.
    if wholeDigits > 0, digits <= 19, value <= UInt64(Int64.max), scale <= 18 {
        return FixedDecimal(
            mantissa: Int64(truncatingIfNeeded: value), scale: UInt8(truncatingIfNeeded: scale))
    }
    return unsafe scanLongDecimal(start, position, scale: scale)
}

/// Reads digits into `value` (wrapping when they are too many) and returns how many there were.
@inlinable @inline(__always)
package func scanDigits(
    _ position: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ value: inout UInt64
) -> Int {
    var count = 0
    while unsafe end - position >= 8 {
        let chunk = unsafe UInt64(
            littleEndian: UnsafeRawPointer(position).loadUnaligned(as: UInt64.self))
        let digits = chunk ^ 0x3030_3030_3030_3030
        // A byte above nine carries into its high bit; carries reach later bytes only, so the first mark is true.
        let marks = ((digits &+ 0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080
        if marks == 0 {
            value = value &* 100_000_000 &+ eightDigits(digits)
            unsafe position += 8
            count &+= 8
            continue
        }
        let run = marks.trailingZeroBitCount &>> 3
        if run > 0 {
            let shifted = digits &<< UInt64(truncatingIfNeeded: 64 &- run &* 8)
            value = value &* UInt64(truncatingIfNeeded: powerOfTen(run)) &+ eightDigits(shifted)
            unsafe position += run
        }
        return count &+ run
    }
    while unsafe position < end {
        let digit = unsafe position.pointee &- 0x30
        guard digit < 10 else { break }
        value = value &* 10 &+ UInt64(digit)
        unsafe position += 1
        count &+= 1
    }
    return count
}

/// The number made of eight digit values, the first in the lowest byte.
@inlinable @inline(__always)
package func eightDigits(_ digits: UInt64) -> UInt64 {
    let pairs = (digits &* 2561) &>> 8 & 0x00FF_00FF_00FF_00FF
    let fours = (pairs &* 6_553_601) &>> 16 & 0x0000_FFFF_0000_FFFF
    return (fours &* 42_949_672_960_001) &>> 32
}

/// The rare long way: leading zeros may make a long text a number that fits.
@usableFromInline
func scanLongDecimal(
    _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, scale: Int
) -> FixedDecimal {
    let failed = FixedDecimal(mantissa: 0, scale: .max)
    guard scale <= Int(FixedDecimal.maximumScale), unsafe start < end, unsafe start.pointee != 0x2E else {
        return failed
    }
    var mantissa: Int64 = 0
    var position = unsafe start
    while unsafe position < end {
        let byte = unsafe position.pointee
        unsafe position += 1
        if byte == 0x2E { continue }
        let (product, overflowed) = mantissa.multipliedReportingOverflow(by: 10)
        let (sum, carried) = product.addingReportingOverflow(Int64(byte &- 0x30))
        if overflowed || carried { return failed }
        mantissa = sum
    }
    return FixedDecimal(mantissa: mantissa, scale: UInt8(scale))
}
