import DepthCacheAPI
import K8sClient

/// The DepthCaches of a cluster, whoever told of them.
struct CacheList: Sendable {
    struct Row: Equatable, Sendable {
        var exchange: String
        var market: String
        /// The object's name; empty where only a gateway was asked.
        var name = ""
        var wanted: Int
        var ready: Int
        var state: State
        var reason = ""
        var message = ""
        /// Seconds since 1970.
        var created: Double
    }

    enum State: String, Sendable {
        case ready = "Ready"
        case degraded = "Degraded"
        case notReady = "NotReady"
    }

    var rows: [Row]

    static func read(_ target: ClusterTarget) async throws -> CacheList {
        // Only the objects tell why something is not ready.
        if let kubernetes = target.kubernetes {
            return CacheList(try await kubernetes.list(DepthCache.self).items)
        }
        return CacheList(try await target.gateway().ask("/get_depthcache_list"))
    }

    init(_ caches: [DepthCache]) {
        rows = Self.sorted(caches.filter { !$0.metadata.isBeingDeleted }.map(Row.init))
    }

    /// The answer of `/get_depthcache_list`.
    init(_ answer: JSONValue) {
        let exchanges = answer["depthcache_list"]?.fields ?? [:]
        rows = Self.sorted(
            exchanges.flatMap { exchange, markets in
                (markets.fields ?? [:]).map { Row(exchange: exchange, market: $0, record: $1) }
            })
    }

    private static func sorted(_ rows: [Row]) -> [Row] {
        rows.sorted { ($0.exchange, $0.market, $0.name) < ($1.exchange, $1.market, $1.name) }
    }

    /// Those of these markets of an exchange.
    func only(_ markets: [String], of exchange: String) -> [Row] {
        let keys = Set(markets.map { MarketKey(exchange: exchange, market: $0) })
        return rows.filter { keys.contains(MarketKey(exchange: $0.exchange, market: $0.market)) }
    }

    /// How far the markets are that somebody waits for.
    struct Headway: Equatable, Sendable {
        var asked: Int
        var ready: Int
        /// What is known about the first that is not in sync.
        var reason: String?
    }

    /// A market that is named twice counts once, one that is not listed yet is not in sync.
    func headway(_ markets: [String], of exchange: String) -> Headway {
        let keys = Set(markets.map { MarketKey(exchange: exchange, market: $0) }).sorted()
        let found = Dictionary(grouping: only(markets, of: exchange)) { row in
            MarketKey(exchange: row.exchange, market: row.market)
        }
        let late = keys.filter { key -> Bool in
            guard let rows = found[key] else { return true }
            return rows.contains { $0.ready < $0.wanted }
        }
        let reason = late.first.map { key -> String in
            guard let row = found[key]?.first(where: { $0.ready < $0.wanted }) else {
                return "\(key.market): not listed"
            }
            return "\(row.market): \(row.reason) \(row.message)"
        }
        return Headway(asked: keys.count, ready: keys.count - late.count, reason: reason)
    }

    static let titles = ["EXCHANGE", "MARKET", "READY", "STATE", "REASON", "AGE"]

    static func table(_ rows: [Row], now: Double) -> TextTable {
        TextTable(
            titles: titles,
            rows: rows.map {
                [
                    $0.exchange, $0.market, "\($0.ready)/\($0.wanted)", $0.state.rawValue,
                    $0.reason.isEmpty ? "-" : $0.reason, Age.text(seconds: now - $0.created),
                ]
            })
    }
}

extension CacheList.Row {
    init(_ cache: DepthCache) {
        let conditions = cache.status?.conditions ?? []
        let isReady = conditions["Ready"]?.status == .yes
        let degraded = conditions["Degraded"]
        let cause = isReady ? (degraded?.status == .yes ? degraded : nil) : conditions["Ready"]
        self.init(
            exchange: cache.spec.exchange, market: cache.spec.market, name: cache.metadata.name ?? "",
            wanted: cache.spec.replicas, ready: cache.status?.readyReplicas ?? 0,
            state: !isReady ? .notReady : cause == nil ? .ready : .degraded, reason: cause?.reason ?? "",
            message: cause?.message ?? "",
            created: Double(cache.metadata.creationTimestamp?.secondsSinceEpoch ?? 0))
    }

    /// A record of the gateway's list.
    init(exchange: String, market: String, record: JSONValue) {
        let wanted = Int(record["DESIRED_QUANTITY"]?.number ?? 0)
        let ready = (record["DISTRIBUTION"]?.fields ?? [:]).values.count { $0["STATUS"] == "running" }
        self.init(
            exchange: exchange, market: market, wanted: wanted, ready: ready,
            state: ready == 0 ? .notReady : ready < wanted ? .degraded : .ready,
            created: record["CREATED_TIME"]?.double ?? 0)
    }

    var json: JSONValue {
        [
            "exchange": .string(exchange), "market": .string(market), "name": .string(name),
            "replicas": .int(Int64(wanted)), "ready_replicas": .int(Int64(ready)),
            "state": .string(state.rawValue), "reason": .string(reason), "message": .string(message),
            "created": .double(created),
        ]
    }
}
