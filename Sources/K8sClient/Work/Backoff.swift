/// Waiting times that double up to a limit, each cut by a random part so that many clients do not come together.
package struct Backoff: Sendable {
    package var initial: Duration
    package var maximum: Duration
    /// The part of a wait that is random: 0.5 gives waits between half and all of the computed one.
    package var jitter: Double
    package private(set) var failures = 0

    package init(
        initial: Duration = .milliseconds(200), maximum: Duration = .seconds(15), jitter: Double = 0.5
    ) {
        self.initial = initial
        self.maximum = maximum
        self.jitter = jitter
    }

    package mutating func reset() { failures = 0 }

    /// The wait after one more failure; `random` is in 0..<1.
    package mutating func next(random: Double = Double.random(in: 0..<1)) -> Duration {
        let full = min(maximum, initial * Int(1 << min(failures, 30)))
        failures += 1
        return full * (1 - jitter * random)
    }
}
