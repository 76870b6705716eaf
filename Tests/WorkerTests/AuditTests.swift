import Binance
import DepthCacheAPI
import TestSupport
import Testing

@testable import Worker

/// Books compared with the exchange's own against the simulator.
@Suite(.serialized) struct AuditTests {
    private func synchronized(_ rig: Rig) async throws -> BookID {
        await rig.assign(["BTCUSDT"])
        try await eventually("full depth") { (rig.book("BTCUSDT")?.reach?.shortest ?? 0) >= 900 }
        return try #require(rig.book("BTCUSDT")).id
    }

    @Test func `an audit on demand classes every level and several share one comparison`() async throws {
        let rig = try await Rig("--depth", "3000")
        let id = try await synchronized(rig)
        async let first = rig.keeper.audit(id)
        async let second = rig.keeper.audit(id)
        guard case .compared(let record) = await first, case .compared(let other) = await second else {
            Issue.record("no comparison")
            return
        }
        #expect(record.isExact && record.matched >= 1800 && record.time == other.time)
        guard case .notHere = await rig.keeper.audit(BookID(venue: "x", market: "Y", intervalMilliseconds: 1))
        else {
            Issue.record("an unknown book was audited")
            return
        }
        await rig.stop()
    }
}
