import Binance
import Books
import DepthCacheAPI
import K8sClient
import Synchronization
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
    /// The exchange may list a contract for a while after its end.
    private static let revivalAfterEnd: Duration = .seconds(600)

    /// Fails a book whose contract has ended, by the exchange's clock; says whether it has.
    ///
    /// Its stream only falls silent, and with thousands of quiet contracts the probe that would find out has to wait its turn.
    func endIfExpired(_ duty: BookDuty, _ now: Duration) -> Bool {
        guard let end = duty.contractEnd,
            WallClock.milliseconds + duty.venue.clockOffset.load(ordering: .relaxed)
                >= end.secondsSinceEpoch * 1000
        else { return false }
        duty.contractEnd = nil
        endFresh(duty, "the contract has ended")
        forgetDoubt(duty)
        duty.nextRevival = now + Self.revivalAfterEnd
        duty.book.state.withLock { state in
            state.book.fail(.marketNotTrading)
            state.note = KeptBook.Note(reason: .marketNotTrading, message: "the contract ended at \(end)")
        }
        report(duty)
        return true
    }
}
