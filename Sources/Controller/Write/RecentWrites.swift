internal import DepthCacheAPI
internal import K8sClient

/// What was written and has not come back through the watch yet, laid over what was seen.
///
/// Without it a pass that runs before its predecessor's writes are seen would plan them again.
struct RecentWrites: Sendable {
    private var created: [String: (replica: DepthCacheReplica, at: ContinuousClock.Instant)] = [:]
    private var deleted: [String: ContinuousClock.Instant] = [:]
    private var statuses: [String: (seen: String?, status: DepthCacheStatus, at: ContinuousClock.Instant)] =
        [:]
    /// After this long a write that was never seen is not believed any more.
    private let patience: Duration = .seconds(10)

    mutating func didCreate(_ replica: DepthCacheReplica, at now: ContinuousClock.Instant) {
        guard let name = replica.metadata.name else { return }
        created[name] = (replica, now)
        deleted[name] = nil
    }

    mutating func didDelete(_ replica: DepthCacheReplica, at now: ContinuousClock.Instant) {
        guard let name = replica.metadata.name else { return }
        created[name] = nil
        deleted[name] = now
    }

    mutating func didWrite(_ status: DepthCacheStatus, of cache: DepthCache, at now: ContinuousClock.Instant)
    {
        guard let uid = cache.metadata.uid else { return }
        statuses[uid] = (cache.metadata.resourceVersion, status, now)
    }

    /// `seen` as it will be once all that was written has come back.
    mutating func overlay(_ seen: Observation, at now: ContinuousClock.Instant) -> Observation {
        var result = seen
        let names = Set(seen.replicas.compactMap(\.metadata.name))
        let caches = Set(seen.caches.compactMap(\.metadata.uid))
        created = created.filter { name, entry in
            !names.contains(name) && entry.at.duration(to: now) < patience
                && caches.contains(entry.replica.cacheUID ?? "")
        }
        deleted = deleted.filter { names.contains($0.key) && $0.value.duration(to: now) < patience }
        let gone = deleted
        result.replicas.removeAll { gone[$0.metadata.name ?? ""] != nil }
        result.replicas += created.values.map(\.replica)
        statuses = statuses.filter { uid, entry in
            caches.contains(uid) && entry.at.duration(to: now) < patience
        }
        for index in result.caches.indices {
            guard let uid = result.caches[index].metadata.uid, let entry = statuses[uid],
                entry.seen == result.caches[index].metadata.resourceVersion
            else { continue }
            result.caches[index].status = entry.status
        }
        return result
    }
}
