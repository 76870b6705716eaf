import DepthCacheAPI
import K8sClient
import Testing

@testable import Gateway

/// A copy that was asked and has not answered yet.
struct DoubtTests {
    private static let asks = "/get_asks?exchange=binance.com&market=BTCUSDT&debug=true"
    private static func book(_ price: Int) -> BookAnswer {
        .served(Array(#"{"asks":[[\#(price),1]],"result":"OK"}"#.utf8)[...])
    }
    private static let first = [["gateway-0", "g0"], ["worker-0", "w0"]] as JSONValue
    private static let second = [["gateway-0", "g0"], ["worker-1", "w1"]] as JSONValue

    @Test func `another copy is asked beside one whose link has become suspect`() async throws {
        try await GatewayScene.run(workers: [.keeps(isSuspect: false), .answers(Self.book(2))]) {
            (scene) async throws in
            async let pending = scene.json(Self.asks)
            try await scene.waitForQueries(1)
            let now = ContinuousClock.now
            await scene.dispatcher.check(now)
            #expect(await scene.dispatcher.asked(1) == 0)
            await scene.dispatcher.change(0, to: .keeps(isSuspect: true))
            await scene.dispatcher.check(now)
            let answer = try await pending
            #expect(answer["error_id"]?.text == ErrorID.servedAfterFailover.rawValue)
            #expect(answer.at("debug", "used_pods") == Self.second)
            // Too late: the client has its answer.
            await scene.dispatcher.release(0, Self.book(1))
        }
    }

    @Test func `a doubted copy that answers first is believed, and is no failure`() async throws {
        try await GatewayScene.run(workers: [.keeps(isSuspect: false), .keeps(isSuspect: false)]) {
            (scene) async throws in
            async let pending = scene.json(Self.asks)
            try await scene.waitForQueries(1)
            let now = ContinuousClock.now
            await scene.dispatcher.check(now - .seconds(1))
            #expect(await scene.dispatcher.asked(1) == 0)
            await scene.dispatcher.check(now + BookRequest.doubtAfter)
            #expect(await scene.dispatcher.asked(1) == 1)
            await scene.dispatcher.release(0, Self.book(1))
            let answer = try await pending
            #expect(answer["asks"] == [[1, 1]])
            #expect(answer["error_id"] == nil)
            #expect(answer.at("debug", "used_pods") == Self.first)
            await scene.dispatcher.release(1, Self.book(2))
        }
    }

    @Test func `a copy that fails after another was asked beside it leaves the answer to that one`()
        async throws
    {
        try await GatewayScene.run(workers: [.keeps(isSuspect: false), .keeps(isSuspect: false)]) {
            (scene) async throws in
            async let pending = scene.json(Self.asks)
            try await scene.waitForQueries(1)
            await scene.dispatcher.check(.now + BookRequest.doubtAfter)
            await scene.dispatcher.release(0, .notSynchronized(reason: "Gap"))
            #expect(await scene.dispatcher.queriesUnderWay == 1)
            await scene.dispatcher.release(1, Self.book(2))
            let answer = try await pending
            #expect(answer["asks"] == [[2, 1]])
            #expect(answer["error_id"]?.text == ErrorID.servedAfterFailover.rawValue)
            #expect(answer["error"]?.text?.contains("#6000 out of sync: Gap") == true)
        }
    }
}
