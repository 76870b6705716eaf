/// How many requests each client may make: token buckets by address, in a table that does not grow for ever.
struct RateLimiter: Sendable {
    private struct Bucket {
        var level: Double
        var at: ContinuousClock.Instant
    }
    /// Requests per second, in the long run.
    private let rate: Double
    /// Requests at once, after a pause.
    private let burst: Double
    private let mostClients: Int
    private var buckets: [String: Bucket] = [:]
    /// For all who find no place in the table.
    private var others: Bucket?
    private var lastTidy: ContinuousClock.Instant?

    init(rate: Int, mostClients: Int = 16_384) {
        self.rate = Double(rate)
        burst = 2 * Double(rate)
        self.mostClients = mostClients
    }

    /// Takes one request of a client's; nil if there is one left, otherwise after how many seconds there is.
    mutating func take(_ client: String, now: ContinuousClock.Instant) -> Int? {
        if let index = buckets.index(forKey: client) { return take(from: &buckets.values[index], now) }
        if buckets.count >= mostClients { tidy(now) }
        var new = Bucket(level: burst, at: now)
        guard buckets.count < mostClients else {
            new = others ?? new
            defer { others = new }
            return take(from: &new, now)
        }
        let wait = take(from: &new, now)
        buckets[client] = new
        return wait
    }

    private func take(from bucket: inout Bucket, _ now: ContinuousClock.Instant) -> Int? {
        bucket.level = level(bucket, now)
        bucket.at = now
        guard bucket.level >= 1 else { return max(1, Int(((1 - bucket.level) / rate).rounded(.up))) }
        bucket.level -= 1
        return nil
    }

    private func level(_ bucket: Bucket, _ now: ContinuousClock.Instant) -> Double {
        let (seconds, attoseconds) = (now - bucket.at).components
        return min(burst, bucket.level + rate * (Double(seconds) + Double(attoseconds) * 1e-18))
    }

    /// Forgets clients whose buckets are full again: they are like new ones.
    ///
    /// At most once a second, since it looks at all.
    private mutating func tidy(_ now: ContinuousClock.Instant) {
        if let lastTidy, now - lastTidy < .seconds(1) { return }
        lastTidy = now
        buckets = buckets.filter { level($0.value, now) < burst }
    }

    var clientCount: Int { buckets.count }
}
