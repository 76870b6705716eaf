/// At most `limit` things in any `period`: the exchange's limits on client messages and on connection attempts.
struct RateWindow: Sendable {
    let limit: Int
    let period: Duration
    private var times: [Duration] = []

    init(limit: Int, period: Duration) {
        self.limit = max(1, limit)
        self.period = period
    }

    /// Whether one more fits now, with `reserve` places left free for more urgent things.
    mutating func hasRoom(now: Duration, reserve: Int = 0) -> Bool {
        times.removeAll { $0 + period <= now }
        return times.count < max(1, limit - reserve)
    }

    mutating func take(now: Duration) { times.append(now) }
}
