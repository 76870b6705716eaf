/// Which holders of Leases are still alive; pure.
///
/// Judged by the local clock since the last change that we have seen ourselves, never by comparing wall clocks.
package struct LeaseTracker: Sendable {
    package typealias Instant = ContinuousClock.Instant

    package enum Verdict: Equatable, Sendable {
        case alive
        /// No change for the whole duration.
        case expired
        /// The holder gave the Lease back.
        case released
    }

    private struct Entry: Sendable {
        var version: String?
        var holder: String?
        var duration: Duration
        var lastChange: Instant
        var hasExpired = false
    }

    private var entries: [ObjectKey: Entry] = [:]
    private var epoch: Int?
    private var wasLive = false
    private var graceUntil: Instant?
    private let defaultDuration: Duration

    package init(defaultDuration: Duration = .seconds(9)) { self.defaultDuration = defaultDuration }

    /// Takes what the informer has now.
    ///
    /// - Parameters:
    ///   - leases: All Leases.
    ///   - epoch: The informer's count of lists: after another list, all timers start again.
    ///   - isLive: Whether a watch is open; after a gap, all timers start again.
    ///   - now: The local time.
    package mutating func observe(_ leases: [ObjectKey: Lease], epoch: Int, isLive: Bool, at now: Instant) {
        let restarts = epoch != self.epoch || (isLive && !wasLive)
        self.epoch = epoch
        wasLive = isLive
        if restarts { graceUntil = nil }
        entries = entries.filter { leases[$0.key] != nil }
        for (key, lease) in leases {
            let version = lease.metadata.resourceVersion
            let known = entries[key]
            let hasChanged = known == nil || known?.version != version || version == nil
            var entry = Entry(
                version: version, holder: lease.holder,
                duration: lease.spec.leaseDurationSeconds.map { .seconds($0) } ?? defaultDuration,
                lastChange: hasChanged || restarts ? now : known?.lastChange ?? now)
            // What was dead stays dead through a relist until it is seen to move.
            entry.hasExpired = !hasChanged && known?.hasExpired == true
            entries[key] = entry
        }
    }

    /// What is true of each Lease now.
    ///
    /// While there is no live watch nobody new expires. If more than half are late at once, the fault is rather ours or the
    /// API's: all of them get one more duration. One alone is not late together with anybody.
    package mutating func judge(at now: Instant) -> [ObjectKey: Verdict] {
        var verdicts: [ObjectKey: Verdict] = [:]
        let open = entries.filter { $0.value.holder != nil && !$0.value.hasExpired }
        let late = open.filter { $0.value.lastChange.duration(to: now) > $0.value.duration * 2 / 3 }
        let overdue = open.filter { $0.value.lastChange.duration(to: now) >= $0.value.duration }
        if late.isEmpty { graceUntil = nil }
        if !overdue.isEmpty, graceUntil == nil, late.count > 1, late.count * 2 > open.count {
            let longest = overdue.values.map(\.duration).max() ?? defaultDuration
            graceUntil = now + longest
        }
        let mayExpire = wasLive && graceUntil.map { now >= $0 } ?? true
        if mayExpire {
            for key in overdue.keys { entries[key]?.hasExpired = true }
            if !overdue.isEmpty { graceUntil = nil }
        }
        for (key, entry) in entries {
            verdicts[key] = entry.holder == nil ? .released : entry.hasExpired ? .expired : .alive
        }
        return verdicts
    }
}
