/// How many messages each book gets in a second, over windows of some length; pure.
struct LoadMeter: Sendable {
    static let window: Duration = .seconds(15)
    private struct Entry {
        var count: UInt64
        var since: Duration
        var rate: Double?
    }
    private var entries: [BookID: Entry] = [:]
    private var lastLook: Duration?

    /// Whether `look` would end a window.
    func isDue(now: Duration) -> Bool { lastLook.map { now - $0 >= Self.window } ?? true }

    /// Takes the number of messages that each book has had since it is kept.
    mutating func look(_ counts: [BookID: UInt64], now: Duration) {
        lastLook = now
        entries = entries.filter { counts[$0.key] != nil }
        for (book, count) in counts {
            // A book that was let go and taken up again counts from the start.
            guard var entry = entries[book], entry.count <= count else {
                entries[book] = Entry(count: count, since: now)
                continue
            }
            let length = (now - entry.since) / .milliseconds(1) / 1000
            guard length > 0 else { continue }
            let fresh = Double(count - entry.count) / length
            entry.rate = entry.rate.map { ($0 + fresh) / 2 } ?? fresh
            (entry.count, entry.since) = (count, now)
            entries[book] = entry
        }
    }

    /// Messages per second, once a whole window was seen.
    func rate(_ book: BookID) -> Double? { entries[book]?.rate }
}
