/// What `exchangeInfo` says: the markets, and how much may be asked.
package struct ExchangeInfo: Sendable, Equatable {
    /// One market and whether it trades.
    package struct Market: Sendable, Equatable {
        package var symbol: String
        package var status: String

        /// Unknown statuses count as not trading.
        package var isTrading: Bool { status == "TRADING" }
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

    /// The market of that name, compared with ASCII letters upper-cased.
    package func market(_ name: String) -> Market? {
        let wanted = Exchange.canonicalMarket(name)
        return markets.first { Exchange.canonicalMarket($0.symbol) == wanted }
    }

    /// Reads the reply of any family; options list their markets under another name, COIN-M the status.
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
                    info.serverTime = unsafe cursor.integer()
                    if info.serverTime == nil { try unsafe cursor.skipValue() }
                } else if unsafe isList && (key.equals("symbols") || key.equals("optionSymbols")) {
                    hasMarkets = true
                    try unsafe Self.readMarkets(&cursor, into: &info)
                } else if unsafe isList && key.equals("rateLimits") {
                    try unsafe Self.readLimits(&cursor, into: &info)
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
