/// What became of a request's weight.
enum WeightVerdict: Equatable {
    case allowed(used: Int)
    case limited(used: Int, retryAfterSeconds: Int)
    case banned(untilMilliseconds: Int64, retryAfterSeconds: Int)
}

/// The request weight of one pool: counted by calendar minute, refused above the limit, banned after ignored refusals.
struct WeightMeter {
    let limit: Int
    /// So many refusals in a row are forgiven; the next one is a ban.
    let toleratedRefusals: Int
    private var minute: Int64 = .min
    private(set) var used = 0
    private var refusals = 0
    /// All replies with 429 or 418 since the start.
    private(set) var refusalCount = 0
    private var bannedUntil: Int64 = 0
    private var banSeconds: Int64 = 120

    init(limit: Int, toleratedRefusals: Int = 10) {
        self.limit = limit
        self.toleratedRefusals = toleratedRefusals
    }

    mutating func charge(_ weight: Int, at milliseconds: Int64) -> WeightVerdict {
        if milliseconds < bannedUntil {
            refusalCount += 1
            return banned(at: milliseconds)
        }
        if milliseconds / 60_000 != minute {
            // A minute without a refusal makes good for the ones before.
            if used <= limit { refusals = 0 }
            minute = milliseconds / 60_000
            used = 0
        }
        used += weight
        guard used > limit else { return .allowed(used: used) }
        refusals += 1
        refusalCount += 1
        if refusals > toleratedRefusals {
            bannedUntil = milliseconds + banSeconds * 1000
            banSeconds = min(banSeconds * 2, 259_200)
            return banned(at: milliseconds)
        }
        return .limited(used: used, retryAfterSeconds: Int((60_000 - milliseconds % 60_000 + 999) / 1000))
    }

    private func banned(at milliseconds: Int64) -> WeightVerdict {
        .banned(
            untilMilliseconds: bannedUntil, retryAfterSeconds: Int((bannedUntil - milliseconds + 999) / 1000))
    }
}

/// Counts what happens per calendar interval: messages per second, connection attempts per five minutes.
struct RateMeter {
    let limit: Int
    let intervalMicroseconds: Int64
    private var interval: Int64 = .min
    private var count = 0

    init(limit: Int, intervalMicroseconds: Int64) {
        self.limit = limit
        self.intervalMicroseconds = intervalMicroseconds
    }

    /// Counts one; false if that is one too many.
    mutating func allows(at microseconds: Int64) -> Bool {
        if microseconds / intervalMicroseconds != interval {
            interval = microseconds / intervalMicroseconds
            count = 0
        }
        count += 1
        return count <= limit
    }
}
