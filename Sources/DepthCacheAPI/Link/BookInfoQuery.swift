/// Asks a worker how its books of one market stand: phase, coverage, last audit.
///
/// The answer is a `BookAnswer` whose JSON object has the members that `docs/link.md` lists.
package struct BookInfoQuery: Equatable, Sendable {
    package var exchange: String
    package var market: String

    package init(exchange: String, market: String) {
        self.exchange = exchange
        self.market = market
    }

    package func encoded() -> [UInt8] {
        var bytes = [LinkPayload.version]
        bytes.appendText(exchange, atMost: LinkPayload.longestName)
        bytes.appendText(market, atMost: LinkPayload.longestName)
        return bytes
    }

    package init(decoding bytes: [UInt8]) throws(LinkPayloadError) {
        var reader = PayloadReader(bytes)
        try reader.version()
        exchange = try reader.text("exchange", atMost: LinkPayload.longestName)
        market = try reader.text("market", atMost: LinkPayload.longestName)
        try reader.end()
    }
}
