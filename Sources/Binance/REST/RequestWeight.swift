/// How much request weight one pool of an exchange has left in its minute, and whether it may be asked at all.
///
/// The exchange counts by calendar minutes and by address, so what others behind the same address use is seen in
/// the headers of our own replies. Time is passed in, as milliseconds since 1970.
package struct RequestWeight: Sendable {
    /// Whether a request may go out.
    package enum Permission: Sendable, Equatable {
        case granted
        case wait(milliseconds: Int64)
    }

    /// Our clock and the exchange's differ: a new minute is believed only this long after it began.
    package static let guardMilliseconds: Int64 = 500

    /// No weight is believed to be above this, whoever told it: sums and products of believed numbers cannot overflow.
    package static let most = 10_000_000

    package private(set) var limitPerMinute: Int
    /// The part of the limit that may be used, in percent.
    private let percent: Int
    /// The weight used in the minute, as far as known, including that of requests under way.
    package private(set) var used = 0
    private var inFlight = 0
    private var minute: Int64 = .min
    /// Nothing may be sent before this.
    package private(set) var blockedUntil: Int64 = .min
    package private(set) var isBanned = false

    package init(limitPerMinute: Int, percent: Int = 85) {
        self.limitPerMinute = Self.believed(limitPerMinute)
        self.percent = min(max(1, percent), 100)
    }

    /// Takes over the limit that `exchangeInfo` told.
    package mutating func setLimit(_ limit: Int) { if limit > 0 { limitPerMinute = Self.believed(limit) } }

    private static func believed(_ number: Int) -> Int { min(max(0, number), most) }

    private var allowance: Int { max(1, limitPerMinute * percent / 100) }

    /// Reserves `weight`, or tells how long to wait.
    ///
    /// A request that costs more than everything may go out alone.
    package mutating func reserve(_ weight: Int, nowMilliseconds now: Int64) -> Permission {
        let weight = Self.believed(weight)
        if now < blockedUntil { return .wait(milliseconds: blockedUntil - now) }
        isBanned = false
        roll(now)
        guard used + weight <= allowance || used == 0 else {
            return .wait(milliseconds: Self.millisecondsToNextMinute(now))
        }
        used += weight
        inFlight += weight
        return .granted
    }

    /// Takes in a reply: the weight that was reserved for it, and what its headers told.
    package mutating func observe(
        reserved: Int, usedWeight: Int?, failure: RequestFailure? = nil, nowMilliseconds now: Int64
    ) {
        roll(now)
        inFlight = max(0, inFlight - Self.believed(reserved))
        if let usedWeight { used = max(used, Self.believed(usedWeight) + inFlight) }
        if case .wait(let milliseconds, let isBan)? = failure?.remedy {
            blockedUntil = max(blockedUntil, now + milliseconds)
            isBanned = isBanned || isBan
        }
    }

    private mutating func roll(_ now: Int64) {
        let current = (now - Self.guardMilliseconds) / 60_000
        guard current > minute else { return }
        minute = current
        used = inFlight
    }

    /// How long until the next minute surely has begun at the exchange.
    package static func millisecondsToNextMinute(_ now: Int64) -> Int64 {
        let passed = (now - guardMilliseconds) % 60_000
        return 60_000 - (passed < 0 ? passed + 60_000 : passed)
    }

    /// The used weight out of a reply's headers; `header` looks one up by its lower-case name.
    package static func usedWeight(_ header: (String) -> String?) -> Int? {
        (header("x-mbx-used-weight-1m") ?? header("x-mbx-used-weight")).flatMap { Int($0) }.map(believed)
    }
}
