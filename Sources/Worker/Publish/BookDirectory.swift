import DepthCacheAPI
import Telemetry

/// Which books answer for an exchange and market; replaced as a whole when assignments change.
final class BookDirectory: Sendable {
    private struct Name: Hashable {
        var exchange: String
        var market: String
    }
    private struct State {
        var routes: [MarketKey: [KeptBook]] = [:]
        /// All books, by what they are books of.
        var markets: [PeerMarket: [KeptBook]] = [:]
        /// Spellings that were asked for and found, so that the usual query folds no case.
        var known: [Name: [KeptBook]] = [:]
    }
    private static let knownLimit = 4096
    private let state = Guarded(State())

    func replace(_ routes: [MarketKey: [KeptBook]]) {
        var markets: [PeerMarket: [KeptBook]] = [:]
        for book in routes.values.joined() {
            let market = PeerMarket(venue: book.id.venue, market: book.id.market)
            if markets[market]?.contains(where: { $0 === book }) != true {
                markets[market, default: []].append(book)
            }
        }
        let new = State(routes: routes, markets: markets)
        state.withLock { $0 = new }
    }

    /// All books of a market of a venue, whatever exchange names their caches use.
    func books(of market: PeerMarket) -> [KeptBook] {
        state.withLock { $0.markets[market] ?? [] }
    }

    func books(exchange: String, market: String) -> [KeptBook] {
        let name = Name(exchange: exchange, market: market)
        return state.withLock { state in
            if let books = state.known[name] { return books }
            guard let books = state.routes[MarketKey(exchange: exchange, market: market)] else { return [] }
            if state.known.count >= Self.knownLimit { state.known = [:] }
            state.known[name] = books
            return books
        }
    }
}
