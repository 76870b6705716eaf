internal import DepthCacheAPI
internal import Telemetry

/// Publishes the routing table, and closes the gap between the API's answers and its watches.
///
/// What this gateway created is routed at once, what it deleted is gone at once, and a market that the watch has not
/// brought yet is asked for once before a client hears that there is none.
actor ClusterDirectory {
    /// The present table; read by every loop for every request.
    nonisolated let published = Guarded<RoutingTable>(.empty)
    private nonisolated let subscribers = Guarded<[@Sendable (RoutingTable) -> Void]>([])
    private nonisolated let state = Guarded<APIState>(APIState())
    nonisolated let store: any DepthCacheStore
    private let clock = ContinuousClock()
    private var watched = ClusterPicture()
    private var added: [String: (cache: CachePicture, since: ContinuousClock.Instant)] = [:]
    private var removed: [String: ContinuousClock.Instant] = [:]
    /// What the next question to the API will be about, and who waits for its answer.
    private var wanted: Set<MarketKey> = []
    private var waiting: [CheckedContinuation<Result<Void, StoreError>, Never>] = []
    private var absent: [MarketKey: ContinuousClock.Instant] = [:]
    private var isLooking = false
    private var credentials = CredentialOverlay()

    /// How long a difference to the watch is kept when the watch does not confirm it.
    private static let overlayLife = Duration.seconds(30)
    private static let lookInterval = Duration.milliseconds(100)
    private static let absenceLife = Duration.seconds(1)

    init(store: any DepthCacheStore) { self.store = store }

    nonisolated var table: RoutingTable { published.withLock { $0 } }

    /// Calls `body` with every new table, on the directory's executor.
    nonisolated func onChange(_ body: @escaping @Sendable (RoutingTable) -> Void) {
        subscribers.withLock { $0.append(body) }
    }

    /// How the Kubernetes API is doing, as the watches see it.
    struct APIState: Sendable, Equatable {
        var hasSynced = false
        /// Why it cannot be reached; nil while it can.
        var trouble: String?
    }

    nonisolated var apiState: APIState { state.withLock { $0 } }

    nonisolated func setAPIState(_ new: APIState) { state.withLock { $0 = new } }

    /// Takes what the watches say now.
    func update(_ picture: ClusterPicture) {
        watched = picture
        publish()
    }

    func noteCreated(_ caches: [CachePicture]) {
        for cache in caches {
            added[cache.uid] = (cache, clock.now)
            absent[MarketKey(exchange: cache.exchange, market: cache.market)] = nil
        }
        publish()
    }

    func noteDeleted(_ caches: [CachePicture]) {
        for cache in caches {
            added[cache.uid] = nil
            removed[cache.uid] = clock.now
        }
        publish()
    }

    func noteCredentials(added entry: CredentialPicture) {
        credentials.noteAdded(entry, at: clock.now)
        publish()
    }

    func noteCredentials(removed id: String) {
        credentials.noteRemoved(id, at: clock.now)
        publish()
    }

    /// Asks the API for a market that the table has not, together with all others that are asked for meanwhile.
    func lookUp(_ key: MarketKey) async throws(StoreError) -> MarketRoute? {
        guard isUnclear(key) else { return table.routes[key] }
        try await question([key]).get()
        return table.routes[key]
    }

    /// Looks many up, with one question to the API for all that the table has not.
    func lookUp(_ keys: [MarketKey]) async -> [Result<MarketRoute?, StoreError>] {
        let unclear = Set(keys.filter(isUnclear))
        let answer: Result<Void, StoreError> = unclear.isEmpty ? .success(()) : await question(unclear)
        return keys.map { key in
            if case .failure(let error) = answer, unclear.contains(key), table.routes[key] == nil {
                return .failure(error)
            }
            return .success(table.routes[key])
        }
    }

    /// Whether only the API can tell if there is such a market.
    private func isUnclear(_ key: MarketKey) -> Bool {
        guard table.routes[key] == nil else { return false }
        guard let since = absent[key] else { return true }
        return clock.now - since >= Self.absenceLife
    }

    /// Waits for the answer to a question about all of `keys`.
    private func question(_ keys: Set<MarketKey>) async -> Result<Void, StoreError> {
        await withCheckedContinuation { continuation in
            wanted.formUnion(keys)
            waiting.append(continuation)
            guard !isLooking else { return }
            isLooking = true
            Task { await look() }
        }
    }

    /// One question at a time, at most ten in a second.
    private func look() async {
        while !wanted.isEmpty {
            let (asked, askers) = (wanted, waiting)
            (wanted, waiting) = ([], [])
            let result = await ask(asked)
            for asker in askers { asker.resume(returning: result) }
            do { try await clock.sleep(for: Self.lookInterval) } catch { break }
        }
        isLooking = false
    }

    private func ask(_ keys: Set<MarketKey>) async -> Result<Void, StoreError> {
        do throws(StoreError) {
            var found: [CachePicture] = []
            if keys.count == 1, let key = keys.first {
                if let cache = try await store.find(key) { found = [cache] }
            } else {
                found = try await store.list()
            }
            let now = clock.now
            absent = absent.filter { now - $0.value < Self.absenceLife }
            for key in keys { absent[key] = now }
            noteCreated(found.filter { keys.contains(MarketKey(exchange: $0.exchange, market: $0.market)) })
            return .success(())
        } catch {
            return .failure(error)
        }
    }

    private func publish() {
        let now = clock.now
        let uids = Set(watched.caches.map(\.uid))
        added = added.filter { !uids.contains($0.key) && now - $0.value.since < Self.overlayLife }
        removed = removed.filter { uids.contains($0.key) || now - $0.value < Self.overlayLife }
        var picture = watched
        picture.caches.removeAll { removed[$0.uid] != nil }
        picture.caches += added.values.map(\.cache).filter { removed[$0.uid] == nil }
        picture.credentials = credentials.applied(to: watched.credentials, now: now)
        let table = RoutingTable(picture, after: self.table)
        published.withLock { $0 = table }
        for subscriber in subscribers.withLock({ $0 }) { subscriber(table) }
    }
}
