import Binance
import DepthCacheAPI
import Telemetry
import TestSupport
import Testing

@testable import Books
@testable import Worker

/// Markets that stop trading, and the questions by which that is learned.
struct MarketStatusTests {
    private static let trading = MarketStatus(word: "TRADING", isTrading: true)
    private static let cancelOnly = MarketStatus(word: "CANCEL_ONLY", isTrading: false)

    /// A book at 100 whose stream has just spoken, and whose market was never asked about.
    private func withSpeakingBook(
        exchange: String = "binance.com",
        _ body: @escaping @Sendable (isolated FeedLoop, BookDuty, SnapshotDesk) -> Void
    ) async throws {
        try await withLines(1, exchange: exchange) { loop, duty in
            loop.acknowledge(duty.lines[0].feed, now: .zero)
            duty.load(id: 100)
            duty.collectsSince = .zero - .seconds(100)
            (duty.lastEvent, duty.lastSpoke) = (loop.clock.now, loop.clock.now)
            body(loop, duty, duty.venue.desk)
        }
    }

    @Test(
        arguments: [
            ([cancelOnly, cancelOnly], "the exchange lists BTCUSDT as not trading (CANCEL_ONLY)"),
            ([nil, nil], "the exchange does not list BTCUSDT"), ([cancelOnly, trading, cancelOnly], nil),
            ([cancelOnly], nil), ([trading, trading], nil),
        ] as [([MarketStatus?], String?)])
    func `a market that speaks and trades no more fails when two answers say so`(
        told: [MarketStatus?], message: String?
    ) async throws {
        try await withSpeakingBook { loop, duty, desk in
            var now = loop.clock.now
            for (index, status) in told.enumerated() {
                expectBook(duty, "Synchronized, 1 trusted, 0 restarts")
                let asked = desk.waiting.count { $0.purpose == .check }
                loop.tickBooks(now: now)
                #expect(desk.waiting.count { $0.purpose == .check } == asked + 1, "question \(index)")
                var statuses = ["ETHUSDT": Self.trading]
                statuses["BTCUSDT"] = status
                desk.answer(.check, .statuses(statuses))
                now += status?.isTrading == true ? .seconds(301) : .seconds(11)
            }
            #expect(duty.book.report.phase == (message == nil ? .synchronized : .failed))
            if let message { #expect(duty.book.report.message == message) }
        }
    }

    @Test func `a silent market that one answer leaves out is served until a second one does`() async throws {
        try await withSpeakingBook(exchange: "binance.com-futures") { loop, duty, desk in
            duty.lastSpoke = loop.clock.now - .seconds(61)
            loop.tickBooks(now: loop.clock.now)
            desk.answer(.check, .statuses(["ETHUSDT": Self.trading]))
            #expect(duty.book.report.phase == .synchronized)
            loop.tickBooks(now: loop.clock.now + .seconds(11))
            desk.answer(.check, .statuses(["ETHUSDT": Self.trading]))
            #expect(duty.book.report.reason == .marketNotTrading)
        }
    }

    @Test(arguments: ["binance.com", "binance.com-futures"])
    func `one answer judges all books, and names are given where the exchange takes them`(
        exchange: String
    ) async throws {
        try await withSpeakingBook(exchange: exchange) { loop, duty, desk in
            let other = loop.keepAnother(beside: duty, duty.lines[0].feed)
            loop.acknowledge(duty.lines[0].feed, now: .seconds(2))
            other.load(id: 100)
            other.collectsSince = .zero - .seconds(100)
            duty.lastSpoke = loop.clock.now - .seconds(31)
            loop.tickBooks(now: loop.clock.now)
            let checks = desk.waiting.filter { $0.purpose == .check }
            #expect(checks.map(\.names) == [exchange == "binance.com" ? ["BTCUSDT", "ETHUSDT"] : []])
            desk.answer(.check, .statuses(["BTCUSDT": Self.cancelOnly, "ETHUSDT": Self.trading]))
            #expect(duty.book.report.reason == .marketNotTrading)
            #expect(other.book.report.phase == .synchronized && other.marketReading.at != nil)
        }
    }

    @Test func `a name that the exchange does not know makes the next question one for all`() async throws {
        try await withSpeakingBook { loop, duty, desk in
            let other = loop.keepAnother(beside: duty, duty.lines[0].feed)
            loop.acknowledge(duty.lines[0].feed, now: .seconds(2))
            other.load(id: 100)
            other.collectsSince = .zero - .seconds(100)
            let now = loop.clock.now
            loop.tickBooks(now: now)
            desk.answer(.check, .unknownMarket("-1121"))
            loop.tickBooks(now: now)
            #expect(desk.waiting.filter { $0.purpose == .check }.map(\.names.count) == [2, 0])
            desk.answer(.check, .statuses(["BTCUSDT": Self.trading]))
            #expect(!duty.marketReading.isSuspect && other.marketReading.isSuspect)
            // Alone it is asked for by its name, and what is said of that is said of it.
            loop.tickBooks(now: now + .seconds(11))
            #expect(desk.waiting.last { $0.purpose == .check }?.names == ["ETHUSDT"])
            desk.answer(.check, .unknownMarket("-1121"))
            #expect(duty.book.report.phase == .synchronized)
            #expect(other.book.report.reason == .marketNotTrading)
        }
    }

    @Test(arguments: [SnapshotOutcome.failed(.exchangeUnreachable, "lost"), .statuses([:])])
    func `an answer that says nothing harms no book, and the next question waits half a minute`(
        outcome: SnapshotOutcome
    ) async throws {
        try await withSpeakingBook { loop, duty, desk in
            let now = loop.clock.now
            func asked(_ loop: isolated FeedLoop, _ seconds: Int) -> Int {
                loop.tickBooks(now: now + .seconds(seconds))
                return desk.waiting.count { $0.purpose == .check }
            }
            // While it is under way there is no other.
            #expect([asked(loop, 0), asked(loop, 20)] == [1, 1])
            desk.answer(.check, outcome)
            #expect([asked(loop, 29), asked(loop, 31)] == [1, 2])
            #expect(duty.marketReading.at == nil && duty.book.report.phase == .synchronized)
        }
    }

    @Test
    func
        `a book that is withdrawn for a doubt is asked about, one that was begun after the question is not judged`()
        async throws
    {
        try await withSpeakingBook { loop, duty, desk in
            duty.doubtedID = 100
            duty.book.state.withLock { $0.book.suspend(.streamSilent) }
            loop.tickBooks(now: loop.clock.now)
            duty.collectsSince = loop.clock.now + .seconds(1)
            desk.answer(.check, .statuses([:].merging(["ETHUSDT": Self.trading]) { $1 }))
            #expect(!duty.marketReading.isSuspect && duty.marketReading.at == nil)
            duty.collectsSince = .zero - .seconds(100)
            desk.answer(.check, .statuses(["ETHUSDT": Self.trading]))
            #expect(duty.marketReading.isSuspect)
        }
    }

    @Test(
        arguments: [
            // began, spoke, asked, is due at 1000
            (939, 999, nil, true), (941, 999, nil, false), (0, 999, 701, false), (0, 999, 700, true),
            (0, 940, 999, true), (0, 939, 999, false), (0, 941, 999, false), (0, 940, 1000, false),
        ] as [(Int, Int, Int?, Bool)])
    func `a market's turn comes after five minutes, or once when its stream has fallen silent`(
        began: Int, spoke: Int, asked: Int?, isDue: Bool
    ) {
        let reading = MarketReading(at: asked.map { .seconds($0) })
        #expect(
            reading.isDue(began: .seconds(began), spoke: .seconds(spoke), StatusPace(), now: .seconds(1000))
                == isDue)
    }

    @Test func `more markets than fit into a question are asked for without names`() {
        func names(_ count: Int) -> Int {
            var round = StatusRound()
            return round.ask(Set((0..<count).map { "M\($0)USDT" }), byName: true, now: .zero).count
        }
        #expect([names(1), names(50), names(51)] == [1, 50, 0])
    }

    @Test func `a market of the simulator that takes no orders any more is withdrawn while its events go on`()
        async throws
    {
        var pace = StatusPace()
        (pace.interval, pace.patience, pace.pause, pace.confirmation) = (
            .seconds(1), .zero, .seconds(1), .seconds(1)
        )
        let rig = try await Rig(statusPace: pace)
        await rig.assign(["BTCUSDT", "ETHUSDT"])
        try await eventually("synchronised books") { rig.isServed("BTCUSDT") && rig.isServed("ETHUSDT") }
        func covered(_ market: String) -> Bool {
            let page = String(decoding: rig.metrics.render(), as: UTF8.self)
            return page.split(separator: "\n").contains {
                $0.hasPrefix("fathom_worker_covered_") && $0.contains("\"\(market)\"")
            }
        }
        await rig.keeper.tick()
        #expect(covered("BTCUSDT") && covered("ETHUSDT"))
        try await rig.inject("cancel-only", "&symbol=BTCUSDT")
        try await eventually("the market's status") { rig.phase("BTCUSDT") == .failed }
        #expect(rig.book("BTCUSDT")?.report.reason == .marketNotTrading)
        #expect(rig.book("BTCUSDT")?.report.message.contains("CANCEL_ONLY") == true)
        let before = rig.book("BTCUSDT")?.state.withLock { $0.messages } ?? 0
        try await eventually("events that go on") {
            (rig.book("BTCUSDT")?.state.withLock { $0.messages } ?? 0) > before
        }
        #expect(rig.isServed("ETHUSDT") && !rig.isServed("BTCUSDT"))
        // What is not served covers nothing.
        await rig.keeper.tick()
        #expect(!covered("BTCUSDT") && covered("ETHUSDT"))
        await rig.stop()
    }
}
