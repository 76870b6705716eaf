/// The kinds of application frames on the link; numbers below 16 belong to the link itself.
package enum LinkMessageKind {
    package static let bookQuery: UInt8 = 16
    package static let bookAnswer: UInt8 = 17
    package static let bookCopyRequest: UInt8 = 18
    package static let bookCopy: UInt8 = 19
    package static let weightGrant: UInt8 = 20
    package static let weightReport: UInt8 = 21
    package static let auditQuery: UInt8 = 24
    package static let auditAnswer: UInt8 = 25
    /// Asks what a worker knows of a book besides its levels; answered like a `bookQuery`, with a JSON object.
    package static let bookInfoQuery: UInt8 = 26
    package static let bookInfoAnswer: UInt8 = 27
    /// Asks what the replicas of a worker cost it.
    package static let loadQuery: UInt8 = 28
    package static let loadReport: UInt8 = 29
    /// Asks for both sides of one or many books.
    package static let booksQuery: UInt8 = 32
    package static let booksAnswer: UInt8 = 33
}

/// Why a link payload could not be read.
///
/// The bytes come from another process, maybe of another version.
package struct LinkPayloadError: Error, Equatable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

/// The bounds and the version that both payloads share; `docs/link.md` specifies the layout.
package enum LinkPayload {
    package static let version: UInt8 = 1
    /// Exchange names, markets, reasons and messages.
    package static let longestName = 255
    package static let longestText = 4096
}

/// Reads little-endian fields one after the other, each checked against what is left.
struct PayloadReader {
    private let bytes: [UInt8]
    private(set) var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }
    /// Bytes that are left.
    var remaining: Int { bytes.count - position }

    mutating func byte(_ field: StaticString) throws(LinkPayloadError) -> UInt8 {
        guard position < bytes.count else { throw LinkPayloadError("expected \(field), was the end") }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func integer<I: FixedWidthInteger>(
        _ type: I.Type, _ field: StaticString
    ) throws(LinkPayloadError) -> I {
        let size = I.bitWidth / 8
        guard bytes.count - position >= size else {
            throw LinkPayloadError("expected \(field) of \(size) bytes, was \(bytes.count - position) bytes")
        }
        var value: I = 0
        for offset in (0..<size).reversed() {
            value = (value &<< 8) | I(truncatingIfNeeded: bytes[position + offset])
        }
        position += size
        return value
    }

    /// A 16-bit length and that many bytes of UTF-8.
    mutating func text(_ field: StaticString, atMost limit: Int) throws(LinkPayloadError) -> String {
        let count = Int(try integer(UInt16.self, field))
        guard count <= limit else {
            throw LinkPayloadError("expected \(field) of at most \(limit) bytes, was \(count)")
        }
        guard count <= bytes.count - position else {
            throw LinkPayloadError("expected \(field) of \(count) bytes, was \(bytes.count - position)")
        }
        guard let text = String(validating: bytes[position..<position + count], as: UTF8.self) else {
            throw LinkPayloadError("expected \(field) in UTF-8")
        }
        position += count
        return text
    }

    mutating func version() throws(LinkPayloadError) {
        let version = try byte("version")
        guard version == LinkPayload.version else {
            throw LinkPayloadError("expected version \(LinkPayload.version), was \(version)")
        }
    }

    /// So many bytes as they are.
    mutating func bytes(_ count: Int, _ field: StaticString) throws(LinkPayloadError) -> ArraySlice<UInt8> {
        guard count <= bytes.count - position else {
            throw LinkPayloadError("expected \(field) of \(count) bytes, was \(bytes.count - position)")
        }
        defer { position += count }
        return bytes[position..<position + count]
    }

    func end() throws(LinkPayloadError) {
        guard isAtEnd else {
            throw LinkPayloadError("expected the end, was \(bytes.count - position) bytes more")
        }
    }
}

extension [UInt8] {
    mutating func appendLittleEndian<I: FixedWidthInteger>(_ value: I) {
        var rest = value
        for _ in 0..<I.bitWidth / 8 {
            append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }

    /// Writes a 16-bit length and the text, cut at a character border to `limit` bytes.
    mutating func appendText(_ text: String, atMost limit: Int) {
        var count = text.utf8.count
        if count > limit {
            count = 0
            for character in text.unicodeScalars {
                let next = count + UTF8.width(character)
                guard next <= limit else { break }
                count = next
            }
        }
        appendLittleEndian(UInt16(count))
        append(contentsOf: text.utf8.prefix(count))
    }
}
