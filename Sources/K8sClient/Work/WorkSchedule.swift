/// Which key is to be worked on when; pure.
///
/// A key is here once, at the earlier of two due times, and runs at most once at a time: one that comes while its twin
/// runs is held until that is done.
package struct WorkSchedule<Key: Hashable & Comparable & Sendable>: Sendable {
    private var due: [Key: ContinuousClock.Instant] = [:]
    private var running: Set<Key> = []

    package init() {}

    package var isEmpty: Bool { due.isEmpty && running.isEmpty }
    /// Keys that wait, also those that wait for their twin.
    package var waitingCount: Int { due.count }

    package mutating func add(_ key: Key, at instant: ContinuousClock.Instant) {
        due[key] = due[key].map { min($0, instant) } ?? instant
    }

    /// Takes the key that has been due longest.
    package mutating func take(at now: ContinuousClock.Instant) -> Key? {
        guard let (key, instant) = earliest, instant <= now else { return nil }
        due[key] = nil
        running.insert(key)
        return key
    }

    /// When the next key that does not run is due.
    package var nextDue: ContinuousClock.Instant? { earliest?.instant }

    package mutating func finish(_ key: Key) { running.remove(key) }

    private var earliest: (key: Key, instant: ContinuousClock.Instant)? {
        let free = due.lazy.filter { !running.contains($0.key) }
        return free.min { ($0.value, $0.key) < ($1.value, $1.key) }.map { ($0.key, $0.value) }
    }
}
