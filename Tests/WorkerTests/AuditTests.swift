import Binance
import DepthCacheAPI
import FoundationEssentials
import K8sClient
import Telemetry
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

    @Test func `the continuous audit finds a corrupted level, keeps the evidence and heals the book`()
        async throws
    {
        let folder = FileManager.default.temporaryDirectory.path + "/audit-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let events = Announced()
        let rig = try await Rig(
            "--depth", "3000", auditRest: .seconds(1), evidence: folder, announce: events.announce)
        _ = try await synchronized(rig)
        try await eventually("a first audit") { await rig.lastAudit("BTCUSDT")?.isExact == true }
        try await rig.inject("corrupt", "&symbol=BTCUSDT&rank=40&side=bids")
        try await eventually("the mismatch", within: .seconds(90)) {
            await rig.lastAudit("BTCUSDT")?.isExact == false
        }
        let audit = try #require(await rig.lastAudit("BTCUSDT"))
        #expect(audit.drifted == 1 && audit.orphaned == 0 && audit.missed == 0 && audit.matched >= 1800)
        let dump = try #require(audit.dump)
        try await eventually("the evidence") { FileManager.default.fileExists(atPath: dump) }
        let evidence = try JSONValue(parsing: [UInt8](Data(contentsOf: URL(filePath: dump))))
        #expect(evidence["market"] == "BTCUSDT" && evidence["bids"]?["drifted"] == 1)
        try await eventually("a book in sync again") { rig.isServed("BTCUSDT") }
        #expect(try await rig.difference("BTCUSDT", .bids, limit: 90) == nil)
        try await eventually("an Event about it") {
            events.all.contains { $0.hasPrefix("Warning AuditMismatch the book differed") }
        }
        #expect(rig.metric("fathom_worker_audits_total{exchange=\"binance.com\",result=\"mismatch\"}") == 1)
        try await eventually("its status") {
            await rig.keeper.statuses["r-binance.com-btcusdt"]?.lastAudit?.result == .mismatch
        }
        await rig.stop()
    }
}

/// The Events that were told.
final class Announced: Sendable {
    private let lines = Guarded<[String]>([])
    var all: [String] { lines.withLock { $0 } }
    var announce: ReplicaKeeper.Announce {
        { [lines] _, kind, reason, message in
            lines.withLock { $0.append("\(kind.rawValue) \(reason) \(message)") }
        }
    }
}
