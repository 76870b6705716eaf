import DepthCacheAPI
import K8sClient

/// One book of this worker: a market of a venue at one feed speed, whatever exchange names its caches use.
struct BookID: Hashable, Sendable, CustomStringConvertible {
    /// The exchange whose servers and streams are used; margin aliases share one.
    var venue: String
    /// In the form in which the venue names it.
    var market: String
    var intervalMilliseconds: Int

    var description: String { "\(venue)/\(market)@\(intervalMilliseconds)ms" }

    /// What metrics of this book carry: two books of one market differ in their speed alone.
    var metricLabels: [String: String] {
        ["exchange": venue, "market": market, "update_interval_ms": String(intervalMilliseconds)]
    }
}

/// One replica that this worker was told to keep.
struct Assignment: Equatable, Sendable {
    var replica: String
    var uid: String
    var exchange: String
    var market: String
    var depth: Int
    /// How often a fresh snapshot is asked for besides what is needed; nil: not at all.
    var refreshInterval: Duration?
    /// Itself and the cache that it is a copy for: what Events are about.
    var objects: [ObjectReference] = []
    /// The book behind it; nil if there can be none.
    var book: BookID?
    /// Why there can be none.
    var problem: Problem?

    struct Problem: Equatable, Sendable {
        var reason: Reason
        var message: String
    }

    var key: MarketKey { MarketKey(exchange: exchange, market: market) }
}

/// What this worker has to keep and to serve.
///
/// Replicas that share a market share a book, and a deleted one lingers,
/// so that queries on their way and a replica that comes back at once still find it. Pure.
struct Assignments: Sendable {
    private struct Route: Hashable {
        var key: MarketKey
        var book: BookID
    }

    let linger: Duration
    private(set) var replicas: [String: Assignment] = [:]
    private var lingering: [Route: (until: Duration, depth: Int)] = [:]

    init(linger: Duration) { self.linger = linger }

    var isEmpty: Bool { replicas.isEmpty && lingering.isEmpty }

    /// Takes the whole of what is assigned now.
    mutating func replace(with assignments: [Assignment], now: Duration) {
        let before = replicas.values
        replicas = Dictionary(assignments.map { ($0.replica, $0) }) { first, _ in first }
        let kept = Set(replicas.values.compactMap(Self.route))
        for old in before {
            guard let route = Self.route(old), !kept.contains(route) else { continue }
            lingering[route] = (now + linger, max(old.depth, lingering[route]?.depth ?? 0))
        }
        for route in kept { lingering[route] = nil }
        expire(now: now)
    }

    /// Forgets what has lingered long enough; true if that changed anything.
    @discardableResult mutating func expire(now: Duration) -> Bool {
        let count = lingering.count
        lingering = lingering.filter { $0.value.until > now }
        return lingering.count != count
    }

    /// The books to keep, each with all that is asked of it.
    var books: [BookID: BookDemand] {
        var depths: [BookID: Set<Int>] = [:]
        var intervals: [BookID: Duration] = [:]
        for (route, entry) in lingering { depths[route.book, default: []].insert(entry.depth) }
        for replica in replicas.values {
            guard let book = replica.book else { continue }
            depths[book, default: []].insert(replica.depth)
            guard let interval = replica.refreshInterval else { continue }
            intervals[book] = min(interval, intervals[book] ?? interval)
        }
        var books: [BookID: BookDemand] = [:]
        for (book, wanted) in depths {
            books[book] = BookDemand(depths: wanted, refreshInterval: intervals[book])
        }
        return books
    }

    /// Which books answer for an exchange name and market, fastest feed first.
    var routes: [MarketKey: [BookID]] {
        var routes: [MarketKey: Set<BookID>] = [:]
        for route in lingering.keys { routes[route.key, default: []].insert(route.book) }
        for replica in replicas.values {
            if let book = replica.book { routes[replica.key, default: []].insert(book) }
        }
        return routes.mapValues { $0.sorted { $0.intervalMilliseconds < $1.intervalMilliseconds } }
    }

    func replicas(of book: BookID) -> [String] {
        replicas.values.filter { $0.book == book }.map(\.replica).sorted()
    }

    private static func route(_ assignment: Assignment) -> Route? {
        assignment.book.map { Route(key: assignment.key, book: $0) }
    }
}
