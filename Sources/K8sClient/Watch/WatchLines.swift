/// Cuts a watch response into lines, however the network cut it into chunks.
package struct WatchLines: Sendable {
    private var partial: [UInt8] = []
    private let limit: Int

    package init(limit: Int = 8 << 20) { self.limit = limit }

    /// A line longer than the limit: a broken server, not a slow one.
    package struct LineTooLong: Error, Equatable {
        package var limit: Int

        package init(limit: Int) { self.limit = limit }
    }

    /// Takes a chunk; returns the whole lines that it completes, without empty ones.
    package mutating func feed(_ chunk: [UInt8]) throws(LineTooLong) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var rest = chunk[...]
        while let end = rest.firstIndex(of: 0x0A) {
            try append(rest[..<end])
            if partial.last == 0x0D { partial.removeLast() }
            if !partial.isEmpty { lines.append(partial) }
            partial.removeAll(keepingCapacity: true)
            rest = rest[(end + 1)...]
        }
        try append(rest)
        return lines
    }

    private mutating func append(_ bytes: ArraySlice<UInt8>) throws(LineTooLong) {
        guard partial.count + bytes.count <= limit else { throw LineTooLong(limit: limit) }
        partial += bytes
    }
}
