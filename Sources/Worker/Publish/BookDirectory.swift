import DepthCacheAPI
import Telemetry

/// Which books answer for an exchange and market; replaced as a whole when assignments change.
final class BookDirectory: Sendable {
    private struct Name: Hashable {
        var exchange: String
        var market: String
    }
    private struct State {
        /// How often all was replaced.
        var version: UInt64 = 0
        var routes: [MarketKey: [KeptBook]] = [:]
        /// All books, by what they are books of.
        var markets: [PeerMarket: [KeptBook]] = [:]
        /// Spellings that were asked for and found, so that the usual query folds no case.
        var known: [Name: [KeptBook]] = [:]
        var questions = KnownQuestions()

        mutating func books(_ exchange: String, _ market: String) -> [KeptBook] {
            let name = Name(exchange: exchange, market: market)
            if let books = known[name] { return books }
            guard let books = routes[MarketKey(exchange: exchange, market: market)] else { return [] }
            if known.count >= BookDirectory.knownLimit { known = [:] }
            known[name] = books
            return books
        }
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
        state.withLock { state in
            let version = state.version
            state = new
            state.version = version + 1
        }
    }

    /// What the `BooksQuery` in `bytes` asks for.
    func question(_ bytes: UnsafeRawBufferPointer) throws(LinkPayloadError) -> BooksQuestion {
        let mayBeKnown = bytes.count >= KnownQuestions.shortest
        if mayBeKnown, let known = state.withLock({ unsafe $0.questions.find(bytes) }) { return known }
        let bytes = unsafe [UInt8](bytes)
        let query = try BooksQuery(decoding: bytes)
        let (version, books) = state.withLock { state in
            (state.version, query.markets.map { state.books($0.exchange, $0.market) })
        }
        let question = BooksQuestion(query, books: books)
        guard mayBeKnown else { return question }
        state.withLock { state in
            // Books that have been replaced since are not held on to.
            if state.version == version { state.questions.keep(question, bytes) }
        }
        return question
    }

    /// All books of a market of a venue, whatever exchange names their caches use.
    func books(of market: PeerMarket) -> [KeptBook] {
        state.withLock { $0.markets[market] ?? [] }
    }

    func books(exchange: String, market: String) -> [KeptBook] {
        state.withLock { $0.books(exchange, market) }
    }
}
