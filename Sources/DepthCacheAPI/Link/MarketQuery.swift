/// Asks a worker about its books of one market: how they stand, or to compare them with the exchange's own; the kind says which.
package struct MarketQuery: Equatable, Sendable {
    package var exchange: String
    package var market: String

    package init(exchange: String, market: String) {
        self.exchange = exchange
        self.market = market
    }

    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = [LinkPayload.version]
        appendNames(to: &bytes)
        return bytes
    }

    /// Appends exchange and market, as all queries have them.
    package func appendNames(to bytes: inout [UInt8]) {
        bytes.appendText(exchange, atMost: LinkPayload.longestName)
        bytes.appendText(market, atMost: LinkPayload.longestName)
    }

    /// Reads a payload and refuses everything that `encoded` would not write.
    package init(decoding bytes: [UInt8]) throws(LinkPayloadError) {
        var reader = PayloadReader(bytes)
        try reader.version()
        exchange = try reader.text("exchange", atMost: LinkPayload.longestName)
        market = try reader.text("market", atMost: LinkPayload.longestName)
        try reader.end()
    }
}
