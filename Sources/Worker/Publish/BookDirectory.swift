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
        /// Spellings that were asked for and found, so that the usual query folds no case.
        var known: [Name: [KeptBook]] = [:]
    }
    private static let knownLimit = 4096
    private let state = Guarded(State())

    func replace(_ routes: [MarketKey: [KeptBook]]) {
        state.withLock { $0 = State(routes: routes) }
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
