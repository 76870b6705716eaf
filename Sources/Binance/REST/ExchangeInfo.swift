/// What `exchangeInfo` says: the markets, and how much may be asked.
package struct ExchangeInfo: Sendable, Equatable {
    /// One market and whether it trades.
    package struct Market: Sendable, Equatable {
        package var symbol: String
        package var status: String

        /// Unknown statuses count as not trading; a market that is listed without one counts as trading.
        package var isTrading: Bool { status.isEmpty || status == "TRADING" }
    }

    /// One of the exchange's limits.
    package struct RateLimit: Sendable, Equatable {
        package var type = ""
        package var interval = ""
        package var intervalCount: Int64 = 1
        package var limit: Int64 = 0
    }

    package var serverTime: Int64?
    package var markets: [Market] = []
    package var rateLimits: [RateLimit] = []

    /// The request weight allowed per minute, if the reply tells.
    package var weightPerMinute: Int? {
        rateLimits.first { $0.type == "REQUEST_WEIGHT" && $0.interval == "MINUTE" }
            .flatMap { $0.intervalCount > 0 ? Int(clamping: $0.limit / $0.intervalCount) : nil }
    }

    /// The market of that name, compared with ASCII letters upper-cased; of several the one that trades.
    package func market(_ name: String) -> Market? {
        let wanted = Exchange.canonicalMarket(name)
        let named = markets.filter { Exchange.canonicalMarket($0.symbol) == wanted }
        return named.first(where: \.isTrading) ?? named.first
    }

    /// Reads the reply of any family: options list their markets under another name, COIN-M the status, and
    /// Binance TR sends `{"code":0,"data":{"list":[…]}}`.
    package init(parsing body: [UInt8]) throws(WireError) {
        var info = ExchangeInfo()
        var hasMarkets = false
        try unsafe body.span.bytes.withUnsafeBytes { bytes throws(WireError) in
            var cursor = unsafe JSONCursor(bytes)
            try unsafe cursor.expect(0x7B)
            var isFirst = true
            while try unsafe cursor.nextField(&isFirst) {
                let key = try unsafe cursor.key()
                let isList = unsafe cursor.peek() == 0x5B
                if unsafe key.equals("serverTime") && !isList {
                    let time = unsafe cursor.integer()
                    if time == nil { try unsafe cursor.skipValue() }
                    info.serverTime = time.flatMap { ExchangeClock.canBeTime($0) ? $0 : nil }
                } else if unsafe isList && (key.equals("symbols") || key.equals("optionSymbols")) {
                    hasMarkets = true
                    try unsafe Self.readMarkets(&cursor, into: &info)
                } else if unsafe isList && key.equals("rateLimits") {
                    try unsafe Self.readLimits(&cursor, into: &info)
                } else if unsafe key.equals("data") && cursor.peek() == 0x7B {
                    hasMarkets = try unsafe Self.readTurkishList(&cursor, into: &info) || hasMarkets
                } else if unsafe key.equals("code"), let code = unsafe cursor.integer() {
                    // A failure of the enveloped API comes with HTTP 200.
                    guard code == 0 else { throw .missingField("symbols") }
                } else {
                    try unsafe cursor.skipValue()
                }
            }
            guard unsafe cursor.isAtEnd else { throw unsafe cursor.failure }
        }
        guard hasMarkets else { throw .missingField("symbols") }
        self = info
    }

    private init() {}

    private static func readMarkets(_ cursor: inout JSONCursor, into info: inout ExchangeInfo)
        throws(WireError)
    {
        try unsafe cursor.expect(0x5B)
        var isFirst = true
        while try unsafe cursor.nextElement(&isFirst) {
            var market = Market(symbol: "", status: "")
            try unsafe cursor.expect(0x7B)
            var isFirstField = true
            while try unsafe cursor.nextField(&isFirstField) {
                let key = try unsafe cursor.key()
                let isText = unsafe cursor.peek() == 0x22
                if unsafe isText && key.equals("symbol") {
                    market.symbol = try unsafe cursor.text().string
                } else if unsafe isText && (key.equals("status") || key.equals("contractStatus")) {
                    market.status = try unsafe cursor.text().string
                } else {
                    try unsafe cursor.skipValue()
                }
            }
            guard !market.symbol.isEmpty else { throw .missingField("symbol") }
            info.markets.append(market)
        }
    }

    /// Binance TR's `data`: symbols are `BTC_TRY`, streams and books know them as `BTCTRY`.
    ///
    /// Only type 1 is matched on the engine whose books are asked for.
    private static func readTurkishList(_ cursor: inout JSONCursor, into info: inout ExchangeInfo)
        throws(WireError) -> Bool
    {
        var hasList = false
        try unsafe cursor.expect(0x7B)
        var isFirst = true
        while try unsafe cursor.nextField(&isFirst) {
            guard try unsafe cursor.key().equals("list"), unsafe cursor.peek() == 0x5B else {
                try unsafe cursor.skipValue()
                continue
            }
            hasList = true
            try unsafe cursor.expect(0x5B)
            var isFirstMarket = true
            while try unsafe cursor.nextElement(&isFirstMarket) {
                info.markets.append(try unsafe turkishMarket(&cursor))
            }
        }
        return hasList
    }

    private static func turkishMarket(_ cursor: inout JSONCursor) throws(WireError) -> Market {
        var (symbol, type, trades) = ("", Int64(1), Int64(1))
        try unsafe cursor.expect(0x7B)
        var isFirst = true
        while try unsafe cursor.nextField(&isFirst) {
            let key = try unsafe cursor.key()
            if unsafe key.equals("symbol") && cursor.peek() == 0x22 {
                symbol = try unsafe cursor.text().string.filter { $0 != "_" }
            } else if unsafe key.equals("type"), let value = unsafe cursor.integer() {
                type = value
            } else if unsafe key.equals("spotTradingEnable"), let value = unsafe cursor.integer() {
                trades = value
            } else {
                try unsafe cursor.skipValue()
            }
        }
        guard !symbol.isEmpty else { throw .missingField("symbol") }
        return Market(
            symbol: symbol, status: type != 1 ? "OTHER_PLATFORM" : trades == 1 ? "TRADING" : "BREAK")
    }

    private static func readLimits(_ cursor: inout JSONCursor, into info: inout ExchangeInfo)
        throws(WireError)
    {
        try unsafe cursor.expect(0x5B)
        var isFirst = true
        while try unsafe cursor.nextElement(&isFirst) {
            var limit = RateLimit()
            try unsafe cursor.expect(0x7B)
            var isFirstField = true
            while try unsafe cursor.nextField(&isFirstField) {
                let key = try unsafe cursor.key()
                let isText = unsafe cursor.peek() == 0x22
                if unsafe isText && key.equals("rateLimitType") {
                    limit.type = try unsafe cursor.text().string
                } else if unsafe isText && key.equals("interval") {
                    limit.interval = try unsafe cursor.text().string
                } else if unsafe key.equals("intervalNum"), let count = unsafe cursor.integer() {
                    limit.intervalCount = count
                } else if unsafe key.equals("limit"), let value = unsafe cursor.integer() {
                    limit.limit = value
                } else {
                    try unsafe cursor.skipValue()
                }
            }
            info.rateLimits.append(limit)
        }
    }
}
