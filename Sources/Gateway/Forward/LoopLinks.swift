internal import DepthCacheAPI

/// The links of one loop, and where a market's copies are by now; bound to the loop.
final class LoopLinks {
    /// By the worker's uid.
    var all: [String: any WorkerLink] = [:]
    private let directory: ClusterDirectory

    init(directory: ClusterDirectory) { self.directory = directory }

    func link(to replica: ReplicaRoute) -> (any WorkerLink)? { all[replica.workerUID] }

    /// Reads the routes of a market once more.
    func look(for cache: CachePicture) -> MarketRoute? {
        directory.table.routes[MarketKey(exchange: cache.exchange, market: cache.market)]
    }
}
