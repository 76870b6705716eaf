/// How long copies that were made to take another's place have waited to become ready; pure.
///
/// A move that takes too long is given up, and its worker gets no other one for a while: else the next plan would make the
/// same move again. A new leader begins to count anew.
struct MoveWatch: Sendable {
    /// A copy takes its book from a ready one of another worker, which takes seconds.
    static let patience: Duration = .seconds(300)
    static let rest: Duration = .seconds(1800)

    private var begun: [String: ContinuousClock.Instant] = [:]
    private var resting: [String: ContinuousClock.Instant] = [:]

    /// A copy waits to take another's place; true once it has done so for too long.
    mutating func waits(_ name: String, at now: ContinuousClock.Instant) -> Bool {
        guard let since = begun[name] else {
            begun[name] = now
            return false
        }
        return since.duration(to: now) >= Self.patience
    }

    mutating func forget(_ name: String) { begun[name] = nil }

    mutating func avoid(worker uid: String, at now: ContinuousClock.Instant) {
        resting[uid] = now + Self.rest
    }

    func isAvoided(worker uid: String) -> Bool { resting[uid] != nil }

    /// Workers that may get copies again.
    mutating func rested(at now: ContinuousClock.Instant) -> [String] {
        let over = resting.filter { $0.value <= now }.map(\.key)
        for uid in over { resting[uid] = nil }
        return over
    }
}
