internal import K8sClient

/// Which workers renew their Leases, judged by a local clock that the caller reads; pure.
struct WorkerLiveness: Sendable {
    enum Verdict: Equatable, Sendable { case live, unproven, lost }

    private var tracker: LeaseTracker
    private var versions: [ObjectKey: String] = [:]
    private var proven: Set<ObjectKey> = []
    private var hasLooked = false

    init(duration: Duration) { tracker = LeaseTracker(defaultDuration: duration) }

    /// Takes in the Leases of workers as they are now, and what the informer knows of itself.
    mutating func observe(
        _ leases: [ObjectKey: Lease], epoch: Int, isLive: Bool, at now: ContinuousClock.Instant
    ) {
        tracker.observe(leases, epoch: epoch, isLive: isLive, at: now)
        for (key, lease) in leases {
            let version = lease.metadata.resourceVersion ?? ""
            // A Lease that moves or appears while we look on was just written; at the first look it may be old.
            if hasLooked, versions[key] != version { proven.insert(key) }
            versions[key] = version
        }
        versions = versions.filter { leases[$0.key] != nil }
        proven.formIntersection(versions.keys)
        hasLooked = true
    }

    /// What is to be thought of each worker, by the name of its Lease.
    mutating func verdicts(at now: ContinuousClock.Instant) -> [String: Verdict] {
        var verdicts: [String: Verdict] = [:]
        for (key, verdict) in tracker.judge(at: now) {
            switch verdict {
            case .alive: verdicts[key.name] = proven.contains(key) ? .live : .unproven
            case .expired, .released: verdicts[key.name] = .lost
            }
        }
        return verdicts
    }
}
