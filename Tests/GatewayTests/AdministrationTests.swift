import DepthCacheAPI
import K8sClient
import Telemetry
import Testing

@testable import Gateway

/// Creating, stopping and listing.
struct AdministrationTests {
    private static let create = "/create_depthcache?exchange=binance.com&market=BTCUSDT"

    @Test func `a cache that exists is not created twice`() async throws {
        try await GatewayScene.run { (scene) async throws in
            #expect(try await scene.json(Self.create)["result"]?.text == "OK")
            let again = try await scene.json(Self.create)
            #expect(again["error_id"]?.text == "#1024")
            #expect(again["message"]?.text == "DepthCache 'BTCUSDT' for 'binance.com' already exists!")
        }
    }

    @Test func `parameters come from a JSON body, null means unset`() async throws {
        try await GatewayScene.run { (scene) async throws in
            let body = #"""
                {"exchange":"binance.com","market":"BTCUSDT","desired_quantity":2.9,"update_interval":" 1_00 ",
                 "refresh_interval":null,"debug":"true"}
                """#
            let answer = try await scene.json("/create_depthcache", method: "POST", body: body)
            #expect(answer["result"]?.text == "OK")
            #expect(answer.at("debug", "post_body", "exchange")?.text == "binance.com")
            let cache = try #require(scene.store.state.withLock { $0.caches.first })
            #expect(cache.replicas == 2)
            #expect(cache.updateInterval == 100)
            #expect(cache.refreshInterval == nil)
        }
    }

    @Test func `many are created at once, those that exist are skipped`() async throws {
        try await GatewayScene.run { (scene) async throws in
            #expect(try await scene.json(Self.create)["result"]?.text == "OK")
            let body = #"{"exchange":"binance.com","markets":["BTCUSDT","ETHUSDT","BNBUSDT"]}"#
            let answer = try await scene.json("/create_depthcaches", method: "POST", body: body)
            #expect(answer == ["event": "CREATE_DEPTHCACHES", "result": "OK"])
            let get = "/create_depthcaches?exchange=binance.com&markets=XRPUSDT,SOLUSDT"
            #expect(try await scene.json(get)["result"]?.text == "OK")
            #expect(scene.store.state.withLock { $0.caches.count } == 5)
        }
    }

    @Test func `many are created with one table for all, and routed when the call returns`() async throws {
        try await GatewayScene.run { (scene) async throws in
            let tables = Guarded(0)
            scene.directory.onChange { _ in tables.withLock { $0 += 1 } }
            let markets = (0..<200).map { #""M\#($0)USDT""# }.joined(separator: ",")
            let body = #"{"exchange":"binance.com","markets":[\#(markets)]}"#
            let answer = try await scene.json("/create_depthcaches", method: "POST", body: body)
            #expect(answer["result"]?.text == "OK")
            #expect(scene.directory.table.ordered.count == 200)
            #expect(tables.withLock { $0 } == 1)
        }
    }

    @Test func `markets as clients sent them until version 2.8 are read`() async throws {
        try await GatewayScene.run { (scene) async throws in
            // ["BTCUSDT","ETHUSDT","???>>>"] in base64, where a blank stands for `+`.
            let markets = "WyJCVENVU0RUIiwiRVRIVVNEVCIsIj8/Pz4+PiJd"
            let get = "/create_depthcaches?exchange=binance.com&markets=\(markets)"
            #expect(try await scene.json(get)["result"]?.text == "OK")
            let made = Set(scene.store.state.withLock { $0.caches.map(\.market) })
            #expect(made == ["BTCUSDT", "ETHUSDT", "???>>>"])
        }
    }

    @Test func `a copy that had to synchronise anew tells when it last did`() throws {
        var replica = DepthCacheReplica(
            metadata: ObjectMeta(
                name: "btc-1", labels: [LabelKey.depthCache: "c", LabelKey.worker: "w"]),
            spec: DepthCacheReplicaSpec(exchange: "binance.com", market: "BTCUSDT", workerName: "worker-1"),
            status: DepthCacheReplicaStatus(
                phase: .synchronized, since: "1970-01-01T00:16:40Z", restarts: 2, incarnation: "i"))
        replica.metadata.creationTimestamp = Timestamp(secondsSinceEpoch: 5)
        let picture = try #require(ReplicaPicture(replica))
        #expect(picture.since == 1000)
        #expect(picture.created == 5)
    }

    @Test(arguments: [
        ("/create_depthcache?market=X", "", "#1016", "exchange"),
        ("/create_depthcache?exchange=binance.com", "", "#1016", "market"),
        ("/create_depthcaches?exchange=binance.com", "", "#1016", "markets"),
        (create + "&desired_quantity=0", "", "#1017", "desired_quantity"),
        (create + "&desired_quantity=-1", "", "#1017", "desired_quantity"),
        (create + "&desired_quantity=x", "", "#1017", "desired_quantity"),
        (create + "&desired_quantity=", "", "#1017", "desired_quantity"),
        (create + "&depth=0", "", "#1017", "depth"), (create + "&depth=1000000000", "", "#1017", "depth"),
        (create + "&update_interval=abc", "", "#1017", "update_interval"),
        (create + "&update_interval=300", "", "#1017", "update_interval: expected one of 100, 1000"),
        ("/create_depthcache?exchange=mtgox&market=X", "", "#1017", "exchange"),
        ("/create_depthcache", "{", "#1016", "JSON"), ("/create_depthcache", "[]", "#1016", "JSON"),
        ("/create_depthcaches", #"{"exchange":"binance.com","markets":[1]}"#, "#1017", "markets"),
        ("/create_depthcaches", #"{"exchange":7,"markets":[]}"#, "#1017", "exchange"),
        ("/stop_depthcache", "", "#1019", "exchange"), ("/get_depthcache_info", "", "#1006", "market"),
        ("/stop_depthcache?exchange=binance.com&market=NONE", "", "#7000", "NONE"),
        ("/get_depthcache_info?exchange=binance.com&market=NONE", "", "#7000", "NONE"),
    ])
    func `what cannot be done is refused by its id and named`(
        _ target: String, body: String, id: String, named: String
    ) async throws {
        try await GatewayScene.run { (scene) async throws in
            let answer = try await scene.json(target, method: body.isEmpty ? "GET" : "POST", body: body)
            #expect(answer["result"]?.text == "ERROR")
            #expect(answer["error_id"]?.text == id)
            #expect(answer["message"]?.text?.contains(named) == true)
            #expect(scene.store.state.withLock { $0.caches.isEmpty })
        }
    }

    @Test func `a published list of markets refuses others`() async throws {
        try await GatewayScene.run { (scene) async throws in
            let list = MarketList(exchange: "binance.com", markets: ["ETHUSDT": "TRADING"])
            scene.dispatcher.service.markets.withLock { $0.markets = ["binance.com": list] }
            #expect(try await scene.json(Self.create)["error_id"]?.text == "#1017")
            let known = "/create_depthcache?exchange=Binance.com&market=ethusdt"
            #expect(try await scene.json(known)["result"]?.text == "OK")
        }
    }

    @Test func `a stopped cache is gone at once`() async throws {
        try await GatewayScene.run(workers: [.silent]) { (scene) async throws in
            let stop = "/stop_depthcache?exchange=binance.com&market=BTCUSDT"
            #expect(try await scene.json(stop) == ["event": "STOP_DEPTHCACHE", "result": "OK"])
            #expect(try await scene.json(stop)["error_id"]?.text == "#7000")
            #expect(try await scene.json("/get_depthcache_list")["depthcache_list"] == [:])
        }
    }

    @Test func `the info of a cache has what its workers say of their books, as far as they answer in time`()
        async throws
    {
        try await GatewayScene.run(workers: [.silent, .answers(.notHere)]) { (scene) async throws in
            let info = try await scene.json("/get_depthcache_info?exchange=binance.com&market=BTCUSDT")
            let copies = try #require(info.at("depthcache_info", "DISTRIBUTION"))
            #expect(copies.at("w1", "book", "bids", "covered_levels") == 7)
            #expect(copies.at("w0", "STATUS")?.text == "running" && copies.at("w0", "book") == nil)
        }
    }

    @Test func `records have the keys that clients know`() async throws {
        try await GatewayScene.run(workers: [.silent, .silent]) { (scene) async throws in
            let info = try await scene.json("/get_depthcache_info?exchange=binance.com&market=BTCUSDT")
            let record = try #require(info["depthcache_info"])
            #expect(record["DESIRED_QUANTITY"] == 2)
            #expect(record["UPDATE_INTERVAL"]?.isNull == true)
            #expect(record.at("DISTRIBUTION", "w1", "STATUS")?.text == "running")
            #expect(record.at("DISTRIBUTION", "w1", "POD_UID")?.text == "w1")
            let list = try await scene.json("/get_depthcache_list")
            #expect(list.at("depthcache_list", "binance.com", "BTCUSDT") == record)
            let cluster = try await scene.json("/get_cluster_info")
            #expect(cluster["version"]?.text == "1.2.3")
            #expect(cluster.at("db", "depthcaches", "binance.com", "BTCUSDT") == record)
            #expect(cluster.at("db", "pods", "w0", "ROLE")?.text == "ubdcc-dcn")
            #expect(cluster.at("db", "pods", "w0", "LAST_SEEN") == 999.0)
            #expect(cluster.at("db", "pods", "g0", "ROLE")?.text == "ubdcc-restapi")
            #expect(cluster.at("db", "credentials") == [])
            let test = try await scene.json("/test")
            #expect(test.at("app", "name")?.text == "ubdcc-restapi")
            #expect(test["result"]?.text == "OK")
        }
    }

    @Test func `a gateway tells where it listens, whatever its Pod lets one guess`() async throws {
        try await GatewayScene.run(workers: []) { (scene) async throws in
            var picture = ClusterPicture()
            picture.pods = [
                PodPicture(
                    name: "gateway-0", uid: "g0", node: "n", role: .gateway, address: "127.0.0.1", port: 8080,
                    isReady: true)
            ]
            await scene.directory.update(picture)
            let cluster = try await scene.json("/get_cluster_info")
            #expect(cluster.at("db", "pods", "g0", "API_PORT_REST") == 1)
        }
    }

    @Test func `while the Kubernetes API is away the last state is shown as such`() async throws {
        try await GatewayScene.run(workers: [.silent]) { (scene) async throws in
            scene.directory.setAPIState(.init(hasSynced: true, trouble: "connection refused"))
            scene.store.state.withLock { $0.outage = .unavailable("connection refused") }
            let list = try await scene.json("/get_depthcache_list")
            #expect(list["error_id"]?.text == "#8000")
            #expect(list["error"]?.text == "connection refused")
            #expect(list.at("depthcache_list", "binance.com", "BTCUSDT") != nil)
            #expect(try await scene.json(Self.create + "2")["error_id"]?.text == "#9000")
            scene.directory.setAPIState(.init(hasSynced: false, trouble: "connection refused"))
            #expect(try await scene.json("/get_cluster_info")["error_id"]?.text == "#9000")
            scene.directory.setAPIState(.init())
            #expect(try await scene.json("/get_cluster_info")["error_id"]?.text == "#1014")
        }
    }

    @Test(arguments: [
        ("/nothing", "GET", 404), ("/shutdown", "GET", 404), ("/ubdcc_mgmt_backup", "POST", 404),
        ("/", "GET", 404),
        ("/get_asks", "POST", 405), ("/get_asks", "HEAD", 405), ("/create_depthcache", "PUT", 405),
        ("/stop_depthcache", "OPTIONS", 405),
    ])
    func `unknown paths and wrong methods are told by status`(
        _ path: String, method: String, status: Int
    ) async throws {
        try await GatewayScene.run { (scene) async throws in
            let reply = try await scene.send(path, method: method)
            #expect(reply.status == status)
            let detail = status == 404 ? "Not Found" : "Method Not Allowed"
            #expect(reply.body.elementsEqual(#"{"detail":"\#(detail)"}"#.utf8))
            #expect((reply.allow != nil) == (status == 405))
        }
    }

    @Test func `a foreign page changes nothing`() async throws {
        try await GatewayScene.run { (scene) async throws in
            #expect(try await scene.send(Self.create, fetchSite: "cross-site").status == 403)
            #expect(scene.store.state.withLock { $0.caches.isEmpty })
        }
    }
}
