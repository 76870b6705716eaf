/// Waits that double up to a bound, each drawn from the upper half so that many waiters do not return together.
struct RetryBackoff: Sendable {
    let first: Duration
    let longest: Duration
    private(set) var attempts: Int

    init(first: Duration = .milliseconds(500), longest: Duration = .seconds(30), attempts: Int = 0) {
        self.attempts = attempts
        self.first = first
        self.longest = longest
    }

    mutating func next(using random: inout some RandomNumberGenerator) -> Duration {
        let whole = min(longest, first * (1 << min(attempts, 16)))
        attempts += 1
        return whole * Double.random(in: 0.5...1, using: &random)
    }

    mutating func next() -> Duration {
        var random = SystemRandomNumberGenerator()
        return next(using: &random)
    }

    mutating func reset() { attempts = 0 }
}
