/// What a gateway asks a worker: both sides of one or many books, each book from one state.
package struct BooksQuery: Equatable, Sendable {
    package static let mostMarkets = 4096

    /// Levels per side at most; 0: all.
    package var limit: UInt32
    /// Bounds each side for itself.
    package var threshold: VolumeThreshold
    /// A book that stands before this id is not wanted.
    package var leastID: Int64
    package var markets: [MarketQuery]

    package init(
        limit: UInt32 = 0, threshold: VolumeThreshold = .none, leastID: Int64 = 0, markets: [MarketQuery]
    ) {
        self.limit = limit
        self.threshold = threshold
        self.leastID = leastID
        self.markets = markets
    }

    package func encoded() -> [UInt8] {
        encoded(count: markets.count) { bytes in
            for market in markets.prefix(Self.mostMarkets) { market.appendNames(to: &bytes) }
        }
    }

    /// The query for `count` other markets, whose names `body` appends one after the other.
    package func encoded(count: Int, names body: (inout [UInt8]) -> Void) -> [UInt8] {
        var bytes: [UInt8] = [LinkPayload.version]
        bytes.reserveCapacity(40 + count * 28)
        bytes.appendLittleEndian(limit)
        bytes.appendLittleEndian(leastID)
        threshold.encode(into: &bytes)
        bytes.appendLittleEndian(UInt16(clamping: count))
        body(&bytes)
        return bytes
    }

    /// Reads a payload and refuses everything that `encoded` would not write.
    package init(decoding bytes: [UInt8]) throws(LinkPayloadError) {
        var reader = PayloadReader(bytes)
        try reader.version()
        limit = try reader.integer(UInt32.self, "limit")
        leastID = try reader.integer(Int64.self, "least id")
        threshold = try VolumeThreshold(reading: &reader)
        let count = Int(try reader.integer(UInt16.self, "number of markets"))
        guard (1...Self.mostMarkets).contains(count) else {
            throw LinkPayloadError("expected 1 to \(Self.mostMarkets) markets, was \(count)")
        }
        markets = []
        markets.reserveCapacity(min(count, reader.remaining / 4))
        for _ in 0..<count {
            let exchange = try reader.text("exchange", atMost: LinkPayload.longestName)
            let market = try reader.text("market", atMost: LinkPayload.longestName)
            markets.append(MarketQuery(exchange: exchange, market: market))
        }
        try reader.end()
    }
}

/// Which state of a book an answer shows, for whoever passes it on without reading it.
package struct BookMark: Equatable, Sendable {
    package var updateID: Int64
    /// Levels that are covered, both sides together: a book can come to know more without a change.
    package var coveredLevels: UInt32

    package init(updateID: Int64, coveredLevels: UInt32) {
        self.updateID = updateID
        self.coveredLevels = coveredLevels
    }
}

/// What a worker answers to a `BooksQuery`: one entry for each market, in the order of the query.
package enum BooksAnswer {
    package enum Entry: Equatable, Sendable {
        /// A complete JSON object.
        case served(BookMark, ArraySlice<UInt8>)
        case notSynchronized(reason: String)
        case notHere
        /// The book is in sync and stands here, before the least id.
        case behind(Int64)
    }

    package static func begin(_ count: Int, into bytes: inout [UInt8]) {
        bytes.append(LinkPayload.version)
        bytes.appendLittleEndian(UInt16(clamping: count))
    }

    private static let servedHead = 1 + 8 + 4 + 4

    /// Leaves room for the head of a `served` entry; the JSON is rendered straight behind it.
    package static func beginServed(into bytes: inout [UInt8]) -> Int {
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: servedHead))
        return start
    }

    /// Fills in the head of the entry that was begun at `start` and ends here.
    package static func endServed(_ mark: BookMark, from start: Int, in bytes: inout [UInt8]) {
        let count = UInt32(clamping: bytes.count - start - servedHead)
        // A bounds check before raw memory: `start` is what `beginServed` returned, and nothing in between removes bytes.
        precondition(bytes.count - start >= servedHead)
        unsafe bytes.withUnsafeMutableBytes { bytes in
            unsafe bytes[start] = 0
            unsafe bytes.storeBytes(
                of: mark.updateID.littleEndian, toByteOffset: start + 1, as: Int64.self)
            unsafe bytes.storeBytes(
                of: mark.coveredLevels.littleEndian, toByteOffset: start + 9, as: UInt32.self)
            unsafe bytes.storeBytes(of: count.littleEndian, toByteOffset: start + 13, as: UInt32.self)
        }
    }

    package static func append(_ entry: Entry, into bytes: inout [UInt8]) {
        switch entry {
        case .served(let mark, let json):
            let start = beginServed(into: &bytes)
            bytes.append(contentsOf: json)
            endServed(mark, from: start, in: &bytes)
        case .notSynchronized(let reason):
            bytes.append(1)
            bytes.appendText(reason, atMost: LinkPayload.longestText)
        case .notHere: bytes.append(2)
        case .behind(let id):
            bytes.append(3)
            bytes.appendLittleEndian(id)
        }
    }

    package static func encoded(_ entries: [Entry]) -> [UInt8] {
        var bytes: [UInt8] = []
        begin(entries.count, into: &bytes)
        for entry in entries { append(entry, into: &bytes) }
        return bytes
    }

    /// Reads a payload; what is served shares the storage of `bytes` and must at least look like an object.
    package static func entries(decoding bytes: [UInt8]) throws(LinkPayloadError) -> [Entry] {
        var reader = PayloadReader(bytes)
        try reader.version()
        let count = Int(try reader.integer(UInt16.self, "number of entries"))
        var entries: [Entry] = []
        entries.reserveCapacity(min(count, reader.remaining))
        for _ in 0..<count { entries.append(try Entry(reading: &reader)) }
        try reader.end()
        return entries
    }
}

extension BooksAnswer.Entry {
    fileprivate init(reading reader: inout PayloadReader) throws(LinkPayloadError) {
        switch try reader.byte("outcome") {
        case 0:
            let mark = BookMark(
                updateID: try reader.integer(Int64.self, "update id"),
                coveredLevels: try reader.integer(UInt32.self, "covered levels"))
            let json = try reader.bytes(Int(try reader.integer(UInt32.self, "length")), "book")
            guard json.count > 2, json.first == UInt8(ascii: "{"), json.last == UInt8(ascii: "}") else {
                throw LinkPayloadError("expected a JSON object, was \(json.count) other bytes")
            }
            self = .served(mark, json)
        case 1: self = .notSynchronized(reason: try reader.text("reason", atMost: LinkPayload.longestText))
        case 2: self = .notHere
        case 3: self = .behind(try reader.integer(Int64.self, "update id"))
        case let outcome: throw LinkPayloadError("expected outcome 0 to 3, was \(outcome)")
        }
    }
}
