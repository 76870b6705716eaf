/// What a worker answers to an `MarketQuery`.
package enum AuditAnswer: Equatable, Sendable {
    case compared(AuditReport)
    /// The book is here and could not be compared; the reason is for people.
    case unavailable(String)
    /// This worker has no replica of that market (any more, or yet).
    case notHere
    case badRequest(String)

    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = [LinkPayload.version]
        switch self {
        case .compared(let report):
            bytes.append(0)
            bytes.appendLittleEndian(report.updateID)
            bytes.appendLittleEndian(report.durationMilliseconds)
            for side in [report.asks, report.bids] {
                for count in [side.matched, side.drifted, side.orphaned, side.missed] {
                    bytes.appendLittleEndian(count)
                }
                bytes.appendText(side.comparedTo, atMost: LinkPayload.longestName)
            }
            bytes.appendText(report.dump, atMost: LinkPayload.longestText)
        case .unavailable(let reason):
            bytes.append(1)
            bytes.appendText(reason, atMost: LinkPayload.longestText)
        case .notHere: bytes.append(2)
        case .badRequest(let message):
            bytes.append(3)
            bytes.appendText(message, atMost: LinkPayload.longestText)
        }
        return bytes
    }

    package init(decoding bytes: [UInt8]) throws(LinkPayloadError) {
        var reader = PayloadReader(bytes)
        try reader.version()
        switch try reader.byte("outcome") {
        case 0: self = .compared(try AuditReport(&reader))
        case 1: self = .unavailable(try reader.text("reason", atMost: LinkPayload.longestText))
        case 2: self = .notHere
        case 3: self = .badRequest(try reader.text("message", atMost: LinkPayload.longestText))
        case let outcome: throw LinkPayloadError("expected outcome 0 to 3, was \(outcome)")
        }
        try reader.end()
    }
}

/// How a book fared against the exchange's own at one update id.
package struct AuditReport: Equatable, Sendable {
    package struct Side: Equatable, Sendable {
        package var matched: UInt32
        package var drifted: UInt32
        package var orphaned: UInt32
        package var missed: UInt32
        /// The price up to which both were compared; empty: to the end.
        package var comparedTo: String

        package init(
            matched: UInt32, drifted: UInt32 = 0, orphaned: UInt32 = 0, missed: UInt32 = 0,
            comparedTo: String = ""
        ) {
            self.matched = matched
            self.drifted = drifted
            self.orphaned = orphaned
            self.missed = missed
            self.comparedTo = comparedTo
        }

        package var isExact: Bool { drifted == 0 && orphaned == 0 && missed == 0 }
    }

    package var updateID: Int64
    /// From the request to the comparison.
    package var durationMilliseconds: UInt32
    package var asks: Side
    package var bids: Side
    /// The worker's file with both books and the events between, if they differ and it was kept.
    package var dump: String

    package var isExact: Bool { asks.isExact && bids.isExact }

    package init(
        updateID: Int64, durationMilliseconds: UInt32, asks: Side, bids: Side, dump: String = ""
    ) {
        self.updateID = updateID
        self.durationMilliseconds = durationMilliseconds
        self.asks = asks
        self.bids = bids
        self.dump = dump
    }

    fileprivate init(_ reader: inout PayloadReader) throws(LinkPayloadError) {
        updateID = try reader.integer(Int64.self, "id")
        durationMilliseconds = try reader.integer(UInt32.self, "duration")
        asks = try Side(&reader)
        bids = try Side(&reader)
        dump = try reader.text("dump", atMost: LinkPayload.longestText)
    }
}

extension AuditReport.Side {
    fileprivate init(_ reader: inout PayloadReader) throws(LinkPayloadError) {
        matched = try reader.integer(UInt32.self, "matched")
        drifted = try reader.integer(UInt32.self, "drifted")
        orphaned = try reader.integer(UInt32.self, "orphaned")
        missed = try reader.integer(UInt32.self, "missed")
        comparedTo = try reader.text("bound", atMost: LinkPayload.longestName)
    }
}
