/// Writes the `exchangeInfo` of an exchange in its own shape.
struct ExchangeInfoWriter {
    private let engine: ExchangeEngine
    private var kind: MarketKind { engine.exchange.kind }

    init(_ engine: ExchangeEngine) { self.engine = engine }

    func bytes(_ symbols: [String], weightLimit: Int, at milliseconds: Int64) -> [UInt8] {
        var writer = ByteWriter(capacity: 65_536)
        writer.raw("{\"timezone\":\"UTC\",\"serverTime\":\(milliseconds)")
        if kind == .usdMargined { writer.literal(",\"futuresType\":\"U_MARGINED\"") }
        writer.raw(
            ",\"rateLimits\":[{\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":\"MINUTE\",\"intervalNum\":1,\"limit\":\(weightLimit)}"
        )
        if kind == .spot {
            let rawRequests = engine.exchange.name == "binance.us" ? 61_000 : 300_000
            writer.raw(
                ",{\"rateLimitType\":\"RAW_REQUESTS\",\"interval\":\"MINUTE\",\"intervalNum\":5,\"limit\":\(rawRequests)}"
            )
        }
        writer.literal("],\"exchangeFilters\":[]")
        if kind == .options {
            writer.literal(",\"optionContracts\":[],\"optionAssets\":[],\"optionSymbols\":[")
        } else {
            writer.literal(",\"symbols\":[")
        }
        for (index, name) in symbols.enumerated() {
            guard let market = engine.markets[name] else { continue }
            if index > 0 { writer.literal(",") }
            symbol(market, &writer)
        }
        writer.literal("]}")
        return writer.bytes
    }

    private func symbol(_ market: Market, _ writer: inout ByteWriter) {
        let name = market.symbol
        let (base, quote) = Self.assets(name)
        let state = status(of: market)
        writer.literal("{\"symbol\":")
        writer.string(name)
        switch kind {
        case .spot:
            writer.raw(
                ",\"status\":\"\(state)\",\"baseAsset\":\"\(base)\",\"baseAssetPrecision\":8,\"quoteAsset\":\"\(quote)\",\"quotePrecision\":8,\"isSpotTradingAllowed\":true,\"permissionSets\":[[\"SPOT\"]]"
            )
        case .usdMargined, .coinMargined:
            let key = kind == .usdMargined ? "status" : "contractStatus"
            writer.raw(
                ",\"pair\":\"\(market.pair)\",\"contractType\":\"PERPETUAL\",\"deliveryDate\":4133404800000,\"\(key)\":\"\(state)\",\"baseAsset\":\"\(base)\",\"quoteAsset\":\"\(quote)\",\"pricePrecision\":\(market.format.priceScale),\"quantityPrecision\":\(market.format.quantityScale)"
            )
            if kind == .coinMargined { writer.literal(",\"contractSize\":100") }
        case .options:
            let parts = name.split(separator: "-")
            writer.raw(
                ",\"underlying\":\"\(parts.first ?? "")USDT\",\"side\":\"CALL\",\"strikePrice\":\"\(parts.count > 2 ? parts[2] : "0")\",\"unit\":1,\"expiryDate\":\(market.expiry ?? 0),\"status\":\"\(state)\",\"priceScale\":\(market.format.priceScale),\"quantityScale\":\(market.format.quantityScale)"
            )
        }
        let tick = DecimalFormat.text(1, scale: market.format.priceScale)
        let step = DecimalFormat.text(1, scale: market.format.quantityScale)
        writer.raw(
            ",\"filters\":[{\"filterType\":\"PRICE_FILTER\",\"minPrice\":\"\(tick)\",\"maxPrice\":\"10000000\",\"tickSize\":\"\(tick)\"},{\"filterType\":\"LOT_SIZE\",\"minQty\":\"\(step)\",\"maxQty\":\"9000000\",\"stepSize\":\"\(step)\"}]}"
        )
    }

    /// The family's own word for how a market stands; only spot knows one in which orders can be cancelled alone.
    private func status(of market: Market) -> String {
        switch kind {
        case _ where market.isTrading && !market.isCancelOnly: "TRADING"
        case .spot: market.isTrading ? "CANCEL_ONLY" : "BREAK"
        case .usdMargined, .coinMargined: "SETTLING"
        case .options: "CLOSE"
        }
    }

    /// Base and quote asset of a symbol, guessed as far as the simulator's own names and common recordings need it.
    static func assets(_ symbol: String) -> (base: String, quote: String) {
        let pair = symbol.split { $0 == "_" || $0 == "-" }.first.map(String.init) ?? symbol
        for quote in ["USDT", "USD", "TRY", "BRL", "EUR", "BTC", "ETH"] where pair.hasSuffix(quote) {
            if pair.count > quote.count { return (String(pair.dropLast(quote.count)), quote) }
        }
        return (pair, "USDT")
    }

    /// The list of Binance TR's own API.
    func turkishSymbols(at milliseconds: Int64) -> [UInt8] {
        var writer = ByteWriter(capacity: 16_384)
        writer.literal("{\"code\":0,\"msg\":\"success\",\"data\":{\"list\":[")
        for (index, name) in engine.symbols.enumerated() {
            let (base, quote) = Self.assets(name)
            if index > 0 { writer.literal(",") }
            let trades = engine.markets[name].map(status(of:)) == "TRADING" ? 1 : 0
            writer.raw(
                "{\"type\":1,\"symbol\":\"\(base)_\(quote)\",\"baseAsset\":\"\(base)\",\"quoteAsset\":\"\(quote)\",\"spotTradingEnable\":\(trades)}"
            )
        }
        writer.raw("]},\"timestamp\":\(milliseconds)}")
        return writer.bytes
    }
}
