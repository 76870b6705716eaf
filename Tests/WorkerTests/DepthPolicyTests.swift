import Binance
import Books
import Testing

@testable import Worker

/// When a book wants another snapshot, and how deep a one.
struct DepthPolicyTests {
    private let level = PriceLevel(
        price: FixedDecimal(mantissa: 1, scale: 0), quantity: FixedDecimal(mantissa: 1, scale: 0))

    private func policy(
        _ exchange: String = "binance.com", depth: Int = 500, refresh: Int? = nil
    ) throws -> DepthPolicy {
        let exchange = try #require(ExchangeDirectory()[name: exchange])
        return DepthPolicy(
            exchange: exchange,
            demand: BookDemand(depths: [depth], refreshInterval: refresh.map { .seconds($0) }))
    }

    private func reply(_ bids: Int, _ asks: Int, limit: Int) -> ReplySize {
        let snapshot = BookSnapshot(
            lastID: 1, bids: Array(repeating: level, count: bids), asks: Array(repeating: level, count: asks))
        return ReplySize(snapshot, limit: limit)
    }

    private func reach(_ bids: Int, _ asks: Int, wholeAsks: Bool = false) -> BookReach {
        BookReach(bids: .init(levels: bids, isWhole: false), asks: .init(levels: asks, isWhole: wholeAsks))
    }

    /// A policy whose book has had its shallow and its deep snapshot by second 1.
    private func settled(depth: Int = 500, refresh: Int? = nil) throws -> DepthPolicy {
        var policy = try policy(depth: depth, refresh: refresh)
        policy.began(with: reply(100, 100, limit: policy.firstLimit), now: .zero)
        let asked = policy.wish(reach: reach(100, 100), now: .zero, random: 0.5)
        let wish = try #require(asked)
        policy.asked(wish, now: .zero)
        policy.adopted(reply(wish.limit, wish.limit, limit: wish.limit), now: .seconds(1))
        return policy
    }

    @Test(
        arguments: [
            ("binance.com", 500, 100, 1000), ("binance.com", 10, 100, 100), ("binance.com", 501, 100, 5000),
            ("binance.com", 5000, 100, 5000), ("binance.com-futures", 500, 50, 1000),
            ("binance.com-futures", 5000, 50, 1000), ("binance.com-vanilla-options", 20, 50, 50),
        ])
    func `the first snapshot is the cheapest, the next shows twice the depth`(
        _ exchange: String, _ depth: Int, _ first: Int, _ deep: Int
    ) throws {
        var policy = try policy(exchange, depth: depth)
        #expect(policy.firstLimit == first && policy.targetLimit == deep)
        policy.began(with: reply(first, first, limit: first), now: .zero)
        let wish = policy.wish(reach: reach(first, first), now: .zero, random: 0)
        #expect(wish == (deep > first ? DepthPolicy.Wish(motive: .deepen, limit: deep) : nil))
    }

    @Test func `a side known whole is never asked for again`() throws {
        var policy = try policy()
        policy.began(with: reply(37, 12, limit: 100), now: .zero)
        let whole = BookReach(bids: .init(levels: 3, isWhole: true), asks: .init(levels: 0, isWhole: true))
        #expect(policy.wish(reach: whole, now: .seconds(9), random: 0) == nil)
        var settled = try settled()
        #expect(settled.wish(reach: reach(900, 3, wholeAsks: true), now: .seconds(99), random: 0) == nil)
        #expect(settled.standings(reach: reach(900, 3, wholeAsks: true), now: .seconds(99)) == [500: .full])
    }

    @Test func `a book is fetched again when few levels are left, at most once a minute`() throws {
        var policy = try settled()
        #expect(policy.wish(reach: reach(500, 500), now: .seconds(100), random: 0) == nil)
        #expect(policy.wish(reach: reach(499, 900), now: .seconds(59), random: 0) == nil)
        let asked = policy.wish(reach: reach(499, 900), now: .seconds(60), random: 0)
        let wish = try #require(asked)
        #expect(wish == .init(motive: .deepen, limit: 1000))
        policy.asked(wish, now: .seconds(60))
        #expect(policy.wish(reach: reach(10, 900), now: .seconds(200), random: 0) == nil)
        policy.adopted(reply(1000, 1000, limit: 1000), now: .seconds(61))
        #expect(policy.wish(reach: reach(10, 900), now: .seconds(119), random: 0) == nil)
        #expect(policy.wish(reach: reach(10, 900), now: .seconds(120), random: 0) != nil)
    }

    @Test func `a venue that shows less than the depth is asked again at seven tenths of it`() throws {
        var policy = try policy("binance.com-futures", depth: 5000)
        policy.began(with: reply(50, 50, limit: 50), now: .zero)
        policy.adopted(reply(1000, 800, limit: 1000), now: .zero)
        // 800 was the whole of the asks, so only the bids were cut.
        #expect(policy.wish(reach: reach(700, 1, wholeAsks: true), now: .seconds(99), random: 0) == nil)
        #expect(policy.wish(reach: reach(699, 1, wholeAsks: true), now: .seconds(99), random: 0) != nil)
    }

    @Test func `what fails is asked again after waits that grow to a minute`() throws {
        var policy = try policy()
        policy.began(with: reply(100, 100, limit: 100), now: .zero)
        var now = Duration.zero
        var waits: [Duration] = []
        for _ in 0..<9 {
            let asked = policy.wish(reach: reach(100, 100), now: now, random: 0)
            let wish = try #require(asked)
            policy.asked(wish, now: now)
            policy.failed(now: now)
            let failure = now
            while policy.wish(reach: reach(100, 100), now: now, random: 0) == nil {
                now += .milliseconds(100)
            }
            waits.append(now - failure)
        }
        #expect(waits[0] >= .milliseconds(500) && waits[0] <= .seconds(1.1))
        #expect(waits[8] >= .seconds(30) && waits[8] <= .seconds(60.1))
    }

    @Test func `a raised depth is acted on at once and a lowered one costs nothing`() throws {
        var policy = try settled()
        policy.demand = BookDemand(depths: [500, 2000])
        #expect(
            policy.wish(reach: reach(1000, 1000), now: .seconds(2), random: 0)
                == .init(motive: .deepen, limit: 5000))
        policy.demand = BookDemand(depths: [100])
        #expect(policy.wish(reach: reach(1000, 1000), now: .seconds(2), random: 0) == nil)
    }

    @Test func `timed refreshes come at their interval, spread by a tenth`() throws {
        for (random, due) in [(0.0, 90), (1.0, 110)] {
            var policy = try settled(refresh: 100)
            let full = reach(1000, 1000)
            #expect(policy.wish(reach: full, now: .zero, random: random) == nil)
            #expect(policy.wish(reach: full, now: .seconds(due - 1), random: random) == nil)
            let asked = policy.wish(reach: full, now: .seconds(due + 1), random: random)
            let wish = try #require(asked)
            #expect(wish == .init(motive: .refresh, limit: 1000))
            policy.asked(wish, now: .seconds(due))
            policy.adopted(reply(1000, 1000, limit: 1000), now: .seconds(due))
            #expect(policy.wish(reach: full, now: .seconds(due + 2), random: random) == nil)
        }
    }

    @Test func `each depth of a shared book stands for itself`() throws {
        var policy = try policy("binance.com-futures", depth: 500)
        policy.demand = BookDemand(depths: [20, 500, 5000])
        policy.began(with: reply(50, 50, limit: 50), now: .zero)
        #expect(
            policy.standings(reach: reach(50, 50), now: .zero) == [20: .full, 500: .shallow, 5000: .shallow])
        policy.adopted(reply(1000, 1000, limit: 1000), now: .seconds(1))
        #expect(
            policy.standings(reach: reach(1000, 1000), now: .seconds(1))
                == [20: .full, 500: .full, 5000: .below(limit: 1000)])
    }

    @Test func `a passing lack of levels is not told, a lasting one is, and so is its end`() throws {
        var policy = try settled()
        func standing(_ levels: Int, _ second: Int) -> DepthPolicy.Standing? {
            policy.standings(reach: reach(levels, 1000), now: .seconds(second))[500]
        }
        #expect(standing(499, 10) == .full && standing(500, 60) == .full)
        #expect(standing(499, 100) == .full && standing(499, 219) == .full)
        #expect(standing(499, 220) == .below(limit: 1000))
        #expect(standing(501, 230) == .below(limit: 1000) && standing(499, 240) == .below(limit: 1000))
        #expect(standing(501, 250) == .below(limit: 1000) && standing(501, 370) == .full)
        #expect(standing(499, 400) == .full && standing(499, 520) == .below(limit: 1000))
        policy.adopted(reply(1000, 1000, limit: 1000), now: .seconds(521))
        #expect(standing(1000, 521) == .full)
    }
}
