internal import DepthCacheAPI
internal import Glibc

/// The book queries that a loop has read before; bound to it.
///
/// Clients ask the same few questions again and again. So what a query's bytes mean is kept under them: neither parameters
/// are read nor the market looked up for the next one.
final class KnownQueries {
    /// A query that was understood and whose market has a cache.
    final class Known {
        let wantsDebug: Bool
        /// The names as the client wrote them.
        let exchange: String
        let market: String
        fileprivate(set) var route: MarketRoute
        fileprivate let key: MarketKey
        /// Of the table that `route` is from.
        fileprivate var tableNumber: Int
        private let asks: [UInt8]
        private let bids: [UInt8]

        fileprivate init(
            _ query: BookQuery, wantsDebug: Bool, key: MarketKey, route: MarketRoute, _ number: Int
        ) {
            self.wantsDebug = wantsDebug
            exchange = query.exchange
            market = query.market
            self.route = route
            self.key = key
            tableNumber = number
            var query = query
            query.exchange = route.cache.exchange
            query.market = route.cache.market
            query.side = .asks
            asks = query.encoded()
            query.side = .bids
            bids = query.encoded()
        }

        func question(_ side: BookSide) -> BookQuestion { .side(side == .asks ? asks : bids) }
    }

    /// When there are more, all are let go and those that are still asked come back.
    static let most = 4096
    static let longest = 512
    private static let names: Set = ["exchange", "market", "limit_count", "threshold_volume", "debug"]
    private var all: [RawQuery: Known] = [:]
    private var table: RoutingTable?
    private var tableNumber = 0

    var count: Int { all.count }

    /// What these bytes mean by the routes of `table`; nil where that has to be read.
    func find(_ raw: ArraySlice<UInt8>, in table: RoutingTable) -> Known? {
        notice(table)
        guard let known = all[RawQuery(bytes: raw)] else { return nil }
        guard known.tableNumber != tableNumber else { return known }
        guard let route = table.routes[known.key], route.cache.exchange == known.route.cache.exchange,
            route.cache.market == known.route.cache.market
        else { return nil }
        known.route = route
        known.tableNumber = tableNumber
        return known
    }

    /// Keeps what was read, unless it is longer than anybody's query has to be or has parameters that mean nothing: with those
    /// some clients make every query a new one.
    func keep(
        _ raw: ArraySlice<UInt8>, _ query: BookQuery, wantsDebug: Bool, key: MarketKey, route: MarketRoute,
        of table: RoutingTable
    ) -> Known {
        notice(table)
        let known = Known(query, wantsDebug: wantsDebug, key: key, route: route, tableNumber)
        guard raw.count <= Self.longest, QueryString(raw).all.allSatisfy({ Self.names.contains($0.name) })
        else { return known }
        if all.count >= Self.most { all.removeAll(keepingCapacity: true) }
        // A copy: the bytes that were given belong to a whole request.
        all[RawQuery(bytes: Array(raw)[...])] = known
        return known
    }

    private func notice(_ new: RoutingTable) {
        guard new !== table else { return }
        table = new
        tableNumber += 1
    }
}

/// The bytes of a query as a key, hashed and compared all at once.
private struct RawQuery: Hashable {
    let bytes: ArraySlice<UInt8>

    func hash(into hasher: inout Hasher) {
        unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    }

    static func == (left: Self, right: Self) -> Bool {
        guard left.bytes.count == right.bytes.count else { return false }
        return unsafe left.bytes.withUnsafeBytes { left in
            unsafe right.bytes.withUnsafeBytes { right in
                guard let first = left.baseAddress, let second = right.baseAddress else { return true }
                return unsafe memcmp(first, second, left.count) == 0
            }
        }
    }
}
