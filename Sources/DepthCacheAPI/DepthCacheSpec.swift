/// What a DepthCache asks for.
package struct DepthCacheSpec: Codable, Equatable, Sendable {
    package var exchange: String
    package var market: String
    /// Desired copies, each on another worker.
    package var replicas: Int
    /// Levels per side that should be covered; a target.
    package var depth: Int
    /// Feed speed; nil: the exchange's fastest documented one.
    package var updateIntervalMilliseconds: Int?
    /// Timed refresh from a fresh snapshot; nil: only where it is needed.
    package var refreshIntervalSeconds: Int?

    package init(
        exchange: String, market: String, replicas: Int = SpecBounds.defaultReplicas,
        depth: Int = SpecBounds.defaultDepth, updateIntervalMilliseconds: Int? = nil,
        refreshIntervalSeconds: Int? = nil
    ) {
        self.exchange = exchange
        self.market = market
        self.replicas = replicas
        self.depth = depth
        self.updateIntervalMilliseconds = updateIntervalMilliseconds
        self.refreshIntervalSeconds = refreshIntervalSeconds
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        exchange = try fields.decode(String.self, forKey: .exchange)
        market = try fields.decode(String.self, forKey: .market)
        replicas = try fields.decodeIfPresent(Int.self, forKey: .replicas) ?? SpecBounds.defaultReplicas
        depth = try fields.decodeIfPresent(Int.self, forKey: .depth) ?? SpecBounds.defaultDepth
        updateIntervalMilliseconds = try fields.decodeIfPresent(Int.self, forKey: .updateIntervalMilliseconds)
        refreshIntervalSeconds = try fields.decodeIfPresent(Int.self, forKey: .refreshIntervalSeconds)
    }

    /// Exchange and market in the form in which they are compared.
    package var key: MarketKey { MarketKey(exchange: exchange, market: market) }
}

/// What the controller asks a worker to keep.
package struct DepthCacheReplicaSpec: Codable, Equatable, Sendable {
    package var exchange: String
    package var market: String
    package var depth: Int
    package var updateIntervalMilliseconds: Int?
    package var refreshIntervalSeconds: Int?
    /// The worker's name; which incarnation of the name is in the label `fathom.dev/worker`.
    package var workerName: String
    package var credentialsSecretName: String?

    package init(
        exchange: String, market: String, depth: Int = SpecBounds.defaultDepth,
        updateIntervalMilliseconds: Int? = nil, refreshIntervalSeconds: Int? = nil, workerName: String,
        credentialsSecretName: String? = nil
    ) {
        self.exchange = exchange
        self.market = market
        self.depth = depth
        self.updateIntervalMilliseconds = updateIntervalMilliseconds
        self.refreshIntervalSeconds = refreshIntervalSeconds
        self.workerName = workerName
        self.credentialsSecretName = credentialsSecretName
    }

    /// The copy of `cache` on the worker of this name.
    package init(copyOf cache: DepthCacheSpec, on workerName: String) {
        self.init(
            exchange: cache.exchange, market: cache.market, depth: cache.depth,
            updateIntervalMilliseconds: cache.updateIntervalMilliseconds,
            refreshIntervalSeconds: cache.refreshIntervalSeconds, workerName: workerName)
    }

    /// Exchange and market in the form in which they are compared.
    package var key: MarketKey { MarketKey(exchange: exchange, market: market) }
}
