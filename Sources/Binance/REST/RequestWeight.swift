/// How much request weight one pool of an exchange has left in its minute for us, and whether it may be asked at all.
///
/// The exchange counts by its own calendar minutes and by address. Other workers behind the same address keep to what the leader
/// granted them; a shared account does the same: it spends what was granted for the minute, or a small share without any grant.
/// What strangers use is seen in the headers of our own replies. Pure: times are passed in, as milliseconds since 1970 by our clock.
package struct RequestWeight: Sendable {
    /// Who asks: first copies may use what is kept back for them.
    package enum Urgency: Sendable { case first, other }

    /// Weight that was set aside for one request.
    package struct Reservation: Sendable, Equatable {
        package var weight: Int
        /// The exchange's minute in which it was made.
        package var minute: Int64
    }

    /// Whether a request may go out.
    package enum Permission: Sendable, Equatable {
        case granted(Reservation)
        case wait(milliseconds: Int64)
    }

    /// Our clock and the exchange's differ: nothing is sent this long before and after a minute ends.
    package static let guardMilliseconds: Int64 = 500
    /// How long a request may be on its way beyond what is not known of the exchange's clock.
    private static let travelMilliseconds: Int64 = 100
    /// The part of the limit that all workers together may use, in percent.
    package static let usablePercent = 85
    /// The part of the limit, in percent, that all workers together may use without a grant.
    package static let freePercent = 5
    /// The part of the limit, in percent, that is kept back for first copies that are still to be asked for: those of 300 spot markets.
    package static let firstCopyPercent = 25
    /// From this second on nothing is kept back for first copies any more.
    package static let lateSecond: Int64 = 45
    /// No weight is believed to be above this, whoever told it: sums and products of believed numbers cannot overflow.
    package static let most = 10_000_000

    package private(set) var limitPerMinute: Int
    private let isShared: Bool
    /// What is known of the exchange's clock.
    package private(set) var clock = ExchangeClock()
    /// How many workers share the address, as last told.
    package private(set) var workers = 1
    /// The minute that all the following is about.
    package private(set) var minute: Int64 = .min
    /// Our own use of the minute, with that of requests under way and of those that were under way when it began.
    package private(set) var spent = 0
    /// The part of `spent` that was asked and answered in this minute: the exchange has surely counted it.
    package private(set) var settled = 0
    /// The highest used weight that a reply to a request of this minute told.
    package private(set) var header = 0
    package private(set) var granted = 0
    private var inFlight = 0
    private var isTried = false
    private var isAnswered = false
    private var hasEverAnswered = false
    /// Nothing may be sent before this.
    package private(set) var blockedUntil: Int64 = .min
    package private(set) var isBanned = false

    /// `isShared`: others use the same address, and a leader divides the limit.
    package init(limitPerMinute: Int, isShared: Bool = false) {
        self.limitPerMinute = Self.believed(limitPerMinute)
        self.isShared = isShared
    }

    /// Takes over the limit that `exchangeInfo` told.
    package mutating func setLimit(_ limit: Int) { if limit > 0 { limitPerMinute = Self.believed(limit) } }

    private static func believed(_ number: Int) -> Int { min(max(0, number), most) }

    /// What all workers together may use of `limit`.
    package static func allowance(_ limit: Int) -> Int { max(1, limit * usablePercent / 100) }
    /// What one of `workers` may use without a grant.
    package static func share(_ limit: Int, workers: Int) -> Int {
        limit * freePercent / 100 / max(1, workers)
    }

    package var share: Int { Self.share(limitPerMinute, workers: workers) }

    // MARK: Sending

    /// Sets `weight` aside, or tells how long to wait at least.
    ///
    /// The first request of a minute goes alone: its reply tells what others have used of it.
    package mutating func reserve(_ weight: Int, _ urgency: Urgency = .first, nowMilliseconds now: Int64)
        -> Permission
    {
        let weight = Self.believed(weight)
        if now < blockedUntil { return .wait(milliseconds: blockedUntil - now) }
        isBanned = false
        roll(now)
        let time = clock.time(now)
        guard certainMinute(now) == minute else {
            return .wait(milliseconds: min(Self.millisecondsToNextMinute(time), 1000))
        }
        let allowance = Self.allowance(limitPerMinute)
        guard spent + weight <= authority(urgency, time) || (!isShared && spent == 0),
            header + inFlight + weight <= allowance || inFlight + header == 0
        else { return .wait(milliseconds: Self.millisecondsToNextMinute(time)) }
        guard !isTried || isAnswered else { return .wait(milliseconds: 50) }
        isTried = true
        spent += weight
        inFlight += weight
        return .granted(Reservation(weight: weight, minute: minute))
    }

    private func authority(_ urgency: Urgency, _ time: Int64) -> Int {
        guard isShared else { return Self.allowance(limitPerMinute) }
        return urgency == .first || Self.isLate(time) ? max(granted, share) : granted
    }

    /// Takes a reservation back: nothing was sent.
    package mutating func giveBack(_ reservation: Reservation) {
        inFlight = max(0, inFlight - reservation.weight)
        guard reservation.minute == minute else { return }
        spent = max(0, spent - reservation.weight)
        if !isAnswered { isTried = false }
    }

    /// Takes in how a request ended, and what the headers of its reply told; without a reply `usedWeight` is nil.
    package mutating func observe(
        _ reservation: Reservation, usedWeight: Int?, failure: RequestFailure? = nil,
        nowMilliseconds now: Int64
    ) {
        roll(now)
        inFlight = max(0, inFlight - reservation.weight)
        hasEverAnswered = hasEverAnswered || usedWeight != nil
        // A reply to a request of the minute before may tell of that minute.
        if reservation.minute == minute {
            isAnswered = true
            if let usedWeight {
                settled = min(spent, settled + reservation.weight)
                header = max(header, Self.believed(usedWeight))
            }
        }
        if case .wait(let milliseconds, let isBan)? = failure?.remedy {
            block(until: now + milliseconds, isBan: isBan)
        }
    }

    /// Takes in the time that a reply told, in its `Date` header.
    package mutating func observe(date: String?, sent: Int64, received: Int64) {
        clock.observe(date: date, sent: sent, received: received)
    }

    /// Takes in an exact time that a reply told.
    package mutating func observe(told: Int64, precision: Int64 = 1, sent: Int64, received: Int64) {
        clock.observe(told: told, precision: precision, sent: sent, received: received)
    }

    /// Sends nothing before `time` by our clock.
    package mutating func block(until time: Int64, isBan: Bool) {
        guard time > blockedUntil else { return }
        blockedUntil = time
        isBanned = isBanned || isBan
    }

    // MARK: Grants

    /// Takes over what the leader granted for one minute; only ever more than before.
    package mutating func grant(
        _ weight: Int, minute granted: Int64, workers: Int, nowMilliseconds now: Int64
    ) {
        self.workers = max(1, workers)
        roll(now)
        if granted == minute { self.granted = max(self.granted, Self.believed(weight)) }
    }

    /// Whether the exchange's clock has been seen, so that `minute` is the exchange's.
    package var isTimeKnown: Bool { clock.isKnown || hasEverAnswered }

    /// The minute for which a request surely counts that is sent now; nil close to a minute's end.
    private func certainMinute(_ now: Int64) -> Int64? {
        let (time, bounds) = (clock.time(now), clock.bounds(now))
        let current = Self.minute(time)
        let isCertain =
            Self.isInside(time) && Self.minute(bounds.lowerBound - Self.travelMilliseconds) == current
            && Self.minute(bounds.upperBound + Self.travelMilliseconds) == current
        return isCertain ? current : nil
    }

    /// Goes on to the exchange's minute, if that has surely begun.
    package mutating func roll(_ now: Int64) {
        // Backwards too: the clock may have been known badly. A long way only, lest a minute be spent twice.
        guard let current = certainMinute(now), current > minute || current < minute - 1 else { return }
        minute = current
        spent = inFlight
        settled = 0
        header = 0
        granted = 0
        isTried = false
        isAnswered = false
    }

    // MARK: Minutes

    /// The number of the minute that `time` lies in.
    package static func minute(_ time: Int64) -> Int64 { (time - position(time)) / 60_000 }

    private static func position(_ time: Int64) -> Int64 {
        let rest = time % 60_000
        return rest < 0 ? rest + 60_000 : rest
    }

    /// Whether `time` is so far from both ends of its minute that a request surely counts for it.
    package static func isInside(_ time: Int64) -> Bool {
        (guardMilliseconds..<60_000 - guardMilliseconds).contains(position(time))
    }

    /// Whether the minute is so far gone that nothing is kept back any more.
    package static func isLate(_ time: Int64) -> Bool { position(time) >= lateSecond * 1000 }

    /// How long until the next minute surely has begun at the exchange.
    package static func millisecondsToNextMinute(_ time: Int64) -> Int64 {
        60_000 - position(time - guardMilliseconds)
    }

    /// The used weight out of a reply's headers; `header` looks one up by its lower-case name.
    package static func usedWeight(_ header: (String) -> String?) -> Int? {
        (header("x-mbx-used-weight-1m") ?? header("x-mbx-used-weight")).flatMap { Int($0) }.map(believed)
    }
}
