/// How a loop's link to a worker is doing.
enum LinkCondition: Int, Sendable, Comparable {
    case up, suspect, connecting, down

    static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// Decides in which order the replicas of one request are tried; pure.
enum ReplicaChoice {
    struct Candidate: Sendable, Equatable {
        var condition: LinkCondition
        var isRunning: Bool
        /// It has just answered that it cannot serve.
        var isShunned = false
    }

    /// Indices of those worth a try: links that are up, then suspect ones, then those still connecting; among equals,
    /// replicas that said they are running and have not just failed, in turn.
    static func order(_ candidates: [Candidate], turn: Int) -> [Int] {
        rotated(candidates.count, turn)
            .filter { candidates[$0].condition != .down }
            .enumerated()
            .sorted { left, right in
                let (a, b) = (candidates[left.element], candidates[right.element])
                return (a.condition.rawValue, a.rank, left.offset) < (
                    b.condition.rawValue, b.rank, right.offset
                )
            }
            .map(\.element)
    }

    /// The replica whose turn it is and that has to be passed over because its link is gone, if so.
    ///
    /// That is a failover too, although nothing was sent: the client is told.
    static func passedOver(_ candidates: [Candidate], turn: Int) -> Int? {
        guard !candidates.isEmpty else { return nil }
        let first = first(candidates.count, turn: turn)
        return candidates[first].isRunning && candidates[first].condition == .down ? first : nil
    }

    /// Whose turn it is among so many.
    static func first(_ count: Int, turn: Int) -> Int {
        count > 0 ? Int(UInt(bitPattern: turn) % UInt(count)) : 0
    }

    /// All of them, from the one whose turn it is on.
    static func rotated(_ count: Int, _ turn: Int) -> [Int] {
        let start = first(count, turn: turn)
        return (0..<count).map { ($0 + start) % count }
    }
}

extension ReplicaChoice.Candidate {
    fileprivate var rank: Int { (isRunning ? 0 : 2) + (isShunned ? 1 : 0) }
}
