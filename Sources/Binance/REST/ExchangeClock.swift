/// What is known of an exchange's clock, from the times in its replies; pure.
///
/// Each reply bounds how far its clock is ahead of ours: the time in it was read after we sent and before we received. The bounds
/// of many replies together are narrow even though the `Date` header has whole seconds only. All times are milliseconds since 1970.
package struct ExchangeClock: Sendable, Equatable {
    /// Two clocks drift apart by at most this much each minute.
    private static let driftPerMinute: Int64 = 10
    /// No exchange's clock is believed to be further off than a day.
    private static let most: Int64 = 86_400_000

    /// Drift widens the bounds up to this.
    private static let widest: Int64 = 1500

    private var least: Int64 = -most
    private var greatest: Int64 = most
    private var observedAt: Int64?

    package init() {}

    /// Whether any reply has told the time.
    package var isKnown: Bool { observedAt != nil }

    /// How far the exchange's clock is ahead of ours: the value nearest to 0 that fits all replies.
    package var offsetMilliseconds: Int64 { min(max(0, least), greatest) }

    /// The time at the exchange, by our best knowledge.
    package func time(_ now: Int64) -> Int64 { now + offsetMilliseconds }

    /// Between which two times the time at the exchange is; our own time while nothing is known.
    package func bounds(_ now: Int64) -> ClosedRange<Int64> {
        isKnown ? now + least...now + greatest : now...now
    }

    /// Whether what an exchange told as a time can be one, in milliseconds, or in microseconds as some may send.
    ///
    /// Everything else is refused where it is read, so that times can be reckoned with.
    @inline(__always) package static func canBeTime(_ told: Int64) -> Bool { told >= 0 && told <= 1 << 53 }

    /// Takes in a reply: what it said, of which precision, and between which two times of ours it was made.
    package mutating func observe(told: Int64, precision: Int64, sent: Int64, received: Int64) {
        guard Self.canBeTime(told) else { return }
        let (low, high) = (told - received, told + precision - sent)
        guard received >= sent, abs(low) < Self.most, abs(high) < Self.most else { return }
        if let observedAt {
            let drift = max(0, received - observedAt) / 60_000 * Self.driftPerMinute
            // Whole minutes only, so that small steps do not round the drift away.
            if drift > 0 || received < observedAt {
                // However long nothing was heard: clocks are kept in time, and some certainty must remain to ask again.
                let growth = min(drift, max(0, (Self.widest - (greatest - least)) / 2))
                least -= growth
                greatest += growth
                self.observedAt = received
            }
        } else {
            observedAt = received
        }
        if low > greatest || high < least {
            // One of the clocks was set: what was known is worth nothing.
            (least, greatest) = (low, high)
            observedAt = received
        } else {
            (least, greatest) = (max(least, low), min(greatest, high))
        }
    }

    /// Takes in the `Date` header of a reply.
    package mutating func observe(date: String?, sent: Int64, received: Int64) {
        guard let date, let told = Self.milliseconds(date: date) else { return }
        observe(told: told, precision: 1000, sent: sent, received: received)
    }

    /// Reads `Sat, 21 Nov 2026 07:24:27 GMT`, the only form that is still sent.
    static func milliseconds(date: String) -> Int64? {
        let parts = date.split(separator: " ")
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        guard parts.count == 6, parts[5] == "GMT", let day = Int64(parts[1]), (1...31).contains(day),
            let month = months.firstIndex(of: String(parts[2])), let year = Int64(parts[3]),
            (1970...9999).contains(year)
        else { return nil }
        let clock = parts[4].split(separator: ":").compactMap { Int64($0) }
        guard clock.count == 3, (0..<24).contains(clock[0]), (0..<60).contains(clock[1]),
            (0...60).contains(clock[2])
        else { return nil }
        // Years that begin in March have their leap day at the end.
        let march = Int64(month + 10) % 12
        let shifted = month < 2 ? year - 1 : year
        let days =
            shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + (march * 306 + 5) / 10 + day - 1
            - 719_468
        return ((days * 24 + clock[0]) * 60 + clock[1]) * 60_000 + clock[2] * 1000
    }
}
