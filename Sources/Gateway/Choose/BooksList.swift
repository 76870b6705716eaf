internal import DepthCacheAPI
internal import Synchronization

/// The markets of one call for many books, with what choosing workers and asking them needs laid side by side: hundreds of
/// routes, copies and names are in no cache, and each is found through the one before.
final class BooksList: Sendable {
    /// A copy as far as a call for many books looks at it.
    struct Copy: Sendable {
        /// The place of its worker in `workers`.
        let worker: Int
        let isRunning: Bool
    }
    private struct Market: Sendable {
        /// Where its copies begin and end.
        let copies: Range<Int>
        /// Where its names begin and end.
        let names: Range<Int>
    }

    let routes: [MarketRoute]
    /// The uids of the workers that keep copies.
    let workers: [String]
    private let markets: [Market]
    private let copies: [Copy]
    /// The names of all markets, as a `BooksQuery` has them.
    private let names: [UInt8]

    init(_ routes: [MarketRoute]) {
        self.routes = routes
        var workers: [String] = []
        var numbers: [String: Int] = [:]
        var (markets, copies, names) = ([Market](), [Copy](), [UInt8]())
        markets.reserveCapacity(routes.count)
        for route in routes {
            let (firstCopy, firstName) = (copies.count, names.count)
            for replica in route.replicas {
                let known = numbers[replica.workerUID]
                let number = known ?? workers.count
                if known == nil {
                    numbers[replica.workerUID] = number
                    workers.append(replica.workerUID)
                }
                copies.append(Copy(worker: number, isRunning: replica.isRunning))
            }
            MarketQuery(exchange: route.cache.exchange, market: route.cache.market).appendNames(to: &names)
            markets.append(
                Market(copies: firstCopy..<copies.count, names: firstName..<names.count))
        }
        (self.workers, self.markets, self.copies, self.names) = (workers, markets, copies, names)
    }

    /// The copies of a market, in the order of its route's replicas.
    func copies(of market: Int) -> ArraySlice<Copy> { copies[markets[market].copies] }

    /// Which copy of a market is to be asked first in the `call`th call for many books.
    ///
    /// By the call alone, so that workers are asked for the same books again after as many calls as there are copies.
    func turn(of market: Int, in call: Int) -> Int {
        ReplicaChoice.first(markets[market].copies.count, turn: call &+ market)
    }

    /// The question `query` for some of the markets, in place of its own.
    func question(_ query: BooksQuery, for wanted: ArraySlice<Int>) -> [UInt8] {
        query.encoded(count: wanted.count) { bytes in
            for market in wanted { bytes.append(contentsOf: names[markets[market].names]) }
        }
    }
}
