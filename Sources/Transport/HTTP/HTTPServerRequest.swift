/// One request as it arrived: its head as bytes, looked up on demand, and its whole body.
package struct HTTPServerRequest: Sendable {
    /// The request line and header lines, with the empty line that ends them.
    let head: [UInt8]
    let methodEnd: Int
    let targetRange: Range<Int>
    let headersStart: Int
    /// A bit for each name that a header may have: most that are asked for are not there, which this tells at once.
    private let names: UInt64
    package internal(set) var body: [UInt8] = []
    /// The loop that the connection lives on.
    package let loop: EventLoop
    package let remoteAddress: String
    package let isTLS: Bool

    package var method: String { String(decoding: head[..<methodEnd], as: UTF8.self) }

    /// Path and query as sent.
    package var target: ArraySlice<UInt8> { head[targetRange] }

    /// The path as sent, not decoded.
    package var path: String {
        let target = head[targetRange]
        return String(
            decoding: target[..<(target.firstIndex(of: UInt8(ascii: "?")) ?? target.endIndex)], as: UTF8.self)
    }

    /// What follows the first `?`, as sent, not decoded; empty without one.
    package var rawQuery: ArraySlice<UInt8> {
        let target = head[targetRange]
        guard let mark = target.firstIndex(of: UInt8(ascii: "?")) else { return target[target.endIndex...] }
        return target[(mark + 1)...]
    }

    /// Compares the method without making a string.
    package func isMethod(_ name: StaticString) -> Bool {
        unsafe head[..<methodEnd].elementsEqual(
            UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
    }

    /// The value of the first header with this name (any case), trimmed; `nil` without one.
    ///
    /// `name` is in lower case.
    package func header(_ name: StaticString) -> String? {
        guard names & Self.bit(name) != 0 else { return nil }
        var found: Range<Int>?
        forEachHeader { nameRange, value in
            guard isText(nameRange, name) else { return true }
            found = value
            return false
        }
        return found.map { String(decoding: head[$0], as: UTF8.self) }
    }

    /// Whether the first header with this name has this value, in any case; both are given in lower case.
    package func header(_ name: StaticString, is value: StaticString) -> Bool {
        guard names & Self.bit(name) != 0 else { return false }
        var isEqual = false
        forEachHeader { nameRange, range in
            guard isText(nameRange, name) else { return true }
            isEqual = isText(range, value)
            return false
        }
        return isEqual
    }

    /// Whether one of the headers with this name lists this word between commas, in any case; both are given in lower case.
    package func header(_ name: StaticString, lists word: StaticString) -> Bool {
        guard names & Self.bit(name) != 0 else { return false }
        var isListed = false
        forEachHeader { nameRange, range in
            guard isText(nameRange, name) else { return true }
            var start = range.lowerBound
            while start < range.upperBound, !isListed {
                let end = head[start..<range.upperBound].firstIndex(of: UInt8(ascii: ",")) ?? range.upperBound
                var (from, last) = (start, end)
                while from < last, head[from] <= 0x20 { from += 1 }
                while last > from, head[last - 1] <= 0x20 { last -= 1 }
                isListed = isText(from..<last, word)
                start = end + 1
            }
            return !isListed
        }
        return isListed
    }

    /// Whether the header stands there exactly once.
    func has(one name: StaticString) -> Bool {
        var count = 0
        forEachHeader { nameRange, _ in
            if isText(nameRange, name) { count += 1 }
            return true
        }
        return count == 1
    }

    /// Whether the head has this text there, in any case; `text` is in lower case.
    private func isText(_ range: Range<Int>, _ text: StaticString) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        return text.withUTF8Buffer { wanted in
            unsafe head.withUnsafeBufferPointer { head in
                range.allSatisfy {
                    unsafe Self.lower(head[$0]) == wanted[$0 - range.lowerBound]
                }
            }
        }
    }

    private static func bit(_ name: StaticString) -> UInt64 {
        unsafe bit(first: name.utf8Start.pointee, count: name.utf8CodeUnitCount)
    }

    private static func bit(first: UInt8, count: Int) -> UInt64 {
        1 << ((UInt64(lower(first)) &+ UInt64(truncatingIfNeeded: count) &* 5) & 63)
    }

    /// Names and values of all headers, in order.
    package var headers: [HTTPHeader] {
        var found: [HTTPHeader] = []
        forEachHeader { name, value in
            found.append(
                HTTPHeader(
                    String(decoding: head[name], as: UTF8.self), String(decoding: head[value], as: UTF8.self))
            )
            return true
        }
        return found
    }

    /// Calls `body` with the ranges of each name and trimmed value until it returns false.
    private func forEachHeader(_ body: (Range<Int>, Range<Int>) -> Bool) {
        unsafe head.withUnsafeBufferPointer { head in
            var start = headersStart
            while start < head.count {
                var end = start
                var colon = -1
                while end < head.count, unsafe head[end] != 0x0A {
                    if colon < 0, unsafe head[end] == UInt8(ascii: ":") { colon = end }
                    end += 1
                }
                if colon >= 0 {
                    var from = colon + 1
                    while from < end, unsafe head[from] == 0x20 || head[from] == 0x09 { from += 1 }
                    var last = end
                    while last > from, unsafe head[last - 1] <= 0x20 { last -= 1 }
                    if !body(start..<colon, from..<last) { return }
                }
                start = end + 1
            }
        }
    }

    private static func lower(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte }
}

extension HTTPServerRequest {
    /// Reads the request line; `nil` if it is not HTTP/1.x.
    init?(head: [UInt8], loop: EventLoop, remoteAddress: String, isTLS: Bool) {
        let lineEnd = head.firstIndex(of: 0x0A) ?? head.count
        guard let first = head[..<lineEnd].firstIndex(of: 0x20), first > 0, first <= 32,
            let second = head[(first + 1)..<lineEnd].firstIndex(of: 0x20), second > first + 1
        else { return nil }
        var version = head[(second + 1)..<lineEnd]
        if version.last == 0x0D { version = version.dropLast() }
        guard version.elementsEqual("HTTP/1.1".utf8) || version.elementsEqual("HTTP/1.0".utf8) else {
            return nil
        }
        let lineLast = lineEnd > 0 && head[lineEnd - 1] == 0x0D ? lineEnd - 1 : lineEnd
        let isClean = head[..<lineLast].allSatisfy { $0 >= 0x20 && $0 != 0x7F }
        guard isClean, head[..<first].allSatisfy(Self.isToken), let names = Self.names(in: head[lineEnd...])
        else { return nil }
        self.names = names
        self.head = head
        methodEnd = first
        targetRange = Self.pathStart(head, (first + 1)..<second)..<second
        headersStart = min(lineEnd + 1, head.count)
        self.loop = loop
        self.remoteAddress = remoteAddress
        self.isTLS = isTLS
    }

    /// Where the path begins: a target may be a whole URL (RFC 9112, 3.2.2), of which only path and query are looked at.
    private static func pathStart(_ head: [UInt8], _ target: Range<Int>) -> Int {
        guard head[target.lowerBound] != UInt8(ascii: "/") else { return target.lowerBound }
        for scheme in ["http://", "https://"] where target.count >= scheme.utf8.count {
            let start = target.lowerBound + scheme.utf8.count
            guard head[target.lowerBound..<start].map(lower).elementsEqual(scheme.utf8) else { continue }
            let end = head[start..<target.upperBound].firstIndex {
                $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?")
            }
            return end ?? target.upperBound
        }
        return target.lowerBound
    }

    /// Bytes of which methods and header names are made.
    private static func isToken(_ byte: UInt8) -> Bool { byte > 0x20 && byte < 0x7F && byte != 0x3A }

    /// The bits of all names, if each line (after the one that ends where this begins) is a name, a colon and a value
    /// without control characters: a lone CR ends a line for some readers, and NUL the text.
    private static func names(in lines: ArraySlice<UInt8>) -> UInt64? {
        unsafe lines.withUnsafeBufferPointer { bytes in
            var names: UInt64 = 0
            var index = 1
            while index < bytes.count {
                // The empty line. A CR alone is none: it would hide the header behind it.
                if unsafe bytes[index] == 0x0A { break }
                if unsafe bytes[index] == 0x0D, index + 1 < bytes.count, unsafe bytes[index + 1] == 0x0A {
                    break
                }
                let start = index
                while index < bytes.count, unsafe isToken(bytes[index]) { index += 1 }
                guard index > start, index < bytes.count, unsafe bytes[index] == 0x3A else { return nil }
                names |= unsafe bit(first: bytes[start], count: index - start)
                while index < bytes.count, unsafe bytes[index] != 0x0A {
                    let byte = unsafe bytes[index]
                    index += 1
                    guard byte < 0x20, byte != 0x09 else { continue }
                    guard byte == 0x0D, index < bytes.count, unsafe bytes[index] == 0x0A else { return nil }
                }
                index += 1
            }
            return names
        }
    }

    var isHTTP10: Bool { head[(targetRange.upperBound + 1)...].starts(with: "HTTP/1.0".utf8) }
}
