import DepthCacheAPI
import K8sClient
import Testing

@testable import Gateway

/// What becomes of `POST /v1/audits`.
struct AuditForwardingTests {
    private static let path = "/v1/audits?exchange=binance.com&market=btcusdt"
    private static let exact = AuditReport(
        updateID: 77, durationMilliseconds: 12, asks: .init(matched: 3, comparedTo: "1.50"),
        bids: .init(matched: 4))

    @Test func `every replica is asked and each tells how it fared`() async throws {
        try await GatewayScene.run(workers: [.silent, .silent, .silent, .unreachable("refused")]) {
            (scene) async throws in
            var wrong = Self.exact
            wrong.bids.missed = 2
            wrong.dump = "/evidence/1"
            await scene.dispatcher.audits([
                .success(.compared(Self.exact)), .success(.compared(wrong)), .success(.unavailable("Gap")),
            ])
            let answer = try await scene.json(Self.path, method: "POST")
            #expect(answer["market"]?.text == "BTCUSDT")
            let replicas = try #require(answer["replicas"]?.elements)
            #expect(replicas.map { $0["worker"]?.text } == ["worker-0", "worker-1", "worker-2", "worker-3"])
            #expect(
                replicas.map { $0["outcome"]?.text } == ["exact", "mismatch", "unavailable", "unavailable"])
            #expect(replicas[0]["update_id"]?.number == 77)
            #expect(replicas[0].at("asks", "compared_to")?.text == "1.50")
            #expect(replicas[0].at("bids", "match")?.number == 4)
            #expect(replicas[1].at("bids", "missed")?.number == 2)
            #expect(replicas[1]["dump"]?.text == "/evidence/1")
            #expect(replicas[2]["reason"]?.text == "Gap")
            #expect(replicas[3]["reason"]?.text == "refused")
        }
    }

    @Test func `only a POST that no foreign page sent spends request weight`() async throws {
        try await GatewayScene.run(workers: [.silent]) { (scene) async throws in
            #expect(try await scene.send(Self.path).status == 405)
            #expect(try await scene.send(Self.path, method: "POST", fetchSite: "cross-site").status == 403)
            #expect(await scene.dispatcher.asked(0) == 0)
        }
    }

    @Test func `an unknown market and a missing parameter are said to be so`() async throws {
        try await GatewayScene.run { (scene) async throws in
            let unknown = try await scene.send(Self.path, method: "POST")
            #expect(unknown.status == 404)
            #expect(try JSONValue(parsing: Array(unknown.body))["error_id"]?.text == "#7000")
            let missing = try await scene.send("/v1/audits?exchange=binance.com", method: "POST")
            #expect(missing.status == 400)
            #expect(try JSONValue(parsing: Array(missing.body))["parameter"]?.text == "market")
        }
    }

    @Test func `a market that is placed nowhere is said to be so`() async throws {
        try await GatewayScene.run { (scene) async throws in
            var picture = GatewayScene.picture(workerCount: 1)
            picture.replicas = []
            await scene.directory.update(picture)
            #expect(try await scene.send(Self.path, method: "POST").status == 503)
        }
    }
}

extension Dispatcher {
    fileprivate func audits(_ answers: [Result<AuditAnswer, WorkerLinkError>]) {
        for (index, answer) in answers.enumerated() {
            (links["w\(index)"] as? ScriptedLink)?.auditAnswer = answer
        }
    }
}
