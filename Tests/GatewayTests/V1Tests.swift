import DepthCacheAPI
import K8sClient
import Telemetry
import Testing
import Transport

@testable import Gateway

/// `/v1` apart from books: methods, DepthCaches, the cluster, the document.
struct V1Tests {
    private static let cache = "/v1/depthcaches/binance.com/BTCUSDT"

    private static func json(_ reply: GatewayReply) throws -> JSONValue {
        try JSONValue(parsing: Array(reply.body))
    }

    @Test func `unknown paths and methods are problems, and OPTIONS tells the methods`() async throws {
        try await GatewayScene.run { (scene) async throws in
            for path in [
                "/v1", "/v1/", "/v1/nothing", "/v1/books/", "/v1/books/a", "/v1/books/a/b/c", "/v1/Books",
            ] {
                let reply = try await scene.send(path)
                #expect(reply.status == 404)
                #expect(reply.contentType == "application/problem+json")
                #expect(try Self.json(reply)["error_id"]?.text == "#1040")
            }
            let wrong = try await scene.send("/v1/cluster", method: "POST")
            #expect(wrong.status == 405)
            #expect(try Self.json(wrong)["error_id"]?.text == "#1041")
            #expect(wrong.headers == [.init("allow", "GET, HEAD, OPTIONS")])
            let options = try await scene.send(Self.cache, method: "OPTIONS")
            #expect(options.status == 204)
            #expect(options.headers == [.init("allow", "GET, PATCH, DELETE, HEAD, OPTIONS")])
            #expect(try await scene.send("/v1/cluster", method: "HEAD").status == 200)
            #expect(try await scene.send("/get_asks", method: "HEAD").status == 405)
        }
    }

    @Test func `a foreign page may read and change nothing`() async throws {
        try await GatewayScene.run { (scene) async throws in
            let reply = try await scene.send(Self.cache, method: "DELETE", fetchSite: "cross-site")
            #expect(reply.status == 403)
            #expect(try Self.json(reply)["error_id"]?.text == "#1042")
        }
    }

    @Test func `a DepthCache is created, told of, changed and deleted`() async throws {
        try await GatewayScene.run { (scene) async throws in
            let body = #"{"exchange":"binance.com","market":"币安人生USDT","replicas":2,"depth":100}"#
            let created = try await scene.send("/v1/depthcaches", method: "POST", body: body)
            #expect(created.status == 201)
            let place = try #require(created.headers.first { $0.name == "location" }?.value)
            #expect(place == "/v1/depthcaches/binance.com/%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT")
            #expect(try Self.json(created)["replicas"]?.number == 2)
            let again = try await scene.send("/v1/depthcaches", method: "POST", body: body)
            #expect(again.status == 409)
            #expect(try Self.json(again)["error_id"]?.text == "#1024")
            let told = try Self.json(try await scene.send(place))
            #expect(told["market"]?.text == "币安人生USDT")
            #expect(told["copies"]?.elements?.isEmpty == true)
            let list = try Self.json(try await scene.send("/v1/depthcaches?exchange=Binance.com"))
            #expect(list["depthcaches"]?.elements?.count == 1)
            let changed = try await scene.send(place, method: "PATCH", body: #"{"replicas":3}"#)
            #expect(changed.status == 200)
            #expect(try Self.json(changed)["replicas"]?.number == 3)
            #expect(scene.store.state.withLock { $0.caches.first?.replicas } == 3)
            let deleted = try await scene.send(place, method: "DELETE")
            #expect(deleted.status == 204)
            #expect(deleted.body.isEmpty)
            for method in ["GET", "PATCH", "DELETE"] {
                let reply = try await scene.send(place, method: method, body: #"{"replicas":3}"#)
                #expect(reply.status == 404)
                #expect(try Self.json(reply)["error_id"]?.text == "#7000")
            }
        }
    }

    @Test(arguments: [
        ("", "body", "#1017"), ("[]", "body", "#1017"), ("{", "body", "#1017"), ("{}", "exchange", "#1016"),
        (#"{"exchange":"binance.com"}"#, "market", "#1016"),
        (#"{"exchange":1,"market":"A"}"#, "exchange", "#1017"),
        (#"{"exchange":"binance.com","market":""}"#, "market", "#1017"),
        (#"{"exchange":"binance.com","market":"A","replicas":0}"#, "replicas", "#1017"),
        (#"{"exchange":"binance.com","market":"A","replicas":"2"}"#, "replicas", "#1017"),
        (#"{"exchange":"binance.com","market":"A","replicas":1.5}"#, "replicas", "#1017"),
        (#"{"exchange":"binance.com","market":"A","replicas":null}"#, "replicas", "#1017"),
        (#"{"exchange":"binance.com","market":"A","depth":5001}"#, "depth", "#1017"),
        (#"{"exchange":"binance.com","market":"A","desired_quantity":2}"#, "desired_quantity", "#1017"),
    ])
    func `a bad body gets a problem that names the member`(_ body: String, name: String, id: String)
        async throws
    {
        try await GatewayScene.run { (scene) async throws in
            let reply = try await scene.send("/v1/depthcaches", method: "POST", body: body)
            #expect(reply.status == 400)
            #expect(try Self.json(reply)["parameter"]?.text == name)
            #expect(try Self.json(reply)["error_id"]?.text == id)
            #expect(scene.store.state.withLock { $0.caches.isEmpty })
        }
    }

    @Test func `a feed speed that the exchange has not is refused`() async throws {
        try await GatewayScene.run { (scene) async throws in
            let body = #"{"exchange":"binance.com","market":"A","update_interval":300}"#
            let reply = try await scene.send("/v1/depthcaches", method: "POST", body: body)
            #expect(reply.status == 422)
            #expect(try Self.json(reply)["parameter"]?.text == "update_interval")
            #expect(scene.store.state.withLock { $0.caches.isEmpty })
        }
    }

    @Test func `a Kubernetes API that refuses or is away is told apart`() async throws {
        try await GatewayScene.run { (scene) async throws in
            let body = #"{"exchange":"binance.com","market":"A"}"#
            scene.store.state.withLock { $0.outage = .refused("quota") }
            let refused = try await scene.send("/v1/depthcaches", method: "POST", body: body)
            #expect(refused.status == 422)
            scene.store.state.withLock { $0.outage = .unavailable("refused") }
            let away = try await scene.send("/v1/depthcaches", method: "POST", body: body)
            #expect(away.status == 503)
            #expect(try Self.json(away)["error_id"]?.text == "#9000")
            #expect(away.headers == [.init("retry-after", "1")])
        }
    }

    @Test func `the cluster is told with workers, links and the state of the API`() async throws {
        try await GatewayScene.run(workers: [.silent, .unreachable("refused")]) { (scene) async throws in
            let told = try Self.json(try await scene.send("/v1/cluster"))
            #expect(told["workers"]?.elements?.map { $0["link"]?.text } == ["up", "down"])
            #expect(told["workers"]?[0]?["copies"]?.number == 1)
            #expect(told.at("kubernetes", "reachable")?.bool == true)
            #expect(told.at("depthcaches", "ready")?.number == 1)
            scene.directory.setAPIState(.init(hasSynced: true, trouble: "refused"))
            let stale = try Self.json(try await scene.send("/v1/cluster"))
            #expect(stale.at("kubernetes", "trouble")?.text == "refused")
            scene.directory.setAPIState(.init(hasSynced: false))
            #expect(try await scene.send("/v1/cluster").status == 503)
        }
    }

    @Test func `the document describes every operation of the table`() async throws {
        try await GatewayScene.run { (scene) async throws in
            let document = try Self.json(try await scene.send("/openapi.json"))
            #expect(document["openapi"]?.text == "3.1.0")
            for operation in V1Operation.table {
                let item = document.at("paths", operation.resource.rawValue, operation.method.lowercased())
                #expect(item?["operationId"]?.text == operation.name.rawValue)
                for answer in operation.answers where answer.schema != nil {
                    #expect(document.at("components", "schemas", answer.schema ?? "") != nil)
                }
            }
        }
    }
}
