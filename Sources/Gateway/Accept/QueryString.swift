/// The raw query of a request, read in place: no dictionary is built, and the last of repeated parameters wins.
struct QueryString: Sendable {
    private let bytes: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }
    init(_ text: String) { bytes = Array(text.utf8)[...] }

    /// The decoded value of a parameter; nil when it is absent, empty when it has no value.
    func last(_ name: StaticString) -> String? {
        var found: Range<Int>?
        var start = bytes.startIndex
        while start < bytes.endIndex {
            var end = start
            var equals: Int?
            while end < bytes.endIndex, bytes[end] != UInt8(ascii: "&") {
                if equals == nil, bytes[end] == UInt8(ascii: "=") { equals = end }
                end += 1
            }
            let nameEnd = equals ?? end
            if matches(start..<nameEnd, name) { found = min(nameEnd + 1, end)..<end }
            start = end + 1
        }
        return found.map(decoded)
    }

    /// All parameters, decoded, in the order in which they were sent.
    var all: [(name: String, value: String)] {
        bytes.split(separator: UInt8(ascii: "&")).map { pair in
            let end = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
            let value = pair.index(end, offsetBy: 1, limitedBy: pair.endIndex) ?? pair.endIndex
            return (decoded(pair.startIndex..<end), decoded(value..<pair.endIndex))
        }
    }

    /// One segment of a path, where `+` is itself.
    static func decodedSegment(_ text: Substring) -> String {
        let bytes = text.utf8.flatMap { $0 == UInt8(ascii: "+") ? Array("%2B".utf8) : [$0] }
        return QueryString(bytes[...]).decoded(0..<bytes.count)
    }

    private func matches(_ range: Range<Int>, _ name: StaticString) -> Bool {
        name.withUTF8Buffer { wanted in
            guard range.count >= wanted.count else { return false }
            if range.count == wanted.count {
                return range.indices.allSatisfy { unsafe bytes[$0] == wanted[$0 - range.lowerBound] }
            }
            guard range.count <= wanted.count * 3, bytes[range].contains(UInt8(ascii: "%")) else {
                return false
            }
            return unsafe decoded(range).utf8.elementsEqual(wanted)
        }
    }

    /// `+` is a blank, `%xx` a byte, anything malformed stays as it is.
    private func decoded(_ range: Range<Int>) -> String {
        let isPlain = bytes[range].allSatisfy { $0 != UInt8(ascii: "%") && $0 != UInt8(ascii: "+") }
        if isPlain { return String(decoding: bytes[range], as: UTF8.self) }
        var out: [UInt8] = []
        out.reserveCapacity(range.count)
        var index = range.lowerBound
        while index < range.upperBound {
            let byte = bytes[index]
            if byte == UInt8(ascii: "%"), index + 2 < range.upperBound,
                let high = Self.hexDigit(bytes[index + 1]), let low = Self.hexDigit(bytes[index + 2])
            {
                out.append(high << 4 | low)
                index += 3
            } else {
                out.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
                index += 1
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        case 0x61...0x66: byte - 0x57
        default: nil
        }
    }
}
