import Binance
import Books

/// What a parser did that it must not do.
package struct Disagreement: Error, CustomStringConvertible {
    package var description: String
}

/// Runs the parsers over arbitrary bytes and compares them with the reference decoder.
///
/// Strictly valid JSON must give exactly what the reference gives. Other bytes may be refused or, where the parsers
/// are more tolerant than the standard, accepted: what is accepted then has to be sound in itself.
package enum FuzzCheck {
    /// The frames of a WebSocket.
    package static func wire(_ frame: UnsafeRawBufferPointer) throws(Disagreement) {
        var event = DepthEvent()
        let parser = DepthEventParser()
        let message = try? parser.parse(unsafe frame.bytes, into: &event)
        let name = parser.streamName(of: unsafe frame.bytes)
        let bytes = unsafe Array(frame)

        if case .depth(let stream, let symbol)? = message {
            guard stream.upperBound <= bytes.count, symbol.upperBound <= bytes.count else {
                throw Disagreement(description: "a name lies outside of the frame")
            }
            try requireSound(event)
        }
        if let name, name.upperBound > bytes.count {
            throw Disagreement(description: "streamName lies outside of the frame")
        }
        guard let json = ReferenceJSON(bytes) else { return }
        let expected = ReferenceFrame(json)
        try require(message.map(ReferenceFrame.words), equals: expected.message, "the message")
        if case .depth? = message { try require(event, equals: expected.event, "the event") }
        try require(name, equals: ReferenceFrame.streamName(json), "streamName")
    }

    /// The bodies of REST replies: every decoder sees every body.
    package static func rest(_ body: UnsafeRawBufferPointer) throws(Disagreement) {
        let bytes = unsafe Array(body)
        let snapshot = try? SnapshotParser.parse(unsafe body.bytes)
        let info = try? ExchangeInfo(parsing: bytes)
        let failure = RequestFailure(
            status: [200, 400, 403, 418, 429, 451, 500, 503][bytes.count % 8],
            retryAfter: bytes.count % 3 == 0 ? String(decoding: bytes.prefix(20), as: UTF8.self) : nil,
            body: bytes, nowMilliseconds: 1_790_000_000_000)
        if case .wait(let milliseconds, _) = failure.remedy, milliseconds < 1000 {
            throw Disagreement(description: "told to wait \(milliseconds) ms")
        }
        _ = info?.weightPerMinute
        if let snapshot {
            guard snapshot.lastID >= 0 else { throw Disagreement(description: "a snapshot id below zero") }
            try requireSound(snapshot.bids + snapshot.asks)
        }

        guard let json = ReferenceJSON(bytes) else { return }
        try require(snapshot, equals: referenceSnapshot(json), "the snapshot")
        let expected = ReferenceInfo(json)
        try require(info == nil, equals: expected == nil, "refusal of exchangeInfo")
        try require(info?.markets.map { [$0.symbol, $0.status] }, equals: expected?.markets, "markets")
        let limits = info?.rateLimits.map { [$0.type, $0.interval, "\($0.intervalCount)", "\($0.limit)"] }
        try require(limits, equals: expected?.limits, "rateLimits")
        try require(info?.serverTime, equals: expected?.serverTime, "serverTime")
        let frame = ReferenceFrame(json)
        if frame.message?.hasPrefix("reply") == true {
            try require(failure.code, equals: frame.reply.code, "the code of a refusal")
            try require(failure.message, equals: frame.reply.message ?? "", "the message of a refusal")
        }
    }

    /// Writes the event as a frame of its own, which has to be read as the same event.
    private static func requireSound(_ event: DepthEvent) throws(Disagreement) {
        guard event.first >= 0, event.first <= event.last else {
            throw Disagreement(description: "ids \(event.first) to \(event.last)")
        }
        try requireSound(event.bids + event.asks)
        var text = "{\"e\":\"depthUpdate\",\"E\":\(event.eventTime),\"U\":\(event.first),\"u\":\(event.last)"
        if let previous = event.sentPrevious { text += ",\"pu\":\(previous)" }
        text += ",\"b\":\(list(event.bids)),\"a\":\(list(event.asks))}"
        var again = DepthEvent()
        _ = try? DepthEventParser().parse(Array(text.utf8), into: &again)
        try require(again, equals: event, "the event, written out and read again")
    }

    private static func requireSound(_ levels: [PriceLevel]) throws(Disagreement) {
        let isSound = levels.allSatisfy {
            $0.priceMantissa > 0 && $0.quantityMantissa >= 0 && $0.priceScale <= 18 && $0.quantityScale <= 18
        }
        guard isSound else { throw Disagreement(description: "a level that cannot be: \(levels)") }
    }

    private static func list(_ levels: [PriceLevel]) -> String {
        "[" + levels.map { "[\"\($0.price)\",\"\($0.quantity)\"]" }.joined(separator: ",") + "]"
    }

    private static func require<Value: Equatable>(
        _ value: Value, equals expected: Value, _ what: String
    ) throws(Disagreement) {
        guard value == expected else {
            throw Disagreement(description: "\(what): parsed \(value), the reference says \(expected)")
        }
    }
}
