/// Which statuses are to be written next: only the newest of each replica, only changes, no faster than the bound.
///
/// Failed writes come again after a wait. Pure; `Worker` does the writing.
struct StatusQueue<Status: Equatable & Sendable>: Sendable {
    private struct Entry {
        var wanted: Status
        var written: Status?
        var isInFlight = false
        var notBefore: Duration = .zero
        var backoff = RetryBackoff(first: .milliseconds(250), longest: .seconds(15))
        var isDue: Bool { !isInFlight && wanted != written }
    }

    private var entries: [String: Entry] = [:]
    private var order: [String] = []
    private var window: RateWindow

    init(writesPerSecond: Int = 20) { window = RateWindow(limit: writesPerSecond, period: .seconds(1)) }

    mutating func set(_ status: Status, for name: String) {
        if entries[name] == nil {
            entries[name] = Entry(wanted: status)
        } else {
            entries[name]?.wanted = status
        }
        if entries[name]?.isDue == true, !order.contains(name) { order.append(name) }
    }

    mutating func forget(_ name: String) {
        entries[name] = nil
        order.removeAll { $0 == name }
    }

    /// The object was replaced or lost its status: what was written no longer counts.
    mutating func invalidate(_ name: String) {
        entries[name]?.written = nil
        if entries[name]?.isDue == true, !order.contains(name) { order.append(name) }
    }

    /// The next write, oldest change first; nil when nothing is due or the rate is used up.
    mutating func take(now: Duration) -> (name: String, status: Status)? {
        guard window.hasRoom(now: now) else { return nil }
        guard let index = order.firstIndex(where: { (entries[$0]?.notBefore ?? .zero) <= now }) else {
            return nil
        }
        let name = order.remove(at: index)
        guard var entry = entries[name], entry.isDue else { return take(now: now) }
        entry.isInFlight = true
        entries[name] = entry
        window.take(now: now)
        return (name, entry.wanted)
    }

    mutating func finished(_ name: String, wrote status: Status?, now: Duration) {
        guard var entry = entries[name] else { return }
        entry.isInFlight = false
        if let status {
            entry.written = status
            entry.backoff.reset()
        } else {
            entry.notBefore = now + entry.backoff.next()
        }
        entries[name] = entry
        if entry.isDue, !order.contains(name) { order.append(name) }
    }
}
