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
            }, uniquingKeysWith: { $0.isTrading ? $0 : $1 })
    }
}

/// How often an exchange is asked which markets trade.
struct StatusPace: Sendable {
    /// So old may what is known of a market become.
    var interval: Duration = .seconds(300)
    /// So long after its stream has fallen silent is a market looked up out of turn.
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
    /// It was said not to trade while its stream brought events, or not to be there: one more such answer is believed.
    var isSuspect = false
    /// The whole list left it out, which says nothing until it has been asked for by its name.
    var isMissing = false

    /// Whether it is asked about again soon.
    var isDoubtful: Bool { isSuspect || isMissing }

    /// Whether it is time to ask about a book that heard its stream at `spoke`.
    func isDue(spoke: Duration, _ pace: StatusPace, now: Duration) -> Bool {
        guard let at, !isDoubtful else { return true }
        let hasFallenSilent = spoke + pace.patience <= now && at < spoke + pace.patience
        return hasFallenSilent || at + pace.interval <= now
    }
}

/// The questions of one loop to one exchange about which of its markets trade: one at a time, for many books.
///
/// Where names can be given they are, up to a number; for more the whole list has the same weight. One name that the exchange
/// does not know refuses the question for all that stand beside it, so the next ones hold fewer.
struct StatusRound {
    static let mostNames = 50

    private(set) var askedAt: Duration?
    private(set) var isUnderWay = false
    private var didFail = false
    /// How many names the next question may hold.
    private var nameLimit = mostNames
    /// A question for one name alone was refused, and not because the exchange does not know it.
    private var wantsAll = false

    /// Whether the next question may go out.
    func mayAsk(hasSuspect: Bool, _ pace: StatusPace, now: Duration) -> Bool {
        guard !isUnderWay else { return false }
        guard let askedAt else { return true }
        return askedAt + (hasSuspect && !didFail ? pace.confirmation : pace.pause) <= now
    }

    /// Begins a question about these markets; returns the names to put into it, none for the whole list.
    ///
    /// What the whole list leaves out may still trade, so suspects are asked for by name, however many they are.
    mutating func ask(_ markets: [String], areSuspects: Bool, byName: Bool, now: Duration) -> [String] {
        askedAt = now
        isUnderWay = true
        guard byName, !wantsAll, areSuspects || markets.count <= Self.mostNames else { return [] }
        return Array(markets.prefix(nameLimit))
    }

    /// The question was answered; it may have waited for weight before it was sent.
    mutating func answered(sentAt: Duration) {
        askedAt = max(askedAt ?? sentAt, sentAt)
        (isUnderWay, didFail, wantsAll) = (false, false, false)
        nameLimit = min(nameLimit * 2, Self.mostNames)
    }

    /// The exchange does not know one of several names: the half of them is asked for at once.
    mutating func foundUnknown(among count: Int) {
        (isUnderWay, didFail, askedAt) = (false, false, nil)
        nameLimit = max(1, count / 2)
    }

    /// The question was refused, or not answered.
    mutating func failed(named count: Int, isRefused: Bool) {
        (isUnderWay, didFail) = (false, true)
        guard isRefused else { return }
        if count > 1 { nameLimit = max(1, count / 2) }
        wantsAll = count == 1
    }
}
