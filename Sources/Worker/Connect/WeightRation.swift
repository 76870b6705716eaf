/// The weight that one purpose may spend, filled at a steady rate; pure.
///
/// A request may go out while anything is left, so the last one may cost more than that: it is paid back by waiting.
struct WeightRation: Sendable {
    private let perMinute: Int
    /// What may be saved up for a burst.
    private let most: Double
    private var left: Double
    private var filled: Duration = .zero

    init(perMinute: Int) {
        self.perMinute = max(1, perMinute)
        most = Double(self.perMinute) / 6
        left = most
    }

    func hasRoom(now: Duration) -> Bool { level(now) > 0 }

    mutating func take(_ weight: Int, now: Duration) {
        left = level(now) - Double(weight)
        filled = max(filled, now)
    }

    private func level(_ now: Duration) -> Double {
        min(most, left + Double(perMinute) * max(0, (now - filled) / .seconds(60)))
    }
}
