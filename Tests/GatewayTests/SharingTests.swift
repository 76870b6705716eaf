import DepthCacheAPI
import K8sClient
import Telemetry
import TestSupport
import Testing
import Transport

@testable import Gateway

/// Equal queries that have not left for a worker, over a real link.
struct SharingTests {
    private static let served = BookAnswer.served(Array(#"{"asks":[],"result":"OK"}"#.utf8)[...])
    private static let asks = "/get_asks?exchange=binance.com&market=BTCUSDT"

    @Test func `two equal queries of one turn are one question, and each answer is its client's own`()
        async throws
    {
        try await Self.run(isSharing: true) { (scene, worker) async throws in
            let plain = [Self.asks, Self.asks, Self.asks + "&limit_count=3"]
            let replies = try await scene.sendAtOnce(plain + [Self.asks + "&debug=true"])
            let answers = try replies.map { try JSONValue(parsing: Array($0.body)) }
            #expect(answers.map { $0["result"]?.text } == ["OK", "OK", "OK", "OK"])
            #expect(replies[0].body == replies[1].body)
            #expect(answers[..<3].allSatisfy { $0["debug"] == nil })
            #expect(answers[3].at("debug", "used_pods") == [["gateway-0", "g0"], ["worker-0", "w0"]])
            #expect(worker.asked.withLock { $0 } == 2)
            #expect(scene.dispatcher.service.metrics.shared.value == 2)
            // These have left: a later one gets an answer of its own.
            #expect(try await scene.json(Self.asks)["result"]?.text == "OK")
            #expect(worker.asked.withLock { $0 } == 3)
        }
    }

    @Test func `questions are not shared where the setting is off`() async throws {
        try await Self.run(isSharing: false) { (scene, worker) async throws in
            _ = try await scene.sendAtOnce([Self.asks, Self.asks])
            #expect(worker.asked.withLock { $0 } == 2)
            #expect(scene.dispatcher.service.metrics.shared.value == 0)
        }
    }

    @Test func `a query does not wait for one that is given up much sooner or later`() {
        let sharing = QuestionSharing(shared: Counter())
        let due = ContinuousClock.now
        #expect(sharing.find(1, [1, 2], due: due, batch: 0) == nil)
        sharing.add(1, [1, 2], 7, due: due)
        #expect(sharing.find(1, [1, 2], due: due + .milliseconds(20), batch: 0) == 7)
        #expect(sharing.find(1, [1, 2], due: due + .seconds(1), batch: 0) == nil)
        #expect(sharing.find(1, [1, 2], due: due - .seconds(1), batch: 0) == nil)
        #expect(sharing.find(2, [1, 2], due: due, batch: 0) == nil)
        #expect(sharing.find(1, [1, 3], due: due, batch: 0) == nil)
        #expect(sharing.find(1, [1, 2], due: due, batch: 1) == nil)
        #expect(sharing.find(1, [1, 2], due: due, batch: 0) == nil)
    }

    /// A gateway's dispatcher with a real link to one worker, which keeps BTCUSDT.
    private static func run(
        isSharing: Bool, _ body: (GatewayScene, ScriptedWorker) async throws -> Void
    ) async throws {
        try await GatewayScene.run(sharesAnswers: isSharing) { (scene) async throws in
            let worker = try ScriptedWorker(index: 0, answer: Self.served)
            defer { worker.kill() }
            await scene.directory.update(GatewayScene.picture(workerCount: 1, ports: [worker.server.port]))
            let identity = LinkIdentity(role: .gateway, name: "gateway-0", uid: "g0", incarnation: "1")
            await scene.dispatcher.connect(
                scene.directory.table.workers, LinkSettings(identity: identity, keys: { SocketScene.keys }),
                on: scene.loop)
            try await eventually { await scene.dispatcher.linkCounts == [.up: 1] }
            try await body(scene, worker)
            await scene.dispatcher.disconnect()
        }
    }
}

extension GatewayScene {
    /// Sends all in one turn of the loop, and waits for all answers.
    fileprivate func sendAtOnce(_ targets: [String]) async throws -> [GatewayReply] {
        let replies = Guarded<[Int: GatewayReply]>([:])
        let requests = targets.map { request($0) }
        await dispatcher.handleAll(requests) { index, reply in replies.withLock { $0[index] = reply } }
        try await eventually { replies.withLock { $0.count } == targets.count }
        return targets.indices.compactMap { index in replies.withLock { $0[index] } }
    }
}

extension Dispatcher {
    fileprivate func handleAll(
        _ requests: [GatewayRequest], reply: @escaping @Sendable (Int, GatewayReply) -> Void
    ) {
        for (index, request) in requests.enumerated() {
            handle(request, origin: nil, fetchSite: nil) { reply(index, $0) }
        }
    }
}
