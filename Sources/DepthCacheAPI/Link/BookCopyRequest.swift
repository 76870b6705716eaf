/// What a worker asks another one for: a copy of a book that this one keeps in step.
package struct BookCopyRequest: Equatable, Sendable {
    /// The exchange whose servers feed the book; margin aliases share one.
    package var venue: String
    /// In the form in which the venue names it.
    package var market: String
    /// The copy must stand at this id or later: the asker's events begin there.
    package var leastID: Int64
    /// Each side of the copy must be whole or cover so many levels; 0 takes what there is.
    package var leastLevels: UInt32

    package init(venue: String, market: String, leastID: Int64 = 0, leastLevels: UInt32 = 0) {
        self.venue = venue
        self.market = market
        self.leastID = leastID
        self.leastLevels = leastLevels
    }

    package func encode(into bytes: inout [UInt8]) {
        bytes.append(LinkPayload.version)
        bytes.appendLittleEndian(leastID)
        bytes.appendLittleEndian(leastLevels)
        bytes.appendText(venue, atMost: LinkPayload.longestName)
        bytes.appendText(market, atMost: LinkPayload.longestName)
    }

    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(20 + venue.utf8.count + market.utf8.count)
        encode(into: &bytes)
        return bytes
    }

    /// Reads a payload and refuses everything that `encode` would not write.
    package init(decoding bytes: [UInt8]) throws(LinkPayloadError) {
        var reader = PayloadReader(bytes)
        try reader.version()
        leastID = try reader.integer(Int64.self, "least id")
        leastLevels = try reader.integer(UInt32.self, "least levels")
        venue = try reader.text("venue", atMost: LinkPayload.longestName)
        market = try reader.text("market", atMost: LinkPayload.longestName)
        try reader.end()
    }
}

/// Why a worker gives no copy.
package struct BookCopyRefusal: Equatable, Sendable {
    package enum Code: UInt8, CaseIterable, Sendable {
        /// This worker keeps no replica of the market (any more, or yet).
        case notHere = 0
        case notSynchronized = 1
        /// The book stands before the id that was asked for; it will get there.
        case tooOld = 2
        case tooShallow = 3
        /// Its events come late.
        case lagging = 4
        /// Its ids went backwards.
        case regressed = 5
        /// The last audit of this replica found a difference.
        case auditFailed = 6
        case badRequest = 7
    }

    package var code: Code
    /// The worker has itself asked the exchange for what is missing: waiting costs nothing twice.
    package var isComing: Bool
    /// Where the book stands, if it stands anywhere; else 0.
    package var id: Int64
    /// For people.
    package var reason: String

    package init(_ code: Code, isComing: Bool = false, id: Int64 = 0, reason: String = "") {
        self.code = code
        self.isComing = isComing
        self.id = id
        self.reason = reason
    }
}
