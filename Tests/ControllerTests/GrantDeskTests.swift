import Binance
import DepthCacheAPI
import Testing

@testable import Controller

/// What the leader makes of the limits that exchanges tell.
struct GrantDeskTests {
    private static let time: Int64 = 20_000_000 * 60_000 + 10_000

    /// The limit that members are told of, after `exchange` has told the leader `told`.
    private func limit(_ overrides: String, _ name: String, told: Int) async throws -> Int? {
        let exchanges = try ExchangeDirectory(overridesYAML: Array(overrides.utf8))
        let exchange = try #require(exchanges[name: name])
        let desk = GrantDesk(exchanges: exchanges, metrics: ControllerMetrics(), wall: { Self.time })
        await desk.setMembers([], ownGroup: "g")
        let reserved = await desk.reserve(exchange, weight: 1)
        let reply = GrantDesk.Reply(usedWeight: 1, limit: told, sent: Self.time)
        await desk.observe(exchange, try #require(reserved), reply)
        let grant = await desk.grant(for: GrantDesk.ownID, report: 1)
        return grant.pools.first { $0.name == exchange.weightPool }?.limit
    }

    @Test func `what an exchange tells counts, but no more than the operator allows`() async throws {
        #expect(try await limit("", "binance.com", told: 3000) == 3000)
        let yaml = "binance.com: {weightPerMinute: 1200}"
        #expect(try await limit(yaml, "binance.com", told: 6000) == 1200)
        #expect(try await limit(yaml, "binance.com", told: 600) == 600)
    }

    @Test func `the lowest limit of a pool counts, also one that the operator set`() async throws {
        let yaml = "binance.com-futures: {weightPerMinute: 1200}"
        #expect(try await limit(yaml, "binance.com-coin_futures", told: 2400) == 1200)
    }

    @Test func `a limit that cannot be is not reckoned with`() async throws {
        #expect(try await limit("", "binance.us", told: .max) == RequestWeight.most)
        #expect(try await limit("", "binance.us", told: -1) == 0)
    }
}
