import Binance
import Books
import DepthCacheAPI
import K8sClient
import Telemetry

extension Exchange {
    /// When a contract of options ends: 08:00 UTC of the day in its name, as in `BTC-261225-100000-C`.
    ///
    /// Nil for other families and for names that tell no day. What exchangeInfo calls `expiryDate` is the same moment.
    func contractEnd(ofMarket market: String) -> Timestamp? {
        let parts = market.split(separator: "-")
        guard family == .options, parts.count == 4, parts[1].utf8.count == 6 else { return nil }
        let day = parts[1]
        return Timestamp("20\(day.prefix(2))-\(day.dropFirst(2).prefix(2))-\(day.suffix(2))T08:00:00Z")
    }
}

extension FeedLoop {
    /// Fails a book whose contract has ended, by the exchange's clock; says whether it has.
    ///
    /// Its stream only falls silent, and with thousands of quiet contracts the probe that would find out has to wait its turn.
    func endIfExpired(_ duty: BookDuty) -> Bool {
        guard !duty.hasEnded, let end = duty.contractEnd else { return duty.hasEnded }
        let exchangeClock = duty.venue.desk.exchangeClock
        guard exchangeClock.isKnown,
            WallClock.milliseconds + exchangeClock.offsetMilliseconds >= end.secondsSinceEpoch * 1000
        else { return false }
        duty.hasEnded = true
        (duty.nextRevival, duty.failedAt) = (nil, nil)
        endFresh(duty, "the contract has ended")
        forgetDoubt(duty)
        duty.book.state.withLock { state in
            state.book.fail(.marketNotTrading)
            state.note = KeptBook.Note(reason: .marketNotTrading, message: "the contract ended at \(end)")
        }
        report(duty)
        return true
    }
}
