internal import DepthCacheAPI
internal import K8sClient

/// What was written and has not come back through the watch yet, and what the watch said instead meanwhile.
///
/// The watch is always a little behind: without this, a copy that was just deleted would come back to life for a moment
/// and count, and one that was just created would be planned once more.
struct RecentWrites: Sendable {
    private struct Hidden {
        var since: ContinuousClock.Instant
        /// The object that was deleted; nil: one was created.
        var deletedUID: String?
        var hasNews = false
        var news: DepthCacheReplica?
    }
    private struct Written {
        var since: ContinuousClock.Instant
        var version: String?
        var status: DepthCacheStatus?
        var news: DepthCache?
    }

    private var replicas: [String: Hidden] = [:]
    private var statuses: [String: Written] = [:]
    /// After this long a write that was never seen is not believed any more.
    private let patience: Duration = .seconds(10)

    mutating func didCreate(_ replica: DepthCacheReplica, at now: ContinuousClock.Instant) {
        if let name = replica.metadata.name { replicas[name] = Hidden(since: now) }
    }

    mutating func didDelete(_ replica: DepthCacheReplica, at now: ContinuousClock.Instant) {
        if let name = replica.metadata.name {
            replicas[name] = Hidden(since: now, deletedUID: replica.metadata.uid ?? "")
        }
    }

    mutating func didWrite(_ cache: DepthCache, at now: ContinuousClock.Instant) {
        guard let uid = cache.metadata.uid else { return }
        statuses[uid] = Written(
            since: now, version: cache.metadata.resourceVersion, status: cache.status)
    }

    /// Whether what the watch says of a copy is older than what we wrote.
    mutating func hides(_ name: String, _ seen: DepthCacheReplica?, at now: ContinuousClock.Instant) -> Bool {
        guard let own = replicas[name], own.since.duration(to: now) < patience else {
            replicas[name] = nil
            return false
        }
        let isOlder = own.deletedUID.map { seen?.metadata.uid == $0 } ?? (seen == nil)
        if isOlder {
            replicas[name]?.hasNews = true
            replicas[name]?.news = seen
        } else {
            replicas[name] = nil
        }
        return isOlder
    }

    /// The cache with the status that we wrote, until the watch brings that.
    mutating func overlay(_ seen: DepthCache, at now: ContinuousClock.Instant) -> DepthCache {
        guard let uid = seen.metadata.uid, let own = statuses[uid], own.since.duration(to: now) < patience,
            own.version != seen.metadata.resourceVersion
        else {
            if let uid = seen.metadata.uid { statuses[uid] = nil }
            return seen
        }
        statuses[uid]?.news = seen
        var shown = seen
        shown.status = own.status
        return shown
    }

    /// Copies whose write was never confirmed, as the watch has them.
    mutating func expiredReplicas(at now: ContinuousClock.Instant) -> [(String, DepthCacheReplica?)] {
        let expired = replicas.filter { $0.value.since.duration(to: now) >= patience }
        for name in expired.keys { replicas[name] = nil }
        return expired.filter { $0.value.hasNews }.map { ($0.key, $0.value.news) }
    }

    mutating func expiredCaches(at now: ContinuousClock.Instant) -> [DepthCache] {
        let expired = statuses.filter { $0.value.since.duration(to: now) >= patience }
        for uid in expired.keys { statuses[uid] = nil }
        return expired.values.compactMap(\.news)
    }
}
