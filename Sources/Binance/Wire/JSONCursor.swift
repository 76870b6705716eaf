import Books

/// What was wrong with bytes from an exchange.
package enum WireError: Error, Equatable, Sendable, CustomStringConvertible {
    case notJSON(offset: Int)
    case missingField(String)
    case badField(String)

    package var description: String {
        switch self {
        case .notJSON(let offset): "expected JSON, was something else at byte \(offset)"
        case .missingField(let name): "expected the field '\(name)', was not there"
        case .badField(let name): "expected a value that fits the field '\(name)', was another"
        }
    }
}

/// A position in JSON text; every step checks the end, none copies or allocates.
@unsafe struct JSONCursor {
    var position: UnsafePointer<UInt8>
    let start: UnsafePointer<UInt8>
    let end: UnsafePointer<UInt8>

    /// The bytes between two quotes, still escaped.
    @unsafe struct Text {
        var start: UnsafePointer<UInt8>
        var count: Int

        /// Compares with ASCII text that needs no escape.
        func equals(_ text: StaticString) -> Bool {
            guard unsafe count == text.utf8CodeUnitCount else { return false }
            for index in unsafe 0..<count where unsafe start[index] != text.utf8Start[index] { return false }
            return true
        }
    }

    init(_ bytes: UnsafeRawBufferPointer) {
        if let base = bytes.baseAddress {
            unsafe start = base.assumingMemoryBound(to: UInt8.self)
        } else {
            unsafe start = UnsafePointer(bitPattern: 1).unsafelyUnwrapped
        }
        unsafe position = start
        unsafe end = start + bytes.count
    }

    var failure: WireError { unsafe .notJSON(offset: position - start) }

    /// The next byte that is not space; 0 at the end.
    @inline(__always) mutating func peek() -> UInt8 {
        while unsafe position < end {
            let byte = unsafe position.pointee
            if byte > 0x20 { return byte }
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else {
                return byte == 0 ? 1 : byte
            }
            unsafe position += 1
        }
        return 0
    }

    /// Moves past `byte` if it is next.
    @inline(__always) mutating func take(_ byte: UInt8) -> Bool {
        guard unsafe peek() == byte else { return false }
        unsafe position += 1
        return true
    }

    mutating func expect(_ byte: UInt8) throws(WireError) {
        guard unsafe take(byte) else { throw unsafe failure }
    }

    var isAtEnd: Bool { mutating get { unsafe peek() == 0 } }

    /// Reads a string and returns where its bytes are.
    mutating func text() throws(WireError) -> Text {
        guard unsafe take(0x22) else { throw unsafe failure }
        let first = unsafe position
        unsafe skipPlainText()
        while unsafe position < end {
            let byte = unsafe position.pointee
            if byte == 0x22 {
                let text = unsafe Text(start: first, count: position - first)
                unsafe position += 1
                return unsafe text
            }
            guard byte >= 0x20 else { throw unsafe failure }
            unsafe position += byte == 0x5C ? 2 : 1
        }
        unsafe position = end
        throw unsafe failure
    }

    /// Moves over text by eight bytes at a time, at most to the first that is a quote, an escape or a control.
    @inline(__always) private mutating func skipPlainText() {
        let ones: UInt64 = 0x0101_0101_0101_0101
        while unsafe end - position >= 8 {
            let chunk = unsafe UInt64(
                littleEndian: UnsafeRawPointer(position).loadUnaligned(as: UInt64.self))
            let quotes = chunk ^ (ones &* 0x22)
            let escapes = chunk ^ (ones &* 0x5C)
            // A borrow reaches later bytes only, so the first mark is true.
            let marks =
                ((quotes &- ones) & ~quotes) | ((escapes &- ones) & ~escapes)
                | ((chunk &- ones &* 0x20) & ~chunk)
            let plain = (marks & (ones &* 0x80)).trailingZeroBitCount &>> 3
            unsafe position += plain
            if plain < 8 { return }
        }
    }

    /// Reads a key and the colon behind it.
    mutating func key() throws(WireError) -> Text {
        let key = try unsafe text()
        try unsafe expect(0x3A)
        return unsafe key
    }

    /// Reads a key of one letter with the colon behind it; nil, with the position unchanged, for any other form.
    @inline(__always) mutating func shortKey() -> UInt8? {
        guard unsafe end - position >= 4 else { return nil }
        let bytes = unsafe UInt32(littleEndian: UnsafeRawPointer(position).loadUnaligned(as: UInt32.self))
        let letter = UInt8(truncatingIfNeeded: bytes &>> 8)
        guard bytes & 0xFFFF_00FF == 0x3A22_0022, letter | 0x20 >= 0x61, letter | 0x20 <= 0x7A else {
            return nil
        }
        unsafe position += 4
        return letter
    }

    /// Reads a whole number; nil, with the position unchanged, if there is none that fits.
    mutating func integer() -> Int64? {
        let isNegative = unsafe peek() == 0x2D
        let before = unsafe position
        if isNegative { unsafe position += 1 }
        var value: Int64 = 0
        let first = unsafe position
        var short: UInt64 = 0
        if unsafe scanDigits(&position, end, &short) <= 18 {
            value = Int64(truncatingIfNeeded: short)
        } else {
            unsafe position = first
        }
        while unsafe position < end {
            let digit = unsafe position.pointee &- 0x30
            guard digit < 10 else { break }
            let (product, overflowed) = value.multipliedReportingOverflow(by: 10)
            let (sum, carried) = product.addingReportingOverflow(Int64(digit))
            guard !overflowed, !carried else {
                unsafe position = before
                return nil
            }
            value = sum
            unsafe position += 1
        }
        let next = unsafe position < end ? position.pointee : 0
        guard unsafe position > first, next != 0x2E, next | 0x20 != 0x65 else {
            unsafe position = before
            return nil
        }
        return isNegative ? -value : value
    }

    /// Moves past any value, nested up to 64 deep.
    mutating func skipValue() throws(WireError) {
        var kinds: UInt64 = 0
        var depth = 0
        repeat {
            switch unsafe peek() {
            case 0x22: _ = try unsafe text()
            case 0x7B, 0x5B:
                guard depth < 64 else { throw unsafe failure }
                kinds = kinds << 1 | (unsafe position.pointee == 0x7B ? 1 : 0)
                depth += 1
                unsafe position += 1
            case 0x7D, 0x5D:
                guard depth > 0, (kinds & 1 == 1) == (unsafe position.pointee == 0x7D) else {
                    throw unsafe failure
                }
                kinds >>= 1
                depth -= 1
                unsafe position += 1
            case 0x2C, 0x3A:
                guard depth > 0 else { throw unsafe failure }
                unsafe position += 1
            case 0x2D, 0x30...0x39, 0x74, 0x66, 0x6E: unsafe skipWord()
            default: throw unsafe failure
            }
        } while depth > 0
    }

    private mutating func skipWord() {
        while unsafe position < end {
            switch unsafe position.pointee {
            case 0x2B, 0x2D, 0x2E, 0x30...0x39, 0x41...0x5A, 0x61...0x7A: unsafe position += 1
            default: return
            }
        }
    }

    /// Moves to the next field of an object; false at its end.
    ///
    /// `isFirst` is true before the first field only.
    mutating func nextField(_ isFirst: inout Bool) throws(WireError) -> Bool {
        if isFirst {
            isFirst = false
            return unsafe !take(0x7D)
        }
        if unsafe take(0x2C) { return true }
        try unsafe expect(0x7D)
        return false
    }

    /// Moves to the next element of an array; false at its end.
    mutating func nextElement(_ isFirst: inout Bool) throws(WireError) -> Bool {
        if isFirst {
            isFirst = false
            return unsafe !take(0x5D)
        }
        if unsafe take(0x2C) { return true }
        try unsafe expect(0x5D)
        return false
    }

    /// Moves past `byte` if it is next with no space before it.
    @inline(__always) mutating func takeNow(_ byte: UInt8) -> Bool {
        guard unsafe position < end, unsafe position.pointee == byte else { return false }
        unsafe position += 1
        return true
    }
}

extension JSONCursor.Text {
    /// The text with its escapes resolved; for cold paths.
    var string: String {
        let raw = unsafe UnsafeBufferPointer(start: start, count: count)
        guard unsafe raw.contains(0x5C) else { return unsafe String(decoding: raw, as: UTF8.self) }
        var units: [UInt16] = []
        var rest = unsafe Array(String(decoding: raw, as: UTF8.self).utf16)[...]
        while let unit = rest.popFirst() {
            guard unit == 0x5C, let escape = rest.popFirst() else {
                units.append(unit)
                continue
            }
            switch escape {
            case 0x62: units.append(8)
            case 0x66: units.append(12)
            case 0x6E: units.append(10)
            case 0x72: units.append(13)
            case 0x74: units.append(9)
            case 0x75:
                units.append(UInt16(String(decoding: rest.prefix(4), as: UTF16.self), radix: 16) ?? 0xFFFD)
                rest = rest.dropFirst(4)
            default: units.append(escape)
            }
        }
        return String(decoding: units, as: UTF16.self)
    }
}
