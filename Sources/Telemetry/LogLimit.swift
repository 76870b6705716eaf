/// Lets so many lines a second through and counts the others: a failure that meets every request must not fill a disk.
package final class LogLimit: Sendable {
    private struct State {
        var second: Int64 = 0
        var passed = 0
        var suppressed = 0
    }
    private let perSecond: Int
    private let state = Guarded(State())

    package init(perSecond: Int) { self.perSecond = perSecond }

    /// Whether a line may be written at this second of any clock; with the first of a second, how many were not before.
    package func pass(second: Int64) -> (mayWrite: Bool, suppressed: Int) {
        state.withLock { state in
            var suppressed = 0
            if state.second != second {
                suppressed = state.suppressed
                state = State(second: second)
            }
            guard state.passed < perSecond else {
                state.suppressed += 1
                return (false, 0)
            }
            state.passed += 1
            return (true, suppressed)
        }
    }
}
