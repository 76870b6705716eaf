internal import DepthCacheAPI

/// The objects of `/v1` that are not books.
extension ClusterPages {
    func cache(_ route: MarketRoute) -> JSONFragment {
        let cache = route.cache
        return JSONFragment([
            ("exchange", JSONFragment(cache.exchange)), ("market", JSONFragment(cache.market)),
            ("name", JSONFragment(cache.name)), ("uid", JSONFragment(cache.uid)),
            ("replicas", JSONFragment(cache.replicas)),
            ("ready_replicas", JSONFragment(route.replicas.count { $0.isRunning })),
            ("depth", JSONFragment(cache.depth)), ("update_interval", JSONFragment(cache.updateInterval)),
            ("refresh_interval", JSONFragment(cache.refreshInterval)),
            ("created_time", JSONFragment(milliseconds: cache.created)),
            ("ready", JSONFragment(cache.standing.isReady)), ("reason", JSONFragment(cache.standing.reason)),
            ("message", JSONFragment(cache.standing.message)),
            ("copies", JSONFragment(route.replicas.map(copy))),
        ])
    }

    private func copy(_ route: ReplicaRoute) -> JSONFragment {
        JSONFragment([
            ("worker", JSONFragment(route.workerName)), ("worker_uid", JSONFragment(route.workerUID)),
            ("node", JSONFragment(route.worker?.node ?? "")), ("in_sync", JSONFragment(route.isRunning)),
            ("restarts", JSONFragment(route.replica.restarts)),
            ("created_time", JSONFragment(milliseconds: route.replica.created)),
        ])
    }

    /// `links`: how this loop's link to each worker is doing, by uid.
    func cluster(
        _ table: RoutingTable, _ api: ClusterDirectory.APIState, links: [String: String]
    ) -> JSONFragment {
        let copies = table.picture.replicas.reduce(into: [:]) { $0[$1.workerUID, default: 0] += 1 }
        let workers = table.picture.workers.sorted { $0.name < $1.name }.map { worker in
            JSONFragment([
                ("name", JSONFragment(worker.name)), ("uid", JSONFragment(worker.uid)),
                ("node", JSONFragment(worker.node)), ("address", JSONFragment(worker.address)),
                ("port", JSONFragment(worker.port)), ("link", JSONFragment(links[worker.uid] ?? "none")),
                ("copies", JSONFragment(copies[worker.uid] ?? 0)),
                ("last_seen", JSONFragment(milliseconds: worker.lastSeen)),
            ])
        }
        var gateways = table.picture.pods.filter { $0.role == .gateway }
        if !gateways.contains(where: { $0.uid == gateway.uid }) { gateways.append(gateway) }
        let routes = table.ordered
        return JSONFragment([
            ("version", JSONFragment(version)), ("gateway", JSONFragment(gateway.name)),
            (
                "kubernetes",
                JSONFragment([
                    ("reachable", JSONFragment(api.trouble == nil)),
                    ("trouble", api.trouble.map { JSONFragment($0) } ?? .null),
                ])
            ),
            (
                "depthcaches",
                JSONFragment([
                    ("total", JSONFragment(routes.count)),
                    ("ready", JSONFragment(routes.count { $0.replicas.contains(where: \.isRunning) })),
                ])
            ),
            ("workers", JSONFragment(workers)),
            (
                "gateways",
                JSONFragment(
                    gateways.map { pod in
                        JSONFragment([
                            ("name", JSONFragment(pod.name)), ("uid", JSONFragment(pod.uid)),
                            ("node", JSONFragment(pod.node)), ("ready", JSONFragment(pod.isReady)),
                        ])
                    })
            ),
        ])
    }
}

extension JSONFragment {
    init(_ value: Bool) { self.init(bytes: Array((value ? "true" : "false").utf8)) }

    /// Seconds since 1970 as whole milliseconds.
    fileprivate init(milliseconds seconds: Double) {
        self.init(seconds.isFinite && abs(seconds) < 9e12 ? Int(seconds * 1000) : 0)
    }
}
