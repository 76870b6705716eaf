/// Writes depth events in the dialect of a market, into a buffer that is reused.
struct EventRenderer {
    private(set) var writer = ByteWriter(capacity: 16_384)
    private var sorted: [Change] = []

    /// Renders the `data` object of an event; its text is in `writer` afterwards.
    mutating func render(_ event: MarketEvent, of market: Market) {
        writer.reset()
        writer.literal("{\"e\":\"depthUpdate\",\"E\":")
        let time = market.eventTime(event)
        writer.integer(time)
        if market.kind != .spot {
            writer.literal(",\"T\":")
            writer.integer(time - 3)
        }
        writer.literal(",\"s\":")
        writer.string(market.symbol)
        if market.kind == .coinMargined || market.kind == .usdMargined {
            writer.literal(",\"ps\":")
            writer.string(market.pair)
        }
        writer.literal(",\"U\":")
        writer.integer(event.first)
        writer.literal(",\"u\":")
        writer.integer(event.last)
        if market.kind.chainsByPreviousID {
            writer.literal(",\"pu\":")
            writer.integer(event.previousLast)
        }
        sorted = event.changes
        sorted.sort { $0.key > $1.key }
        let bidCount = sorted.firstIndex { $0.key < 0 } ?? sorted.count
        writer.literal(",\"b\":[")
        writer.levels(sorted[..<bidCount], market.format)
        writer.literal("],\"a\":[")
        writer.levels(sorted[bidCount...], market.format)
        switch market.kind {
        case .usdMargined: writer.literal("],\"st\":1}")
        case .coinMargined: writer.literal("],\"st\":2}")
        case .spot, .options: writer.literal("]}")
        }
    }
}

extension ByteWriter {
    /// `["price","quantity"]`.
    mutating func level(price: Int64, _ quantity: Int64, _ format: DecimalFormat) {
        byte(UInt8(ascii: "["))
        byte(UInt8(ascii: "\""))
        decimal(price, scale: format.priceScale)
        byte(UInt8(ascii: "\""))
        byte(UInt8(ascii: ","))
        byte(UInt8(ascii: "\""))
        decimal(quantity, scale: format.quantityScale)
        byte(UInt8(ascii: "\""))
        byte(UInt8(ascii: "]"))
    }

    /// `"bids":[…],"asks":[…]`.
    mutating func sides(_ snapshot: MarketSnapshot, _ format: DecimalFormat) {
        literal("\"bids\":[")
        for (index, level) in snapshot.bids.enumerated() {
            if index > 0 { byte(UInt8(ascii: ",")) }
            self.level(price: level.price, level.quantity, format)
        }
        literal("],\"asks\":[")
        for (index, level) in snapshot.asks.enumerated() {
            if index > 0 { byte(UInt8(ascii: ",")) }
            self.level(price: level.price, level.quantity, format)
        }
        literal("]")
    }
}

extension Market {
    /// The pair that a contract belongs to: `BTCUSD` of `BTCUSD_PERP`.
    var pair: String { String(symbol.split(separator: "_").first ?? "") }
}
