package import Books

/// Reads the body of a REST depth reply of any family.
package enum SnapshotParser {
    /// Reads `body`; fields may come in any order, and in the envelope that Binance TR uses.
    package static func parse(_ body: RawSpan) throws(WireError) -> BookSnapshot {
        try unsafe body.withUnsafeBytes { bytes throws(WireError) -> BookSnapshot in
            var cursor = unsafe JSONCursor(bytes)
            var fields = Fields()
            try unsafe read(&cursor, into: &fields)
            guard unsafe cursor.isAtEnd else { throw unsafe cursor.failure }
            guard fields.hasID else { throw .missingField("lastUpdateId") }
            guard fields.hasBids else { throw .missingField("bids") }
            guard fields.hasAsks else { throw .missingField("asks") }
            return fields.snapshot
        }
    }

    /// Reads `body`; fields may come in any order, and in the envelope that Binance TR uses.
    package static func parse(_ body: [UInt8]) throws(WireError) -> BookSnapshot {
        try unsafe parse(body.span.bytes)
    }

    private struct Fields {
        var snapshot = BookSnapshot()
        var hasID = false
        var hasBids = false
        var hasAsks = false
    }

    private static func read(
        _ cursor: inout JSONCursor, into fields: inout Fields, isEnvelope: Bool = true
    ) throws(WireError) {
        try unsafe cursor.expect(0x7B)
        var isFirst = true
        while try unsafe cursor.nextField(&isFirst) {
            let key = try unsafe cursor.key()
            if unsafe key.equals("lastUpdateId") {
                _ = unsafe cursor.peek()
                guard let id = unsafe cursor.integer(), id >= 0 else { throw .badField("lastUpdateId") }
                fields.snapshot.lastID = id
                fields.hasID = true
            } else if unsafe key.equals("bids") {
                fields.snapshot.bids = try unsafe levels(&cursor, "bids")
                fields.hasBids = true
            } else if unsafe key.equals("asks") {
                fields.snapshot.asks = try unsafe levels(&cursor, "asks")
                fields.hasAsks = true
            } else if unsafe key.equals("E") || (key.equals("T") && fields.snapshot.eventTime == nil) {
                _ = unsafe cursor.peek()
                guard let time = unsafe cursor.integer(), ExchangeClock.canBeTime(time) else {
                    throw .badField("E")
                }
                fields.snapshot.eventTime = time
            } else if unsafe isEnvelope && key.equals("data") && cursor.peek() == 0x7B {
                try unsafe read(&cursor, into: &fields, isEnvelope: false)
            } else {
                try unsafe cursor.skipValue()
            }
        }
    }

    private static func levels(_ cursor: inout JSONCursor, _ name: String) throws(WireError) -> [PriceLevel] {
        var levels: [PriceLevel] = []
        levels.reserveCapacity(1000)
        var form = LevelForm()
        guard unsafe cursor.levels(into: &levels, form: &form) else { throw .badField(name) }
        return levels
    }
}
