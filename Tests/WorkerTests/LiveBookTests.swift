import DepthCacheAPI
import K8sClient
import Telemetry
import TestSupport
import Testing

@testable import Worker

/// Books of a worker against the exchange simulator, each answer audited at its own id.
@Suite(.serialized) struct LiveBookTests {
    private let markets = ["BTCUSDT", "ETHUSDT", "BNBUSDT"]

    private func synchronized(_ rig: Rig) async throws {
        await rig.assign(markets)
        try await eventually("synchronised books") { markets.allSatisfy { rig.isServed($0) } }
    }

    private func audit(_ rig: Rig) async throws {
        for market in markets {
            #expect(try await rig.difference(market, .asks) == nil)
            #expect(try await rig.difference(market, .bids) == nil)
        }
    }

    @Test func `books are served exactly and an alias shares the book of its venue`() async throws {
        let rig = try await Rig()
        try await synchronized(rig)
        try await audit(rig)
        await rig.assign(["btcusdt"], exchange: "binance.com-margin")
        let alias = rig.directory.books(exchange: "binance.com-margin", market: "BTCUSDT").first
        #expect(alias === rig.book("BTCUSDT"))
        await rig.stop()
    }

    @Test(arguments: ["gap", "garbage", "idreset", "disconnect"])
    func `after trouble a book is withdrawn, comes back and is exact`(_ fault: String) async throws {
        let rig = try await Rig()
        try await synchronized(rig)
        let restarts = rig.book("BTCUSDT")?.report.restarts ?? 0
        try await rig.inject(fault, "&symbol=BTCUSDT")
        try await eventually("the fault's detection") {
            (rig.book("BTCUSDT")?.report.restarts ?? 0) > restarts
        }
        try await eventually("books in step again", within: .seconds(60)) {
            for market in markets where !rig.isServed(market) { return false }
            return true
        }
        try await audit(rig)
        await rig.stop()
    }

    @Test func `an unknown market fails in words and harms no other`() async throws {
        let rig = try await Rig()
        await rig.assign(["BTCUSDT", "NOSUCHCOIN"])
        try await eventually("both outcomes") {
            rig.phase("NOSUCHCOIN") == .failed && rig.isServed("BTCUSDT")
        }
        #expect(rig.book("NOSUCHCOIN")?.report.reason == .unknownMarket)
        guard case .notSynchronized(let reason) = try rig.query("NOSUCHCOIN", .asks) else {
            Issue.record("an unknown market was answered")
            return
        }
        #expect(reason.hasPrefix("UnknownMarket"))
        #expect(try rig.query("ETHUSDT", .asks) == .notHere)
        await rig.stop()
    }

    @Test func `a market that does not trade is never answered as an empty book`() async throws {
        let rig = try await Rig()
        try await rig.inject("halt", "&symbol=BTCUSDT")
        await rig.assign(["BTCUSDT"])
        try await eventually("the market's status") { rig.phase("BTCUSDT") == .failed }
        #expect(rig.book("BTCUSDT")?.report.reason == .marketNotTrading)
        #expect(!rig.isServed("BTCUSDT"))
        await rig.stop()
    }

    @Test func `an exchange that is gone is said plainly and its books are withdrawn`() async throws {
        let rig = try await Rig()
        try await synchronized(rig)
        rig.simulator.send(9)
        try await eventually("the words for it") {
            rig.book("BTCUSDT")?.report.reason == .exchangeUnreachable
        }
        #expect(rig.book("BTCUSDT")?.report.message.contains("wss://127.0.0.1") == true)
        #expect(markets.allSatisfy { !rig.isServed($0) })
        await rig.stop()
    }

    @Test func `two speeds of one market have metrics of their own, and each takes only its own along`()
        async throws
    {
        let rig = try await Rig(linger: .zero)
        func assign(_ intervals: [Int]) async {
            await rig.keeper.assign(
                intervals.map { interval in
                    var metadata = ObjectMeta(name: "every\(interval)")
                    metadata.uid = "every\(interval)"
                    var spec = DepthCacheReplicaSpec(
                        exchange: "binance.com", market: "BTCUSDT", workerName: "w")
                    spec.updateIntervalMilliseconds = interval
                    return DepthCacheReplica(metadata: metadata, spec: spec)
                })
        }
        func synchronized() -> Int { rig.metric("fathom_worker_book_synchronized{") }
        func covered(_ interval: Int) -> Bool {
            let page = String(decoding: rig.metrics.render(), as: UTF8.self)
            return page.split(separator: "\n").contains {
                $0.hasPrefix("fathom_worker_covered_levels{")
                    && $0.contains("update_interval_ms=\"\(interval)\"")
            }
        }
        await assign([100, 1000])
        try await eventually("both are told of") {
            await rig.keeper.tick()
            return synchronized() == 2 && covered(100) && covered(1000)
        }
        await assign([100])
        #expect(synchronized() == 1)
        #expect(covered(100) && !covered(1000))
        await rig.stop()
    }

    @Test func `a deleted replica is served while it lingers and not after`() async throws {
        let rig = try await Rig(linger: .seconds(1))
        try await synchronized(rig)
        await rig.assign([])
        #expect(rig.isServed("BTCUSDT"))
        try await eventually("the end of lingering") {
            await rig.keeper.tick()
            return try rig.query("BTCUSDT", .asks) == .notHere
        }
        await rig.stop()
    }
}

extension Rig {
    /// The sum of a metric's series.
    func metric(_ name: String) -> Int {
        String(decoding: metrics.render(), as: UTF8.self).split(separator: "\n").filter { $0.hasPrefix(name) }
            .compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }.reduce(0) { $0 + Int($1) }
    }
}
