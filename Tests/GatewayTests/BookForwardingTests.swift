import DepthCacheAPI
import K8sClient
import Telemetry
import Testing

@testable import Gateway

/// What becomes of `/get_asks` and `/get_bids`, worker by worker.
struct BookForwardingTests {
    private static let asks = "/get_asks?exchange=binance.com&market=BTCUSDT"
    private static let book = #"{"asks":[[1.0,2.0]],"event":"GET_ASKS","result":"OK"}"#
    private static let served = LinkScript.answers(.served(ArraySlice(book.utf8)))
    private static let unsynchronized = LinkScript.answers(.notSynchronized(reason: "Gap"))

    @Test func `a worker's object is passed on as it is, by all workers in turn`() async throws {
        try await GatewayScene.run(workers: [Self.served, Self.served]) { (scene) async throws in
            for _ in 0..<4 {
                let reply = try await scene.send(Self.asks)
                #expect(reply == GatewayReply(body: Array(Self.book.utf8)[...]))
            }
            #expect(await scene.dispatcher.asked(0) == 2)
            #expect(await scene.dispatcher.asked(1) == 2)
        }
    }

    @Test(arguments: [
        LinkScript.fails("connection lost: reset"), Self.unsynchronized, .answers(.notHere),
        .unreachable("connection refused"),
    ])
    func `a failed replica is replaced within the request, and the right pod is named`(
        _ first: LinkScript
    ) async throws {
        try await GatewayScene.run(workers: [first, Self.served]) { (scene) async throws in
            let answer = try await scene.json(Self.asks + "&debug=true")
            #expect(answer["result"]?.text == "OK")
            #expect(answer["asks"] == [[1.0, 2.0]])
            #expect(answer["error_id"]?.text == "#5001")
            let error = try #require(answer["error"]?.text)
            #expect(error.hasPrefix("Data served after 1 DCN failure(s): pod=worker-0 (uid=w0) — "))
            #expect(answer.at("debug", "used_pods") == [["gateway-0", "g0"], ["worker-1", "w1"]])
            #expect(try await scene.json(Self.asks)["error_id"] == nil)
        }
    }

    @Test func `a book out of sync is said to be so, with the reason`() async throws {
        try await GatewayScene.run(workers: [Self.unsynchronized, .unreachable("refused")]) {
            (scene) async throws in
            let answer = try await scene.json(Self.asks)
            #expect(answer["error_id"]?.text == "#6000")
            #expect(answer["message"]?.text == "DepthCache 'BTCUSDT' for 'binance.com' is out of sync! Gap")
            #expect(answer["asks"] == nil)
        }
    }

    @Test func `with no worker reachable the answer lists them all`() async throws {
        try await GatewayScene.run(workers: [.unreachable("refused"), .fails("reset")]) {
            (scene) async throws in
            let answer = try await scene.json(Self.asks)
            #expect(answer["error_id"]?.text == "#5000")
            let requests = try #require(answer["requests"]?.elements)
            #expect(Set(requests) == [["127.0.0.1", 9000, "refused"], ["127.0.0.1", 9001, "reset"]])
        }
    }

    @Test func `a silent worker is not waited for when another can answer`() async throws {
        try await GatewayScene.run(workers: [.silent, Self.served]) { (scene) async throws in
            async let reply = scene.json(Self.asks)
            try await scene.waitForQueries(1)
            await scene.dispatcher.check(.now + .milliseconds(300))
            #expect(await scene.dispatcher.asked(1) == 0)
            await scene.dispatcher.check(.now + .milliseconds(700))
            let answer = try await reply
            #expect(answer["result"]?.text == "OK")
            #expect(answer["error"]?.text?.contains("pod=worker-0 (uid=w0) — silent for") == true)
        }
    }

    @Test func `a silent worker is waited for to the deadline when there is no other`() async throws {
        try await GatewayScene.run(workers: [.silent]) { (scene) async throws in
            async let reply = scene.json(Self.asks)
            try await scene.waitForQueries(1)
            await scene.dispatcher.check(.now + .seconds(4))
            #expect(await scene.dispatcher.queriesUnderWay == 1)
            await scene.dispatcher.check(.now + .seconds(6))
            let answer = try await reply
            #expect(answer["error_id"]?.text == "#5000")
            #expect(answer.at("requests")?[0]?[2]?.text?.hasPrefix("no answer within 5000") == true)
        }
    }

    @Test func `a copy that was moved is asked where it is now`() async throws {
        try await GatewayScene.run(workers: [.answers(.notHere), Self.served]) { (scene) async throws in
            await scene.directory.update(GatewayScene.picture(workerCount: 1))
            async let reply = scene.json(Self.asks)
            try await scene.waitForQueries(1)
            #expect(await scene.dispatcher.asked(1) == 0)
            await scene.directory.update(GatewayScene.picture(workerCount: 2))
            await scene.dispatcher.check()
            let answer = try await reply
            #expect(answer["result"]?.text == "OK")
            #expect(answer["error"]?.text?.contains("(uid=w0) — has no replica of the market") == true)
        }
    }

    @Test func `a copy that is nowhere is waited for a moment and then said to be gone`() async throws {
        try await GatewayScene.run(workers: [.answers(.notHere)]) { (scene) async throws in
            async let reply = scene.json(Self.asks)
            try await scene.waitForQueries(1)
            await scene.dispatcher.check(.now + .milliseconds(500))
            #expect(await scene.dispatcher.queriesUnderWay == 1)
            await scene.dispatcher.check(.now + .milliseconds(1500))
            let answer = try await reply
            #expect(answer["error_id"]?.text == "#6000")
            #expect(answer["message"]?.text?.hasSuffix("the replica has left worker-0") == true)
        }
    }

    @Test func `a link that is just being made is waited for a moment`() async throws {
        try await GatewayScene.run(workers: [.connecting]) { (scene) async throws in
            async let reply = scene.json(Self.asks)
            try await scene.waitForQueries(1)
            await scene.dispatcher.change(0, to: Self.served)
            await scene.dispatcher.check()
            let answer = try await reply
            #expect(answer["result"]?.text == "OK")
        }
    }

    @Test func `a market without replicas, and one that is not there, have ids of their own`() async throws {
        try await GatewayScene.run { (scene) async throws in
            let missing = try await scene.json(Self.asks)
            #expect(missing["error_id"]?.text == "#7000")
            #expect(missing["message"]?.text == "DepthCache 'BTCUSDT' for 'binance.com' not found!")
            let created = try await scene.json("/create_depthcache?exchange=binance.com&market=BTCUSDT")
            #expect(created == ["event": "CREATE_DEPTHCACHE", "result": "OK"])
            #expect(try await scene.json(Self.asks)["error_id"]?.text == "#4000")
        }
    }

    @Test func `a market that cannot be placed says why`() async throws {
        try await GatewayScene.run { (scene) async throws in
            var picture = ClusterPicture()
            picture.caches = [
                CachePicture(
                    name: "btc", uid: "c", exchange: "binance.com", market: "BTCUSDT",
                    standing: .init(isReady: false, reason: "NoWorkers", message: "there is no worker"))
            ]
            await scene.directory.update(picture)
            let answer = try await scene.json(Self.asks)
            #expect(answer["error_id"]?.text == "#4000")
            let expected = "No DCN found for 'BTCUSDT' on 'binance.com'! there is no worker"
            #expect(answer["message"]?.text == expected)
        }
    }

    @Test func `many queries for a missing market are one question to the API`() async throws {
        try await GatewayScene.run { (scene) async throws in
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<50 {
                    group.addTask {
                        let answer = try? await scene.json(Self.asks)
                        #expect(answer?["error_id"]?.text == "#7000")
                    }
                }
            }
            #expect(scene.store.state.withLock { $0.finds + $0.lists } <= 2)
        }
    }

    @Test func `what another gateway created is found although no watch has brought it`() async throws {
        try await GatewayScene.run { (scene) async throws in
            let spec = DepthCacheSpec(exchange: "binance.com", market: "ETHUSDT")
            _ = try await scene.store.create(spec)
            let answer = try await scene.json("/get_bids?exchange=binance.com&market=ethusdt")
            #expect(answer["error_id"]?.text == "#4000")
        }
    }

    @Test(arguments: [
        ("/get_asks", "Missing required parameter: exchange, market"),
        ("/get_asks?exchange=binance.com", "Missing required parameter: market"),
        ("/get_asks?exchange=binance.com&market=", "Missing required parameter: market"),
        ("/get_asks?exchange=None&market=BTCUSDT", "Missing required parameter: exchange"),
        (asks + "&limit_count=2.5", "Invalid parameter limit_count: expected a whole number, was '2.5'"),
        (asks + "&limit_count=", "Invalid parameter limit_count: expected a whole number, was ''"),
        (
            asks + "&threshold_volume=x",
            "Invalid parameter threshold_volume: expected a decimal number, was 'x'"
        ),
    ])
    func `a parameter that is missing or malformed is named`(_ target: String, message: String) async throws {
        try await GatewayScene.run(workers: [Self.served]) { (scene) async throws in
            let answer = try await scene.json(target)
            #expect(answer["error_id"]?.text == "#1025")
            #expect(answer["message"]?.text == message)
            #expect(await scene.dispatcher.asked(0) == 0)
        }
    }
}
