/// The weight that one purpose may spend, filled at a steady rate; pure.
///
/// A request may go out while anything is left, so the last one may cost more than that: it is paid back by waiting.
struct WeightRation: Sendable {
    /// May change at any time.
    var perMinute: Double
    private var left: Double
    private var filled: Duration = .zero

    init(perMinute: Double) {
        self.perMinute = perMinute
        left = perMinute / 6
    }

    /// What may be saved up for a burst.
    private var most: Double { perMinute / 6 }

    func hasRoom(now: Duration) -> Bool { level(now) > 0 }

    mutating func take(_ weight: Int, now: Duration) {
        left = level(now) - Double(weight)
        filled = max(filled, now)
    }

    private func level(_ now: Duration) -> Double {
        min(most, left + perMinute * max(0, (now - filled) / .seconds(60)))
    }
}
