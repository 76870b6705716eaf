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
            duty.lastSpoke = loop.clock.now - .seconds(31)
            loop.tickBooks(now: loop.clock.now)
            let checks = desk.waiting.filter { $0.purpose == .check }
            #expect(checks.map(\.names) == [exchange == "binance.com" ? ["BTCUSDT", "ETHUSDT"] : []])
            desk.answer(.check, .statuses(["BTCUSDT": Self.cancelOnly, "ETHUSDT": Self.trading]))
            #expect(duty.book.report.reason == .marketNotTrading)
            #expect(other.book.report.phase == .synchronized && other.marketReading.at != nil)
        }
    }

    /// The names of the last question, if there are now `count` of them.
    private func names(_ desk: SnapshotDesk, _ count: Int) -> [String]? {
        let checks = desk.waiting.filter { $0.purpose == .check }
        return checks.count == count ? checks.last?.names : nil
    }

    @Test func `a name that the exchange does not know is found among others and fails alone`() async throws {
        try await withSpeakingBook { loop, duty, desk in
            let other = loop.keepAnother(beside: duty, duty.lines[0].feed)
            loop.acknowledge(duty.lines[0].feed, now: .seconds(2))
            other.load(id: 100)
            let now = loop.clock.now
            loop.tickBooks(now: now)
            #expect(names(desk, 1) == ["BTCUSDT", "ETHUSDT"])
            desk.answer(.check, .unknownMarket("-1121"))
            loop.tickBooks(now: now)
            #expect(names(desk, 2) == ["BTCUSDT"])
            desk.answer(.check, .statuses(["BTCUSDT": Self.trading]))
            loop.tickBooks(now: now + .seconds(31))
            #expect(names(desk, 3) == ["ETHUSDT"])
            desk.answer(.check, .unknownMarket("-1121"))
            #expect(other.marketReading.isSuspect && other.book.report.phase == .synchronized)
            loop.tickBooks(now: now + .seconds(42))
            #expect(names(desk, 4) == ["ETHUSDT"])
            desk.answer(.check, .unknownMarket("-1121"))
            #expect(duty.book.report.phase == .synchronized)
            #expect(other.book.report.reason == .marketNotTrading)
        }
    }

    @Test(arguments: [trading, cancelOnly, nil])
    func `what the whole list leaves out is asked for by its name before it is believed`(
        status: MarketStatus?
    ) async throws {
        try await withSpeakingBook { loop, duty, desk in
            let now = loop.clock.now
            loop.tickBooks(now: now)
            // A name that is refused for another reason is looked for in the whole list.
            desk.answer(.check, .failed(.snapshotFailed, "403"))
            loop.tickBooks(now: now + .seconds(31))
            #expect(names(desk, 2) == [])
            for _ in 1...2 { desk.answer(.check, .statuses(["ETHUSDT": Self.trading])) }
            #expect(duty.marketReading.isMissing && duty.book.report.phase == .synchronized)
            loop.tickBooks(now: now + .seconds(42))
            #expect(names(desk, 3) == ["BTCUSDT"])
            // Only what is said of its name counts, and two answers of that.
            desk.answer(.check, .statuses(status.map { ["BTCUSDT": $0] } ?? [:]))
            #expect(
                !duty.marketReading.isMissing && duty.marketReading.isSuspect == !(status?.isTrading ?? false)
            )
            #expect(duty.book.report.phase == .synchronized)
        }
    }

    @Test
    func `the second answer is asked for ten seconds later, and two with a restart between are not in a row`()
        async throws
    {
        try await withSpeakingBook { loop, duty, desk in
            let now = loop.clock.now
            loop.tickBooks(now: now)
            desk.answer(.check, .statuses(["BTCUSDT": Self.cancelOnly]))
            loop.tickBooks(now: now + .seconds(9))
            #expect(names(desk, 1) != nil)
            loop.tickBooks(now: now + .seconds(11))
            #expect(names(desk, 2) != nil)
            loop.invalidate(duty, .gap)
            duty.load(id: 200)
            #expect(duty.marketReading.at == nil && !duty.marketReading.isSuspect)
            duty.collectsSince = .zero
            desk.answer(.check, .statuses(["BTCUSDT": Self.cancelOnly]))
            #expect(duty.marketReading.isSuspect && duty.book.report.phase == .synchronized)
        }
    }

    @Test(arguments: [true, false])
    func `a failed book comes back with the others' answer, unless it has failed just before`(
        isAsking: Bool
    ) async throws {
        try await withSpeakingBook(exchange: "binance.com-futures") { loop, duty, desk in
            let other = loop.keepAnother(beside: duty, duty.lines[0].feed)
            loop.acknowledge(duty.lines[0].feed, now: .seconds(2))
            other.load(id: 100)
            let now = loop.clock.now
            loop.tickBooks(now: now)
            loop.marketIsGone(duty, "gone")
            let both = ["BTCUSDT": Self.trading, "ETHUSDT": Self.trading]
            duty.failedAt = now - .seconds(29)
            desk.answer(.check, .statuses(both))
            #expect(duty.book.report.phase == .failed)
            duty.failedAt = now - .seconds(31)
            if isAsking {
                duty.nextRevival = now
                loop.tickBooks(now: now)
            }
            desk.answer(.check, .statuses(both))
            #expect(duty.book.report.phase == .resyncing)
            // Its own answer comes too late to say anything.
            desk.answer(.status, .status(isTrading: false))
            #expect(duty.book.report.phase == .resyncing && duty.nextRevival == nil && duty.failedAt == nil)
        }
    }

    @Test func `a market that has stopped trading keeps its reason when its events come late`() async throws {
        try await withSpeakingBook { loop, duty, desk in
            let feed = duty.lines[0].feed
            for id in 101...103 { loop.hear(event(id, of: duty, late: 8000), feed) }
            #expect(duty.book.report.reason.rawValue == "FeedLate")
            loop.tickBooks(now: loop.clock.now)
            for _ in 1...2 { desk.answer(.check, .statuses(["BTCUSDT": Self.cancelOnly])) }
            for id in 104...106 { loop.hear(event(id, of: duty, late: 0), feed) }
            #expect(duty.lateness.fault == nil)
            #expect(duty.book.report.reason == .marketNotTrading)
            #expect(duty.book.report.message.contains("CANCEL_ONLY"))
        }
    }

    @Test(arguments: [SnapshotOutcome.failed(.exchangeUnreachable, "lost"), .statuses([:])])
    func `an answer that says nothing harms no book, and the next question waits half a minute`(
        outcome: SnapshotOutcome
    ) async throws {
        try await withSpeakingBook(exchange: "binance.com-futures") { loop, duty, desk in
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
            desk.answer(.check, .statuses(["ETHUSDT": Self.trading]))
            #expect(!duty.marketReading.isSuspect && duty.marketReading.at == nil)
            duty.collectsSince = .zero
            desk.answer(.check, .statuses(["ETHUSDT": Self.trading]))
            #expect(duty.marketReading.isSuspect)
        }
    }

    @Test(
        arguments: [
            // spoke, asked, is due at 1000
            (999, nil, true), (999, 701, false), (999, 700, true), (940, 999, true), (939, 999, false),
            (941, 999, false), (940, 1000, false),
        ] as [(Int, Int?, Bool)])
    func `a market's turn comes after five minutes, or once when its stream has fallen silent`(
        spoke: Int, asked: Int?, isDue: Bool
    ) {
        let reading = MarketReading(at: asked.map { .seconds($0) })
        #expect(reading.isDue(spoke: .seconds(spoke), StatusPace(), now: .seconds(1000)) == isDue)
    }

    @Test func `more markets than fit into a question are asked for without names, suspects never`() {
        func names(_ count: Int, areSuspects: Bool = false, byName: Bool = true) -> Int {
            var round = StatusRound()
            let markets = (0..<count).map { "M\($0)USDT" }
            return round.ask(markets, areSuspects: areSuspects, byName: byName, now: .zero).count
        }
        #expect([names(1), names(50), names(51), names(51, areSuspects: true)] == [1, 50, 0, 50])
        #expect(names(1, areSuspects: true, byName: false) == 0)
    }

    @Test func `the pause begins when a question is sent, however long it has waited`() {
        var round = StatusRound()
        _ = round.ask(["BTCUSDT"], areSuspects: false, byName: true, now: .zero)
        round.answered(sentAt: .seconds(15))
        let may = [24, 25].map { round.mayAsk(hasSuspect: true, StatusPace(), now: .seconds($0)) }
        #expect(may == [false, true])
        #expect(!round.mayAsk(hasSuspect: false, StatusPace(), now: .seconds(44)))
    }

    @Test func `questions hold half the names after each refusal, and more again after answers`() {
        var round = StatusRound()
        let markets = (0..<50).map { "M\($0)USDT" }
        func count() -> Int { round.ask(markets, areSuspects: false, byName: true, now: .zero).count }
        var counts = [count()]
        for isUnknown in [true, false, true] {
            if isUnknown {
                round.foundUnknown(among: counts.last ?? 0)
            } else {
                round.failed(named: counts.last ?? 0, isRefused: true)
            }
            counts.append(count())
        }
        // What was not answered at all says nothing of the names.
        round.failed(named: 6, isRefused: false)
        counts.append(count())
        for _ in 1...4 {
            round.answered(sentAt: .zero)
            counts.append(count())
        }
        #expect(counts == [50, 25, 12, 6, 6, 12, 24, 48, 50])
    }

    @Test func `a market that is listed without a status, or twice, counts as trading`() throws {
        let text = """
            {"optionSymbols":[{"symbol":"A"},{"symbol":"B","status":null},{"symbol":"C","status":"BREAK"},\
            {"symbol":"D","status":"BREAK"},{"symbol":"D","status":"TRADING"},{"symbol":"D","status":"BREAK"}]}
            """
        let info = try ExchangeInfo(parsing: Array(text.utf8))
        let statuses = MarketStatus.all(info)
        #expect(["A", "B", "C", "D"].map { statuses[$0]?.isTrading } == [true, true, false, true])
        #expect(["A", "B", "C", "D"].map { info.market($0)?.isTrading } == [true, true, false, true])
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
