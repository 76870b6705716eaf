internal import DepthCacheAPI
internal import K8sClient

/// DepthCaches in the Kubernetes API.
struct KubernetesDepthCacheStore: DepthCacheStore {
    var client: KubernetesClient

    func create(_ spec: DepthCacheSpec) async throws(StoreError) -> CachePicture {
        let name = ObjectNames.depthCache(exchange: spec.exchange, market: spec.market)
        let cache = DepthCache(metadata: ObjectMeta(name: name, namespace: client.namespace), spec: spec)
        return CachePicture(try await call { try await client.create(cache) })
    }

    func delete(_ cache: CachePicture) async throws(StoreError) {
        do throws(StoreError) {
            _ = try await call { try await client.delete(DepthCache.self, cache.name, uid: cache.uid) }
        } catch .alreadyExists {
            return  // another object has the name by now: ours is gone
        }
    }

    func setReplicas(_ count: Int, of cache: CachePicture) async throws(StoreError) -> CachePicture? {
        // The uid makes the API refuse the change of another object that has got the name.
        let patch: JSONValue = [
            "metadata": ["uid": .string(cache.uid)], "spec": ["replicas": .int(Int64(count))],
        ]
        let changed = try await call { () -> DepthCache? in
            do { return try await client.patch(DepthCache.self, cache.name, .merge, patch) } catch let error
                as APIError where error.code == 404 || error.code == 409
            { return nil }
        }
        return changed.map { CachePicture($0) }
    }

    func find(_ key: MarketKey) async throws(StoreError) -> CachePicture? {
        let name = ObjectNames.depthCache(exchange: key.exchange, market: key.market)
        let cache = try await call { try await client.find(DepthCache.self, name) }
        return cache.flatMap { $0.metadata.isBeingDeleted ? nil : CachePicture($0) }
    }

    func list() async throws(StoreError) -> [CachePicture] {
        let list = try await call { try await client.list(DepthCache.self) }
        return list.items.filter { !$0.metadata.isBeingDeleted }.map { CachePicture($0) }
    }

    private func call<Value>(_ body: () async throws -> Value) async throws(StoreError) -> Value {
        try await StoreError.telling(body)
    }
}

extension StoreError {
    /// Calls the API, and says of a failure whether it refused or was away.
    static func telling<Value>(_ body: () async throws -> Value) async throws(StoreError) -> Value {
        do {
            return try await body()
        } catch let error as APIError {
            if error.code == 409 { throw .alreadyExists }
            if let code = error.code, (400..<500).contains(code), code != 408, code != 429 {
                throw .refused(error.status?.message ?? error.description)
            }
            throw .unavailable(error.description)
        } catch {
            throw .unavailable("\(error)")
        }
    }
}

extension CachePicture {
    init(_ cache: DepthCache) {
        self.init(
            name: cache.metadata.name ?? "", uid: cache.metadata.uid ?? "", exchange: cache.spec.exchange,
            market: cache.spec.market, replicas: cache.spec.replicas,
            updateInterval: cache.spec.updateIntervalMilliseconds,
            refreshInterval: cache.spec.refreshIntervalSeconds,
            created: Double(cache.metadata.creationTimestamp?.secondsSinceEpoch ?? 0),
            depth: cache.spec.depth,
            standing: CachePicture.Standing(cache.status?.conditions?[ConditionType.ready]),
            isHeld: Self.isHeld(cache.status?.conditions?[ConditionType.ready]))
    }

    private static func isHeld(_ ready: Condition?) -> Bool {
        guard let ready, ready.status == .no else { return false }
        return [Reason.invalidSpec.rawValue, Reason.unknownExchange.rawValue].contains(ready.reason)
    }
}

extension CachePicture.Standing {
    init(_ ready: Condition?) {
        self.init(
            isReady: ready?.status == .yes, reason: ready?.reason ?? "", message: ready?.message ?? "")
    }
}
