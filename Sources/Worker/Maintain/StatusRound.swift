import Binance

/// What an exchange lists a market as.
struct MarketStatus: Sendable, Equatable {
    /// The exchange's own word, as `TRADING`, `BREAK` or `CANCEL_ONLY`.
    var word: String
    var isTrading: Bool

    /// Those of all markets that a reply lists, by canonical name.
    static func all(_ info: ExchangeInfo) -> [String: MarketStatus] {
        Dictionary(
            info.markets.map { market in
                (
                    Exchange.canonicalMarket(market.symbol),
                    MarketStatus(word: market.status, isTrading: market.isTrading)
                )
            }, uniquingKeysWith: { first, _ in first })
    }
}

/// How often an exchange is asked which markets trade.
struct StatusPace: Sendable {
    /// So old may what is known of a market become.
    var interval: Duration = .seconds(300)
    /// So long after a book began, or its stream fell silent, is its market looked up out of turn.
    var patience: Duration = .seconds(60)
    /// So long after a question comes the next one at the soonest.
    var pause: Duration = .seconds(30)
    /// So long after it if a market is said not to trade although its stream speaks.
    var confirmation: Duration = .seconds(10)
}

/// What exchangeInfo has said of a book's market.
struct MarketReading {
    /// When that was asked; nil: it has not been, or has to be again.
    var at: Duration?
    /// It was said not to trade, while its stream brought events: one more such answer is believed.
    var isSuspect = false

    /// Whether it is time to ask about a book that began to collect at `began` and heard its stream at `spoke`.
    func isDue(began: Duration, spoke: Duration, _ pace: StatusPace, now: Duration) -> Bool {
        if isSuspect { return true }
        guard let at else { return began + pace.patience <= now }
        let hasFallenSilent = spoke + pace.patience <= now && at < spoke + pace.patience
        return hasFallenSilent || at + pace.interval <= now
    }
}

/// The questions of one loop to one exchange about which of its markets trade: one at a time, for all its books.
struct StatusRound {
    /// Where names can be given, more than so many are not: the whole list has the same weight.
    static let mostNames = 50

    private(set) var askedAt: Duration?
    private(set) var isUnderWay = false
    /// A question that named markets was refused, perhaps for one of them.
    private var wantsAll = false

    /// Whether the next question may go out.
    func mayAsk(hasSuspect: Bool, _ pace: StatusPace, now: Duration) -> Bool {
        guard !isUnderWay else { return false }
        guard let askedAt else { return true }
        return askedAt + (hasSuspect ? pace.confirmation : pace.pause) <= now
    }

    /// Begins a question about the markets of those names; returns the names to put into it, none for the whole list.
    mutating func ask(_ markets: Set<String>, byName: Bool, now: Duration) -> [String] {
        askedAt = now
        isUnderWay = true
        return byName && !wantsAll && markets.count <= Self.mostNames ? markets.sorted() : []
    }

    /// The question was answered.
    mutating func answered() {
        isUnderWay = false
        wantsAll = false
    }

    /// The question was refused or lost; where it named several markets, all are asked for next, and at once if it was
    /// refused for one of them.
    mutating func failed(named count: Int, isUnknownMarket: Bool) {
        isUnderWay = false
        wantsAll = count > 1
        if wantsAll, isUnknownMarket { askedAt = nil }
    }
}
