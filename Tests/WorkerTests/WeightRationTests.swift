import Testing

@testable import Worker

/// What a purpose that is held short may spend.
struct WeightRationTests {
    @Test(arguments: [1, 5, 50, 250])
    func `spends its rate over a long time, and never more than a sixth of a minute and one request beyond`(
        cost: Int
    ) {
        var ration = WeightRation(perMinute: 120)
        var spent = 0
        for second in 0..<3600 {
            let now = Duration.seconds(second)
            while ration.hasRoom(now: now) {
                ration.take(cost, now: now)
                spent += cost
            }
            #expect(spent < 120 / 6 + 2 * second + cost + 1)
        }
        #expect(spent > 120 * 59)
    }
}
