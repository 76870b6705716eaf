import Telemetry

/// A clock that the test moves by hand; for parts that take the time as a value.
package final class ManualClock: Sendable {
    private let instant: Guarded<ContinuousClock.Instant>

    package init(_ start: ContinuousClock.Instant = .now) { instant = Guarded(start) }

    package var now: ContinuousClock.Instant { instant.withLock { $0 } }

    package func advance(by duration: Duration) { instant.withLock { $0 = $0 + duration } }
}
