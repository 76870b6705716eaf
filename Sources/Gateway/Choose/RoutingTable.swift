internal import DepthCacheAPI
internal import Synchronization
internal import Telemetry

/// An immutable answer to "who serves this market", built from a `ClusterPicture` and read by all loops.
final class RoutingTable: Sendable {
    let picture: ClusterPicture
    let routes: [MarketKey: MarketRoute]
    let workers: [String: WorkerPicture]
    /// All routes, that of the oldest cache first.
    let ordered: [MarketRoute]
    /// The lists of all markets of an exchange, as they were asked for; that of all exchanges has no name.
    private let lists = Guarded<[String: BooksList]>([:])

    static let empty = RoutingTable(ClusterPicture())

    /// Markets that `previous` has too go on with whose turn it is.
    init(_ picture: ClusterPicture, after previous: RoutingTable? = nil) {
        self.picture = picture
        let workers = Dictionary(picture.workers.map { ($0.uid, $0) }) { first, _ in first }
        let replicas = Dictionary(grouping: picture.replicas, by: \.cacheUID)
        var routes: [MarketKey: MarketRoute] = [:]
        var ordered: [MarketRoute] = []
        // As the controller decides: the oldest of one market wins, unless it is held.
        let caches = picture.caches.sorted {
            ($0.isHeld ? 1 : 0, $0.created, $0.uid) < ($1.isHeld ? 1 : 0, $1.created, $1.uid)
        }
        for cache in caches {
            let key = MarketKey(exchange: cache.exchange, market: cache.market)
            guard routes[key] == nil else { continue }
            let placed = (replicas[cache.uid] ?? []).sorted { $0.name < $1.name }.map { replica in
                ReplicaRoute(replica: replica, worker: workers[replica.workerUID])
            }
            let route = MarketRoute(
                cache: cache, replicas: placed, rotation: previous?.routes[key]?.rotation ?? Rotation())
            routes[key] = route
            ordered.append(route)
        }
        self.routes = routes
        self.ordered = ordered
        self.workers = workers
    }

    /// All markets of `exchange`, or of all exchanges; made when it is asked for first.
    func list(of exchange: String?) -> BooksList {
        let key = exchange?.asciiUppercased
        return lists.withLock { lists in
            if let known = lists[key ?? ""] { return known }
            let list = BooksList(
                ordered.filter { key == nil || $0.cache.exchange.asciiUppercased == key })
            // Whoever asks for what is not there keeps nothing.
            if !list.routes.isEmpty { lists[key ?? ""] = list }
            return list
        }
    }

    /// Every cache of a market, the winner and its duplicates.
    func caches(of key: MarketKey) -> [CachePicture] {
        picture.caches.filter { MarketKey(exchange: $0.exchange, market: $0.market) == key }
    }
}

/// One market, its cache and the replicas that may answer.
final class MarketRoute: Sendable {
    let cache: CachePicture
    let replicas: [ReplicaRoute]
    fileprivate let rotation: Rotation

    /// One that no table has: a cache as the API has just told it.
    convenience init(_ cache: CachePicture, replicas: [ReplicaRoute] = []) {
        self.init(cache: cache, replicas: replicas, rotation: Rotation())
    }

    fileprivate init(cache: CachePicture, replicas: [ReplicaRoute], rotation: Rotation) {
        self.rotation = rotation
        self.cache = cache
        self.replicas = replicas
    }

    /// Counts up, so that every request of the market begins with the next replica.
    func nextTurn() -> Int { rotation.turn.wrappingAdd(1, ordering: .relaxed).oldValue }
}

/// Whose turn it is in one market; outlives the tables.
private final class Rotation: Sendable {
    let turn = Atomic<Int>(0)
}

/// A placed copy and, if its Lease is known, the worker that keeps it.
///
/// A class, since every query goes through those of its market.
final class ReplicaRoute: Sendable {
    let workerUID: String
    let workerName: String
    let worker: WorkerPicture?
    /// Synchronised, as far as its worker's present incarnation has said; a hint, never proof.
    let isRunning: Bool
    let replica: ReplicaPicture

    init(replica: ReplicaPicture, worker: WorkerPicture?) {
        self.replica = replica
        self.worker = worker
        workerUID = replica.workerUID
        workerName = worker?.name ?? replica.workerName
        isRunning = replica.isSynchronized && worker != nil && worker?.incarnation == replica.incarnation
    }

    var podName: PodName { PodName(name: workerName, uid: workerUID) }
}
