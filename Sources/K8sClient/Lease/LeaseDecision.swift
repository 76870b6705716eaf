/// What a candidate does with the Lease that it has just read.
package enum LeaseDecision: Equatable, Sendable {
    case acquire(transitions: Int)
    case renew
    case standBy(recheckAfter: Duration)

    /// The Lease as the API server shows it, with the local time since it last changed.
    package struct Observation: Sendable {
        package var holder: String?
        package var transitions: Int
        package var duration: Duration
        package var sinceLastChange: Duration

        package init(holder: String?, transitions: Int, duration: Duration, sinceLastChange: Duration) {
            self.holder = holder
            self.transitions = transitions
            self.duration = duration
            self.sinceLastChange = sinceLastChange
        }
    }

    /// Judges by the local monotonic clock only: other machines' clocks are not trusted.
    package static func decide(me: String, _ seen: Observation, retry: Duration) -> LeaseDecision {
        if seen.holder == me { return .renew }
        if seen.holder == nil || seen.holder == "" { return .acquire(transitions: seen.transitions + 1) }
        let left = seen.duration - seen.sinceLastChange
        return left <= .zero
            ? .acquire(transitions: seen.transitions + 1) : .standBy(recheckAfter: min(left, retry))
    }
}
