/// What values a flag takes, and what to say when one is something else.
package enum ValueKind: Sendable, Equatable {
    /// Anything but nothing.
    case text
    case toggle
    case integer(ClosedRange<Int>)
    /// One of these words.
    case choice([String])
    /// A whole number and a unit, `s`, `m`, `h` or `d`; the limits are in seconds.
    case duration(ClosedRange<Int>)
    /// A file that can be read at the start.
    case file
    /// A host name, an IPv4 or an IPv6 address.
    case address
    /// A name as Kubernetes gives them to objects, of at most so many characters.
    case name(limit: Int)

    /// A port number; 0 takes a free one.
    package static let port = ValueKind.integer(0...65_535)

    /// What is expected, for messages and for the reference.
    package var expected: String {
        switch self {
        case .text: "a text that is not empty"
        case .toggle: "true or false"
        case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .choice(let words): words.dropLast().joined(separator: ", ") + " or " + (words.last ?? "")
        case .duration(let range):
            "a time such as 90s, 15m, 12h or 30d, from \(Self.words(range.lowerBound)) to \(Self.words(range.upperBound))"
        case .file: "a file that can be read"
        case .address: "an address or a host name"
        case .name(let limit):
            "a name of lower case letters, digits, '-' and '.', at most \(limit) characters long"
        }
    }

    /// Whether `text` is such a value.
    func accepts(_ text: String, isReadable: (String) -> Bool) -> Bool {
        switch self {
        case .text: !text.isEmpty
        case .toggle: text == "true" || text == "false"
        case .integer(let range): Int(text).map(range.contains) ?? false
        case .choice(let words): words.contains(text)
        case .duration(let range): Self.seconds(text).map(range.contains) ?? false
        case .file: !text.isEmpty && isReadable(text)
        case .address:
            !text.isEmpty && text.utf8.count <= 253
                && text.unicodeScalars.allSatisfy {
                    Self.isLetterOrDigit($0) || ".-_:[]%".unicodeScalars.contains($0)
                }
        case .name(let limit): Self.isObjectName(text, limit)
        }
    }

    /// The seconds of a time such as `12h`.
    static func seconds(_ text: String) -> Int? {
        let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let unit = text.last.flatMap({ units[$0] }) else { return nil }
        let digits = text.dropLast()
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let count = Int(digits)
        else { return nil }
        let (seconds, overflow) = count.multipliedReportingOverflow(by: unit)
        return overflow ? nil : seconds
    }

    private static func words(_ seconds: Int) -> String {
        for (unit, size) in [("d", 86_400), ("h", 3600), ("m", 60)]
        where seconds >= size && seconds % size == 0 {
            return "\(seconds / size)\(unit)"
        }
        return "\(seconds)s"
    }

    private static func isLetterOrDigit(_ scalar: Unicode.Scalar) -> Bool {
        scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
    }

    private static func isObjectName(_ text: String, _ limit: Int) -> Bool {
        func isInner(_ scalar: Unicode.Scalar) -> Bool {
            ("a"..."z").contains(scalar) || ("0"..."9").contains(scalar)
        }
        let scalars = Array(text.unicodeScalars)
        guard let first = scalars.first, let last = scalars.last, scalars.count <= limit else { return false }
        return isInner(first) && isInner(last)
            && scalars.allSatisfy { isInner($0) || $0 == "-" || $0 == "." }
    }
}
