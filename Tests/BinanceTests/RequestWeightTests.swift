import Testing

@testable import Binance

/// What may be sent when: the account of one worker for one pool.
struct RequestWeightTests {
    private func reserved(
        _ weight: inout RequestWeight, _ amount: Int, _ urgency: RequestWeight.Urgency = .first, at now: Int64
    ) -> RequestWeight.Reservation? {
        guard case .granted(let reservation) = weight.reserve(amount, urgency, nowMilliseconds: now) else {
            return nil
        }
        return reservation
    }

    /// Asks for one unit and answers it, so that the minute's first request is over.
    private func open(_ weight: inout RequestWeight, used: Int, at now: Int64) throws {
        let first = try #require(reserved(&weight, 1, at: now))
        weight.observe(first, usedWeight: used, nowMilliseconds: now)
    }

    @Test func `alone, all of the usable part may be spent, and it comes back with the minute`() throws {
        var weight = RequestWeight(limitPerMinute: 100)
        let first = try #require(reserved(&weight, 50, at: 60_600))
        weight.observe(first, usedWeight: 70, nowMilliseconds: 60_700)
        #expect(weight.reserve(16, nowMilliseconds: 60_800) == .wait(milliseconds: 59_700))
        #expect(reserved(&weight, 15, at: 60_800) != nil)
        #expect(reserved(&weight, 16, at: 120_500) != nil)
    }

    @Test func `nothing is sent within half a second of a minute's end`() {
        for (now, wait) in [(59_500, 1000), (60_000, 500), (60_499, 1), (119_999, 501)] as [(Int64, Int64)] {
            var weight = RequestWeight(limitPerMinute: 100)
            #expect(weight.reserve(1, nowMilliseconds: now) == .wait(milliseconds: wait))
        }
        for now in [60_500, 119_499] as [Int64] {
            var weight = RequestWeight(limitPerMinute: 100)
            #expect(reserved(&weight, 1, at: now) != nil)
        }
    }

    @Test func `the first request of a minute goes alone, whether it is answered or fails`() throws {
        for used in [1, nil] {
            var weight = RequestWeight(limitPerMinute: 100)
            let first = try #require(reserved(&weight, 1, at: 61_000))
            #expect(weight.reserve(1, nowMilliseconds: 61_000) == .wait(milliseconds: 50))
            weight.observe(first, usedWeight: used, nowMilliseconds: 61_100)
            #expect(reserved(&weight, 1, at: 61_100) != nil)
            #expect(reserved(&weight, 1, at: 61_100) != nil)
        }
        var weight = RequestWeight(limitPerMinute: 100)
        weight.giveBack(try #require(reserved(&weight, 1, at: 61_000)))
        #expect(weight.spent == 0)
        #expect(reserved(&weight, 1, at: 61_000) != nil)
    }

    @Test func `requests under way are not counted twice once their replies tell of them`() throws {
        var weight = RequestWeight(limitPerMinute: 100)
        try open(&weight, used: 1, at: 61_000)
        let (one, two) = (
            try #require(reserved(&weight, 40, at: 61_000)), try #require(reserved(&weight, 40, at: 61_000))
        )
        weight.observe(one, usedWeight: 81, nowMilliseconds: 61_100)
        #expect(reserved(&weight, 4, at: 61_100) == nil)  // 81 told, and 40 may be in it or not
        weight.observe(two, usedWeight: 81, nowMilliseconds: 61_200)
        #expect(reserved(&weight, 4, at: 61_200) != nil)
    }

    @Test func `a late reply tells of its own minute, and its weight counts in both`() throws {
        var weight = RequestWeight(limitPerMinute: 100)
        try open(&weight, used: 1, at: 61_000)
        let late = try #require(reserved(&weight, 60, at: 119_400))
        try open(&weight, used: 61, at: 120_600)
        #expect(weight.spent == 61)
        weight.observe(late, usedWeight: 85, nowMilliseconds: 120_700)
        #expect(weight.header == 61)
        #expect(reserved(&weight, 24, at: 120_800) != nil)
    }

    @Test func `shared weight is spent as granted, for that minute only`() throws {
        var weight = RequestWeight(limitPerMinute: 6000, isShared: true)
        weight.grant(1000, minute: 1, workers: 3, nowMilliseconds: 61_000)
        try open(&weight, used: 1, at: 61_000)
        #expect(reserved(&weight, 1000, .other, at: 61_000) == nil)
        #expect(reserved(&weight, 999, .other, at: 61_000) != nil)
        weight.grant(500, minute: 1, workers: 3, nowMilliseconds: 61_000)
        #expect(weight.granted == 1000)
        weight.grant(2000, minute: 2, workers: 3, nowMilliseconds: 61_000)
        weight.grant(2000, minute: 0, workers: 3, nowMilliseconds: 61_000)
        #expect(weight.granted == 1000)
        weight.roll(121_000)
        #expect(weight.granted == 0)
    }

    @Test func `without a grant first copies have a share, others only late in the minute`() throws {
        var weight = RequestWeight(limitPerMinute: 6000, isShared: true)
        weight.grant(0, minute: 1, workers: 3, nowMilliseconds: 61_000)
        #expect(weight.share == 100)
        #expect(reserved(&weight, 1, .other, at: 61_000) == nil)
        try open(&weight, used: 1, at: 61_000)
        #expect(reserved(&weight, 50, .first, at: 61_000) != nil)
        #expect(reserved(&weight, 49, .other, at: 104_999) == nil)
        #expect(reserved(&weight, 49, .other, at: 105_000) != nil)
        #expect(reserved(&weight, 1, .first, at: 105_000) == nil)
    }

    @Test func `strangers' use ends ours, whatever was granted`() throws {
        var weight = RequestWeight(limitPerMinute: 6000, isShared: true)
        weight.grant(5000, minute: 1, workers: 1, nowMilliseconds: 61_000)
        try open(&weight, used: 5080, at: 61_000)
        #expect(reserved(&weight, 21, at: 61_000) == nil)
        #expect(reserved(&weight, 20, at: 61_000) != nil)
    }

    @Test func `a refusal stops everything until its end`() throws {
        var weight = RequestWeight(limitPerMinute: 100)
        let first = try #require(reserved(&weight, 1, at: 61_000))
        let refusal = RequestFailure(status: 418, retryAfter: "70", body: [], nowMilliseconds: 61_100)
        weight.observe(first, usedWeight: nil, failure: refusal, nowMilliseconds: 61_100)
        #expect(weight.isBanned)
        #expect(weight.reserve(1, nowMilliseconds: 131_000) == .wait(milliseconds: 100))
        #expect(reserved(&weight, 1, at: 131_100) != nil)
        #expect(!weight.isBanned)
    }

    @Test func `absurd weights are neither believed nor added up past the end of numbers`() throws {
        let told = RequestWeight.usedWeight { $0 == "x-mbx-used-weight-1m" ? "9223372036854775807" : nil }
        #expect(told == RequestWeight.most)
        var weight = RequestWeight(limitPerMinute: .max)
        let first = try #require(reserved(&weight, .max, at: 60_600))
        weight.observe(first, usedWeight: .max, nowMilliseconds: 60_700)
        #expect(weight.reserve(.max, nowMilliseconds: 60_800) == .wait(milliseconds: 59_700))
        weight.setLimit(.max)
        weight.grant(.max, minute: 1, workers: .max, nowMilliseconds: 60_900)
        #expect(reserved(&weight, 50, at: 120_700) != nil)
    }

    @Test func `the exchange's minute counts, not ours`() throws {
        var weight = RequestWeight(limitPerMinute: 100)
        let first = try #require(reserved(&weight, 50, at: 61_000))
        // Its clock is some 30 seconds ahead.
        weight.observe(date: "Thu, 01 Jan 1970 00:01:31 GMT", sent: 61_000, received: 61_000)
        weight.observe(first, usedWeight: 50, nowMilliseconds: 61_000)
        #expect(reserved(&weight, 50, at: 89_000) == nil)
        #expect(reserved(&weight, 50, at: 91_000) != nil)
    }
}

/// What replies tell of the exchange's clock.
struct ExchangeClockTests {
    @Test func `dates are read, others are not`() {
        #expect(ExchangeClock.milliseconds(date: "Thu, 01 Jan 1970 00:00:00 GMT") == 0)
        #expect(ExchangeClock.milliseconds(date: "Sat, 21 Nov 2026 07:24:27 GMT") == 1_795_245_867_000)
        #expect(ExchangeClock.milliseconds(date: "Thu, 29 Feb 2024 23:59:59 GMT") == 1_709_251_199_000)
        for text in [
            "", "Sat, 21 Nov 2026 07:24:27 CET", "Sat, 32 Nov 2026 07:24:27 GMT",
            "Sat, 21 Nov 99999999999999 07:24:27 GMT",
        ] {
            #expect(ExchangeClock.milliseconds(date: text) == nil)
        }
    }

    @Test(arguments: [-40_000, -700, -3, 0, 250, 1999, 3_600_000] as [Int64])
    func `many replies tell the offset to within their latency`(offset: Int64) {
        var (clock, random) = (ExchangeClock(), SystemRandomNumberGenerator())
        #expect(!clock.isKnown)
        var now: Int64 = 1_795_245_867_000
        for _ in 0..<400 {
            now += Int64.random(in: 50...900, using: &random)
            let (out, back) = (
                Int64.random(in: 1...40, using: &random), Int64.random(in: 1...40, using: &random)
            )
            let told = (now + out + offset) / 1000 * 1000
            clock.observe(told: told, precision: 1000, sent: now, received: now + out + back)
        }
        #expect(abs(clock.offsetMilliseconds - offset) < 150)
    }

    @Test(arguments: [.min, -1, 1 << 53, (1 << 53) + 1, .max] as [Int64])
    func `a time that cannot be is not reckoned with`(told: Int64) {
        var clock = ExchangeClock()
        clock.observe(told: told, precision: 1000, sent: 1_795_245_867_000, received: 1_795_245_867_010)
        #expect(!clock.isKnown && clock.offsetMilliseconds == 0)
    }

    @Test func `a clock that was set is believed anew`() {
        var clock = ExchangeClock()
        clock.observe(told: 100_000, precision: 1, sent: 100_000, received: 100_010)
        clock.observe(told: 150_000, precision: 1, sent: 110_000, received: 110_010)
        #expect((39_990...40_001).contains(clock.offsetMilliseconds))
    }
}
