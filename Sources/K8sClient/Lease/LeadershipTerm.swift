import Telemetry

/// How long a leader may still act; asked before each of its requests.
///
/// Cancelling the leader's work is not enough: a process that was stopped for a while, or that has too little of a core, may send a
/// request before the task that renews the Lease has noticed that another leads by now.
package final class LeadershipTerm: Sendable {
    /// What a request may take at most, so that it has ended before another may lead.
    private static let margin: Duration = .milliseconds(500)
    private struct Bounds {
        var mayBegin: ContinuousClock.Instant
        var mustEnd: ContinuousClock.Instant
    }
    private let bounds = Guarded<Bounds?>(nil)

    package init() {}

    func renew(at sent: ContinuousClock.Instant, _ settings: LeaderElectionSettings) {
        bounds.withLock {
            $0 = Bounds(
                mayBegin: sent + settings.renewDeadline,
                mustEnd: sent + settings.leaseDuration - Self.margin)
        }
    }

    func end() { bounds.withLock { $0 = nil } }

    /// How long a request that begins now may take; throws when none may begin.
    package func remaining(at now: ContinuousClock.Instant = .now) throws -> Duration {
        guard let bounds = bounds.withLock({ $0 }), now < bounds.mayBegin, now < bounds.mustEnd else {
            throw LeadershipLost(message: "the Lease was not renewed in time, nothing is sent any more")
        }
        return now.duration(to: bounds.mustEnd)
    }
}

extension KubernetesClient {
    /// A client whose requests begin only during the term and end before another may lead.
    package func fenced(by term: LeadershipTerm) -> KubernetesClient {
        var client = self
        client.term = term
        return client
    }
}
