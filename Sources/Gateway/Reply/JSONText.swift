/// Appends JSON to a byte buffer, without a tree in between.
extension [UInt8] {
    mutating func append(json text: String) {
        append(UInt8(ascii: "\""))
        if text.utf8.allSatisfy({ $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
            append(contentsOf: text.utf8)
            return append(UInt8(ascii: "\""))
        }
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): append(contentsOf: [UInt8(ascii: "\\"), byte])
            case 0x0A: append(contentsOf: "\\n".utf8)
            case 0x0D: append(contentsOf: "\\r".utf8)
            case 0x09: append(contentsOf: "\\t".utf8)
            case 0..<0x20:
                let digits = Array("0123456789abcdef".utf8)
                append(contentsOf: "\\u00".utf8)
                append(digits[Int(byte >> 4)])
                append(digits[Int(byte & 15)])
            default: append(byte)
            }
        }
        append(UInt8(ascii: "\""))
    }

    mutating func append(raw text: StaticString) {
        text.withUTF8Buffer { unsafe append(contentsOf: $0) }
    }

    mutating func append(raw text: String) { append(contentsOf: text.utf8) }

    /// A whole number without going through a `String`.
    mutating func append(json value: Int) { append(contentsOf: String(value).utf8) }
}

/// A JSON value that is already text.
struct JSONFragment: Sendable, Equatable {
    var bytes: [UInt8]

    init(bytes: [UInt8]) { self.bytes = bytes }
    init(_ text: String) {
        bytes = []
        bytes.append(json: text)
    }
    init(_ value: Int) { bytes = Array(String(value).utf8) }
    init(_ value: Int?) { bytes = value.map { Array(String($0).utf8) } ?? Array("null".utf8) }
    /// Seconds with six decimals, the way clients know timestamps.
    init(seconds: Double) { bytes = Array(Self.decimal(seconds).utf8) }

    init(_ members: [(String, JSONFragment)]) {
        bytes = [UInt8(ascii: "{")]
        for (index, member) in members.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes.append(json: member.0)
            bytes.append(UInt8(ascii: ":"))
            bytes.append(contentsOf: member.1.bytes)
        }
        bytes.append(UInt8(ascii: "}"))
    }

    init(_ elements: [JSONFragment]) {
        bytes = [UInt8(ascii: "[")]
        for (index, element) in elements.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes.append(contentsOf: element.bytes)
        }
        bytes.append(UInt8(ascii: "]"))
    }

    static let null = JSONFragment(bytes: Array("null".utf8))

    /// Never an exponent, never `nan`: six decimals, trailing zeros cut but one kept.
    private static func decimal(_ seconds: Double) -> String {
        guard seconds.isFinite, abs(seconds) < 9e12 else { return "0.0" }
        let micros = Int((seconds * 1e6).rounded())
        var fraction = String(abs(micros) % 1_000_000)
        fraction = String(repeating: "0", count: 6 - fraction.count) + fraction
        while fraction.count > 1, fraction.last == "0" { fraction.removeLast() }
        return (micros < 0 ? "-" : "") + "\(abs(micros) / 1_000_000).\(fraction)"
    }
}
