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
