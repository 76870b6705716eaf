internal import Binance
internal import DepthCacheAPI

/// Which exchanges and markets exist, as far as is known; what is not known is not refused.
struct MarketDirectory: Sendable {
    /// In the spelling that clients use.
    var exchanges: [String]
    /// By exchange in lower case; absent until a list has been published.
    var markets: [String: MarketList] = [:]

    /// The feed speeds that each exchange offers, in milliseconds, by its name in lower case.
    private let updateIntervals: [String: [Int]]

    init(exchanges: ExchangeDirectory = ExchangeDirectory()) {
        self.exchanges = exchanges.names
        updateIntervals = Dictionary(
            exchanges.all.map { ($0.name.asciiLowercased, $0.updateIntervals) }, uniquingKeysWith: { $1 })
    }

    /// Why `exchange` cannot be meant; nil if it is known.
    func problem(exchange: String) -> ParameterProblem? {
        let wanted = exchange.asciiLowercased
        guard !exchanges.contains(where: { $0.asciiLowercased == wanted }) else { return nil }
        let known = exchanges.joined(separator: ", ")
        return ParameterProblem(name: "exchange", expected: "one of \(known)", was: exchange)
    }

    /// Why the feed of `exchange` cannot come so often; without this check its cache would never be placed.
    func problem(updateInterval: Int, of exchange: String) -> ParameterProblem? {
        guard let offered = updateIntervals[exchange.asciiLowercased], !offered.contains(updateInterval)
        else { return nil }
        let list = offered.sorted().map { "\($0)" }.joined(separator: ", ")
        return ParameterProblem(
            name: "update_interval", expected: "one of \(list)", was: "\(updateInterval)")
    }

    func problem(market: String, of exchange: String) -> ParameterProblem? {
        guard let known = markets[exchange.asciiLowercased], !known.contains(market) else { return nil }
        return ParameterProblem(name: "market", expected: "a market of \(exchange)", was: market)
    }
}
