import Binance
import DepthCacheAPI

extension WeightReport.Pool {
    /// What an account says of itself; without what waits for it.
    init(name: String, weight: inout RequestWeight, nowMilliseconds now: Int64) {
        weight.roll(now)
        self.init(name: name, time: weight.isTimeKnown ? weight.clock.time(now) : 0)
        share = weight.share
        limit = weight.limitPerMinute
        if weight.blockedUntil > now {
            (blockedUntil, isBanned) = (weight.clock.time(weight.blockedUntil), weight.isBanned)
        }
        guard weight.isTimeKnown else { return }
        minute = max(0, weight.minute)
        (spent, settled, header, granted) = (weight.spent, weight.settled, weight.header, weight.granted)
    }
}
