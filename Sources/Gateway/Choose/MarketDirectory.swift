internal import Binance
internal import DepthCacheAPI

/// Which exchanges and markets exist, as far as is known; what is not known is not refused.
struct MarketDirectory: Sendable {
    /// In the spelling that clients use.
    var exchanges: [String]
    /// By exchange in lower case; absent until a list has been published.
    var markets: [String: MarketList] = [:]

    init(exchanges: [String] = ExchangeDirectory().names) { self.exchanges = exchanges }

    /// Why `exchange` cannot be meant; nil if it is known.
    func problem(exchange: String) -> ParameterProblem? {
        let wanted = exchange.asciiLowercased
        guard !exchanges.contains(where: { $0.asciiLowercased == wanted }) else { return nil }
        let known = exchanges.joined(separator: ", ")
        return ParameterProblem(name: "exchange", expected: "one of \(known)", was: exchange)
    }

    func problem(market: String, of exchange: String) -> ParameterProblem? {
        guard let known = markets[exchange.asciiLowercased], !known.contains(market) else { return nil }
        return ParameterProblem(name: "market", expected: "a market of \(exchange)", was: market)
    }
}
