internal import DepthCacheAPI

/// Renders the records of caches, replicas and pods the way clients of the peer know them.
struct ClusterPages: Sendable {
    /// This gateway's own pod, shown even where no Pod object stands for it.
    var gateway: PodPicture
    var version: String
    /// Seconds for which a worker without a Pod is shown after its last sign of life.
    private static let workerMemory = 60.0

    /// `{exchange: {market: record}}`; duplicates of a market are not shown.
    func depthCaches(_ table: RoutingTable) -> JSONFragment {
        let routes = table.routes.values.sorted { left, right in
            (left.cache.created, left.cache.name) < (right.cache.created, right.cache.name)
        }
        var exchanges: [String] = []
        var markets: [String: [(String, JSONFragment)]] = [:]
        for route in routes {
            let exchange = route.cache.exchange
            if markets[exchange] == nil { exchanges.append(exchange) }
            markets[exchange, default: []].append((route.cache.market, depthCache(route)))
        }
        return JSONFragment(exchanges.map { ($0, JSONFragment(markets[$0] ?? [])) })
    }

    /// `books`: what workers say of their copies, by uid.
    func depthCache(_ route: MarketRoute, books: [String: JSONFragment] = [:]) -> JSONFragment {
        let cache = route.cache
        let lastChange = route.replicas.map(\.replica.created).max() ?? 0
        return JSONFragment([
            ("CREATED_TIME", JSONFragment(seconds: cache.created)),
            ("DESIRED_QUANTITY", JSONFragment(cache.replicas)),
            (
                "DISTRIBUTION",
                JSONFragment(route.replicas.map { ($0.workerUID, replica($0, books[$0.workerUID])) })
            ),
            ("DISTRIBUTION_CHANGES", JSONFragment(route.replicas.count)),
            ("EXCHANGE", JSONFragment(cache.exchange)),
            ("LAST_DISTRIBUTION_CHANGE", JSONFragment(seconds: lastChange)),
            ("REFRESH_INTERVAL", JSONFragment(cache.refreshInterval)),
            ("MARKET", JSONFragment(cache.market)),
            ("UPDATE_INTERVAL", JSONFragment(cache.updateInterval)),
        ])
    }

    private func replica(_ route: ReplicaRoute, _ book: JSONFragment?) -> JSONFragment {
        let restarts = route.replica.restarts
        var members: [(String, JSONFragment)] = [
            ("CREATED_TIME", JSONFragment(seconds: route.replica.created)),
            (
                "LAST_RESTART_TIME",
                restarts > 0 ? JSONFragment(seconds: route.replica.since) : JSONFragment(0)
            ),
            ("POD_UID", JSONFragment(route.workerUID)),
            ("RESTARTS", JSONFragment(restarts)),
            ("SCHEDULED_START_TIME", JSONFragment(seconds: route.replica.created)),
            ("STATUS", JSONFragment(route.isRunning ? "running" : "starting")),
        ]
        if let book { members.append(("book", book)) }
        return JSONFragment(members)
    }

    /// The members of `db`; `now` is in Unix seconds.
    func database(_ table: RoutingTable, now: Double) -> JSONFragment {
        JSONFragment([
            ("credentials", JSONFragment(table.picture.credentials.map(\.json))),
            ("depthcaches", depthCaches(table)),
            ("nodes", JSONFragment([(String, JSONFragment)]())),
            ("pods", pods(table, now: now)),
            ("timestamp", JSONFragment(seconds: now)),
        ])
    }

    /// Pods, and workers that are known by their Lease alone.
    private func pods(_ table: RoutingTable, now: Double) -> JSONFragment {
        var pods = table.picture.pods
        let known = Set(pods.map(\.uid))
        for worker in table.picture.workers
        where !known.contains(worker.uid) && now - worker.lastSeen < Self.workerMemory {
            pods.append(
                PodPicture(
                    name: worker.name, uid: worker.uid, node: worker.node, role: .worker,
                    address: worker.address, port: worker.port, isReady: true))
        }
        if !known.contains(gateway.uid) { pods.append(gateway) }
        return JSONFragment(pods.map { ($0.uid, record($0, table.workers[$0.uid], now: now)) })
    }

    private func record(_ pod: PodPicture, _ worker: WorkerPicture?, now: Double) -> JSONFragment {
        // A Pod does not say where its program listens; of our own we know it.
        let port = pod.uid == gateway.uid ? gateway.port : worker?.port ?? pod.port
        var members: [(String, JSONFragment)] = [
            ("NAME", JSONFragment(pod.name)), ("UID", JSONFragment(pod.uid)),
            ("NODE", JSONFragment(pod.node)),
            ("ROLE", JSONFragment(pod.role.rawValue)), ("IP", JSONFragment(worker?.address ?? pod.address)),
            ("API_PORT_REST", JSONFragment(port)),
            ("LAST_SEEN", JSONFragment(seconds: worker?.lastSeen ?? now)),
            ("STATUS", JSONFragment(pod.isReady ? "running" : "starting")),
        ]
        if pod.role == .worker { members.append(("UBLDC_VERSION", JSONFragment(version))) }
        members.append(("VERSION", JSONFragment(version)))
        return JSONFragment(members)
    }
}
