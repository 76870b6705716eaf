/// What the chain rule says about an event.
package enum ChainStep: Sendable, Equatable {
    case apply
    /// All of it is in the book already.
    case ignore
    /// Something between the book and this event is missing.
    case gap
    /// The event lacks the id that its family's rule needs, or its ids are not in order.
    case malformed
}

/// The one chain rule of all families: an event covers (previous, last] and follows on a book inside that range.
package struct ChainPosition: Sendable, Equatable {
    package let rule: SequenceRule
    /// The id at which the book stands.
    package private(set) var lastID: Int64
    /// Whether an event was applied since the snapshot.
    package private(set) var hasApplied = false

    package init(rule: SequenceRule, snapshotID: Int64) {
        self.rule = rule
        lastID = snapshotID
    }

    /// Judges `event` and changes nothing.
    package func step(_ event: borrowing DepthEvent) -> ChainStep {
        guard let previous = event.previous(under: rule), event.first <= event.last, previous < event.last
        else {
            return .malformed
        }
        if event.last <= lastID {
            // The snapshot already has what this event says; it shows that stream and snapshot meet.
            let meets = rule == .linked && !hasApplied && event.last == lastID
            return meets ? .apply : .ignore
        }
        return previous <= lastID ? .apply : .gap
    }

    /// Moves to the end of an event that was applied.
    package mutating func advance(to event: borrowing DepthEvent) {
        lastID = event.last
        hasApplied = true
    }
}

/// Notices that a venue began its ids anew (testnets are reset): newer events with older ids.
struct RegressionWatch: Sendable {
    private var newestTime: Int64 = 0
    private var count = 0
    private var since: ContinuousClock.Instant?

    /// An event that continues the chain was seen.
    mutating func sawProgress(eventTime: Int64) {
        newestTime = max(newestTime, eventTime)
        count = 0
        since = nil
    }

    /// An event with only old ids was seen; true if the venue has regressed.
    mutating func sawOldIDs(eventTime: Int64, at now: ContinuousClock.Instant) -> Bool {
        if newestTime != 0, eventTime > newestTime {
            count += 1
            if since == nil { since = now }
        }
        return count >= 3 || isOverdue(now)
    }

    /// Whether regressing events were seen and nothing has followed for 2 s.
    func isOverdue(_ now: ContinuousClock.Instant) -> Bool {
        since.map { now - $0 >= .seconds(2) } ?? false
    }
}
