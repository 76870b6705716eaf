/// How many decimals the prices and the quantities of a market have.
///
/// Within the simulator both are whole numbers of the last decimal; text exists only at its edges.
struct DecimalFormat: Equatable, Sendable {
    var priceScale: Int
    var quantityScale: Int

    /// Reads a decimal without exponent as a whole number of units of the `scale`-th decimal; nil if it does not fit exactly.
    static func parse(_ text: String, scale: Int) -> Int64? {
        var value: Int64 = 0
        var decimals = -1
        var digits = 0
        for byte in text.utf8 {
            if byte == UInt8(ascii: "."), decimals < 0 {
                decimals = 0
                continue
            }
            guard byte >= 48, byte <= 57 else { return nil }
            if decimals >= scale {
                guard byte == 48 else { return nil }
                continue
            }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(Int64(byte) - 48)
            guard !overflow, !carry else { return nil }
            value = sum
            digits += 1
            if decimals >= 0 { decimals += 1 }
        }
        guard digits > 0 else { return nil }
        for _ in max(0, decimals)..<scale {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            guard !overflow else { return nil }
            value = product
        }
        return value
    }

    /// The number of decimals that `text` is written with.
    static func scale(of text: String) -> Int {
        guard let point = text.utf8.firstIndex(of: UInt8(ascii: ".")) else { return 0 }
        return text.utf8.distance(from: point, to: text.utf8.endIndex) - 1
    }

    /// `mantissa` as text with `scale` decimals.
    static func text(_ mantissa: Int64, scale: Int) -> String {
        var writer = ByteWriter(capacity: 40)
        writer.decimal(mantissa, scale: scale)
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}

/// Appends JSON text to a buffer that is reused.
struct ByteWriter {
    private var storage: [UInt8]
    private var count = 0

    init(capacity: Int = 4096) { storage = [UInt8](repeating: 0, count: max(64, capacity)) }

    /// What was written so far.
    var bytes: [UInt8] { Array(storage[0..<count]) }
    var byteCount: Int { count }

    mutating func reset() { count = 0 }

    private mutating func reserve(_ more: Int) {
        guard count + more > storage.count else { return }
        storage.append(contentsOf: repeatElement(0, count: max(more, storage.count)))
    }

    @inline(__always)
    mutating func byte(_ value: UInt8) {
        reserve(1)
        storage[count] = value
        count += 1
    }

    mutating func literal(_ text: StaticString) {
        text.withUTF8Buffer { buffer in
            reserve(buffer.count)
            for index in 0..<buffer.count {
                unsafe storage[count + index] = buffer[index]
            }
            count += buffer.count
        }
    }

    mutating func raw(_ text: String) { raw(Array(text.utf8)) }

    mutating func raw(_ bytes: [UInt8]) {
        reserve(bytes.count)
        storage.replaceSubrange(count..<count + bytes.count, with: bytes)
        count += bytes.count
    }

    mutating func integer(_ value: Int64) {
        if value < 0 { byte(UInt8(ascii: "-")) }
        decimal(Int64(clamping: value.magnitude), scale: 0)
    }

    /// A mantissa of 0 or more with exactly `scale` decimals.
    mutating func decimal(_ mantissa: Int64, scale: Int) {
        reserve(32 + scale)
        var at = count
        var span = storage.mutableSpan
        Self.decimal(mantissa, scale: scale, into: &span, at: &at)
        count = at
    }

    /// `["price","quantity"]` for each of the changes, with commas between.
    mutating func levels(_ changes: ArraySlice<Change>, _ format: DecimalFormat) {
        reserve(changes.count * (64 + format.priceScale + format.quantityScale))
        var at = count
        var span = storage.mutableSpan
        for change in changes {
            span[at] = UInt8(ascii: "[")
            span[at + 1] = UInt8(ascii: "\"")
            at += 2
            Self.decimal(
                Int64(clamping: change.key.magnitude), scale: format.priceScale, into: &span, at: &at)
            span[at] = UInt8(ascii: "\"")
            span[at + 1] = UInt8(ascii: ",")
            span[at + 2] = UInt8(ascii: "\"")
            at += 3
            Self.decimal(change.quantity, scale: format.quantityScale, into: &span, at: &at)
            span[at] = UInt8(ascii: "\"")
            span[at + 1] = UInt8(ascii: "]")
            span[at + 2] = UInt8(ascii: ",")
            at += 3
        }
        count = changes.isEmpty ? at : at - 1
    }

    @inline(__always)
    private static func decimal(
        _ mantissa: Int64, scale: Int, into span: inout MutableSpan<UInt8>, at position: inout Int
    ) {
        var rest = UInt64(clamping: mantissa)
        var digits = 1
        var bound: UInt64 = 10
        while rest >= bound, digits < 19 {
            digits += 1
            bound &*= 10
        }
        digits = max(digits, scale + 1)
        var at = position + digits + (scale > 0 ? 1 : 0)
        let end = at
        for _ in 0..<scale {
            at -= 1
            span[at] = UInt8(truncatingIfNeeded: 48 &+ rest % 10)
            rest /= 10
        }
        if scale > 0 {
            at -= 1
            span[at] = UInt8(ascii: ".")
        }
        while at > position {
            at -= 1
            span[at] = UInt8(truncatingIfNeeded: 48 &+ rest % 10)
            rest /= 10
        }
        position = end
    }

    /// A JSON string with everything escaped that must be.
    mutating func string(_ text: String) {
        byte(UInt8(ascii: "\""))
        for value in text.utf8 {
            switch value {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                byte(UInt8(ascii: "\\"))
                byte(value)
            case 0..<32:
                let digits = Array("0123456789abcdef".utf8)
                literal("\\u00")
                byte(digits[Int(value >> 4)])
                byte(digits[Int(value & 15)])
            default: byte(value)
            }
        }
        byte(UInt8(ascii: "\""))
    }
}
