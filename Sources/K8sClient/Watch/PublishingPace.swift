/// How long one who makes a picture of many watched objects waits before the next: hardly at all when it is calm, and in a
/// storm of changes so long that making pictures takes a tenth of the time, but never so long that a change is late by more
/// than a quarter of a second.
package struct PublishingPace: Sendable {
    private static let shortest = Duration.milliseconds(10)
    private static let longest = Duration.milliseconds(250)
    /// A picture that was dear because the processor was not ours does not slow the next ones for long.
    private var cost = Duration.zero

    package init() {}

    package mutating func pause(after cost: Duration) -> Duration {
        self.cost = (self.cost + cost) / 2
        return min(max(self.cost * 9, Self.shortest), Self.longest)
    }
}
