import DepthCacheAPI
import K8sClient
import Telemetry
import Testing

@testable import Gateway

/// How often a query is asked again, and whom it is asked of first.
struct RetryTests {
    private static let served = LinkScript.answers(.served(Array(#"{"asks":[],"result":"OK"}"#.utf8)[...]))
    private static let unsynchronized = LinkScript.answers(.notSynchronized(reason: "Gap"))

    private static func asks(_ market: String = "BTCUSDT") -> String {
        "/get_asks?exchange=binance.com&market=\(market)"
    }

    @Test func `a loop that is asked nothing may retry a hundred times, and soon again`() {
        let start = ContinuousClock.now
        var budget = RetryBudget(now: start)
        #expect(Self.takeAll(&budget, at: start) == RetryBudget.reserve)
        #expect(Self.takeAll(&budget, at: start + .milliseconds(4999)) == 0)
        #expect(Self.takeAll(&budget, at: start + .seconds(5)) == RetryBudget.reserve / 2)
        // However long ago that is.
        #expect(Self.takeAll(&budget, at: start + .seconds(1_000_000)) == RetryBudget.reserve)
    }

    @Test func `queries of late widen the budget`() {
        let start = ContinuousClock.now
        var budget = RetryBudget(now: start)
        for _ in 0..<1000 { budget.count(at: start) }
        let share = 1000 / RetryBudget.queriesPerRetry
        #expect(Self.takeAll(&budget, at: start) == RetryBudget.reserve + share)
        // Both counts are halved alike.
        #expect(Self.takeAll(&budget, at: start + .seconds(5)) == RetryBudget.reserve / 2)
        #expect(Self.takeAll(&budget, at: start + .seconds(1000)) == RetryBudget.reserve)
    }

    private static func takeAll(_ budget: inout RetryBudget, at now: ContinuousClock.Instant) -> Int {
        var taken = 0
        while budget.take(at: now) { taken += 1 }
        return taken
    }

    @Test func `copies that all fail are not asked by every query, and the answer says so`() async throws {
        try await GatewayScene.run(workers: Array(repeating: Self.unsynchronized, count: 4)) {
            (scene) async throws in
            var last = ""
            for _ in 0..<500 {
                let answer = try await scene.json(Self.asks())
                #expect(answer["error_id"]?.text == "#6000")
                last = answer["message"]?.text ?? ""
            }
            #expect(last.contains("out of sync! Gap; "))
            #expect(last.hasSuffix(" more not asked, because too many queries had to be asked again"))
            var attempts = 0
            for worker in 0..<4 { attempts += await scene.dispatcher.asked(worker) }
            let metrics = scene.dispatcher.service.metrics
            #expect(attempts == 500 + Int(metrics.retries.value))
            // Three more for each would be 1,500; the budget makes it 350, and 50 more every five seconds.
            #expect(metrics.retries.value < 1000)
            #expect(metrics.retriesWithheld.value > 0)
        }
    }

    @Test func `without budget a copy that was not asked is named where none could be reached`() async throws
    {
        try await GatewayScene.run(workers: [.fails("reset"), .fails("reset")]) { (scene) async throws in
            await scene.dispatcher.useUpRetries()
            let answer = try await scene.json(Self.asks())
            #expect(answer["error_id"]?.text == "#5000")
            let reasons = Set(answer["requests"]?.elements?.compactMap { $0[2]?.text } ?? [])
            #expect(reasons == ["reset", "not asked, because too many queries had to be asked again"])
        }
    }

    @Test func `who has one copy is served without any budget, also where it has moved to`() async throws {
        try await GatewayScene.run(workers: [.answers(.notHere), Self.served]) { (scene) async throws in
            await scene.dispatcher.useUpRetries()
            await scene.directory.update(GatewayScene.picture(workerCount: 1))
            async let reply = scene.json(Self.asks())
            try await scene.waitForQueries(1)
            await scene.directory.update(GatewayScene.picture(workerCount: 2))
            await scene.dispatcher.check()
            #expect(try await reply["result"]?.text == "OK")
            #expect(scene.dispatcher.service.metrics.retriesWithheld.value == 0)
        }
    }

    @Test func `a query that waits for a silent copy is counted once when it may not ask another`()
        async throws
    {
        try await GatewayScene.run(workers: [.silent, Self.served]) { (scene) async throws in
            await scene.dispatcher.useUpRetries()
            async let reply = scene.json(Self.asks())
            try await scene.waitForQueries(1)
            let start = ContinuousClock.now
            for step in 0..<20 { await scene.dispatcher.check(start + .milliseconds(700 + step)) }
            #expect(await scene.dispatcher.asked(1) == 0)
            #expect(scene.dispatcher.service.metrics.retriesWithheld.value == 1)
            // What was used up is given back with time, and the query goes on.
            await scene.dispatcher.refillRetries()
            await scene.dispatcher.check(start + .milliseconds(800))
            #expect(try await reply["result"]?.text == "OK")
        }
    }

    @Test func `a copy that has just failed is asked last`() async throws {
        try await GatewayScene.run(workers: [Self.unsynchronized, Self.served]) { (scene) async throws in
            for _ in 0..<100 { #expect(try await scene.json(Self.asks())["result"]?.text == "OK") }
            // In turn it would be asked first by every other query.
            let asked = await scene.dispatcher.asked(0)
            #expect(asked > 0 && asked < 50)
            await scene.dispatcher.change(0, to: Self.served)
            await scene.dispatcher.resetAsked(0)
            await scene.dispatcher.check(.now + .seconds(2))
            for _ in 0..<2 { _ = try await scene.send(Self.asks()) }
            #expect(await scene.dispatcher.asked(0) == 1)
        }
    }

    @Test func `a worker that fails for every market costs no query, however rarely each is asked`()
        async throws
    {
        try await GatewayScene.run(workers: [Self.unsynchronized, Self.served]) { (scene) async throws in
            await scene.directory.update(Self.picture(markets: 1000))
            for index in 0..<1000 {
                let answer = try await scene.json(Self.asks("M\(index)USDT"))
                #expect(answer["result"]?.text == "OK")
            }
            #expect(await scene.dispatcher.asked(1) == 1000)
            // Each market would be asked of it first.
            #expect(await scene.dispatcher.asked(0) < 200)
        }
    }

    @Test func `a copy that has failed in a call for many books is asked last too`() async throws {
        let book = Array(#"{"market":"BTCUSDT"}"#.utf8)[...]
        let served = BooksAnswer.Entry.served(BookMark(updateID: 7, coveredLevels: 4), book)
        try await GatewayScene.run(workers: [
            .books([[.notSynchronized(reason: "Gap")]]), .books([[served]]),
        ]) { (scene) async throws in
            for _ in 0..<6 {
                let answer = try await scene.json("/v1/books?exchange=binance.com&markets=BTCUSDT")
                #expect(answer["books"]?[0]?["worker"]?.text == "worker-1")
            }
            #expect(await scene.dispatcher.asked(0) < 3)
        }
    }

    @Test func `one broken copy does not keep queries from the rest of its worker`() async throws {
        try await GatewayScene.run(workers: [Self.unsynchronized, Self.served]) { (scene) async throws in
            for _ in 0..<50 { _ = try await scene.send(Self.asks()) }
            await scene.dispatcher.change(0, to: Self.served)
            await scene.dispatcher.resetAsked(0)
            await scene.directory.update(Self.picture(markets: 1))
            _ = try await scene.send(Self.asks("M0USDT"))
            #expect(await scene.dispatcher.asked(0) == 1)
        }
    }

    /// As `GatewayScene.picture`, with two copies of each of so many markets.
    private static func picture(markets: Int) -> ClusterPicture {
        var picture = GatewayScene.picture(workerCount: 2)
        for index in 0..<markets {
            let market = "M\(index)USDT"
            picture.caches.append(
                CachePicture(name: market, uid: market, exchange: "binance.com", market: market, replicas: 2))
            for worker in 0..<2 {
                picture.replicas.append(
                    ReplicaPicture(
                        name: "\(market)-\(worker)", cacheUID: market, workerUID: "w\(worker)",
                        workerName: "worker-\(worker)", isSynchronized: true, incarnation: "i\(worker)"))
            }
        }
        return picture
    }
}

extension Dispatcher {
    /// Leaves no retry for an hour, however slowly the test runs.
    fileprivate func useUpRetries() { while ledger.mayRetry(at: .now + .seconds(3600)) {} }

    /// Gives some back, as time does.
    fileprivate func refillRetries() { _ = ledger.mayRetry(at: .now + .seconds(7200)) }
}
