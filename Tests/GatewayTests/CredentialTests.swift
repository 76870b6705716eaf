import DepthCacheAPI
import K8sClient
import Telemetry
import Testing

@testable import Gateway

/// Adding and removing credentials: what is kept, what is refused, and that nothing of a secret comes back.
struct CredentialTests {
    private static let key = "k3yAbCdEfGhIjKlMnOpQrStUv"
    private static let secret = "s3cretZyXwVuTsRqPoNmLkJi"
    private static let body =
        #"{"account_group":"binance.us","api_key":"\#(key)","api_secret":"\#(secret)"}"#

    /// Secrets in memory.
    private final class FakeSecrets: CredentialStore {
        let kept = Guarded<[String: Secret]>([:])
        let outage = Guarded<StoreError?>(nil)

        func create(_ secret: Secret) async throws(StoreError) -> Secret {
            if let outage = outage.withLock({ $0 }) { throw outage }
            var secret = secret
            secret.metadata.creationTimestamp = Timestamp(secondsSinceEpoch: 1000)
            kept.withLock { $0[secret.metadata.name ?? ""] = secret }
            return secret
        }

        func delete(_ name: String) async throws(StoreError) -> Bool {
            if let outage = outage.withLock({ $0 }) { throw outage }
            return kept.withLock { $0.removeValue(forKey: name) != nil }
        }
    }

    private func add(_ scene: GatewayScene) async throws -> String {
        let added = try await scene.json("/add_credentials", method: "POST", body: Self.body)
        #expect(added["result"]?.text == "OK" && added["event"]?.text == "ADD_CREDENTIALS")
        return try #require(added["id"]?.text)
    }

    @Test func `what is added is a Secret, is listed at once and is gone once removed`() async throws {
        let secrets = FakeSecrets()
        try await GatewayScene.run(secrets: secrets) { (scene) async throws in
            let id = try await add(scene)
            let kept = try #require(secrets.kept.withLock { $0[id] })
            #expect(ExchangeCredentials.problem(in: kept, knownGroups: ["binance.us"]) == nil)
            #expect(kept.text("api-key") == Self.key && kept.text("api-secret") == Self.secret)
            let list = try await scene.json("/get_credentials_list")
            let entry: JSONValue = [
                "id": .string(id), "account_group": "binance.us", "added_timestamp": 1000,
                "assigned_dcns": [], "api_key_preview": "k3yA********************Uv",
            ]
            #expect(list == ["credentials": [entry], "event": "GET_CREDENTIALS_LIST", "result": "OK"])
            #expect(try await scene.json("/get_cluster_info").at("db", "credentials") == [entry])

            let remove = "/remove_credentials?id=\(id)"
            #expect(try await scene.json(remove) == ["event": "REMOVE_CREDENTIALS", "result": "OK"])
            #expect(try await scene.json("/ubdcc_get_credentials_list")["credentials"] == [])
            #expect(try await scene.json(remove)["error_id"]?.text == "#1034")
        }
    }

    @Test func `older names work, and an id in a body`() async throws {
        try await GatewayScene.run(secrets: FakeSecrets()) { (scene) async throws in
            let added = try await scene.json("/ubdcc_add_credentials", method: "POST", body: Self.body)
            let id = try #require(added["id"]?.text)
            let body = #"{"id":"\#(id)"}"#
            let removed = try await scene.json("/ubdcc_remove_credentials", method: "POST", body: body)
            #expect(removed["result"]?.text == "OK")
        }
    }

    @Test(arguments: [
        ("/add_credentials", "", "#1030", "account_group, api_key, api_secret"),
        ("/add_credentials", "{", "#1030", "api_key"), ("/add_credentials", "[]", "#1030", "api_key"),
        (
            "/add_credentials", #"{"account_group":"binance.us","api_key":"k","api_secret":null}"#, "#1030",
            "api_secret"
        ),
        (
            "/add_credentials", #"{"account_group":"binance.us","api_key":7,"api_secret":"s"}"#, "#1030",
            "api_key"
        ),
        (
            "/add_credentials", #"{"account_group":"kraken","api_key":"k","api_secret":"s"}"#, "#1031",
            "binance.com, binance.com-futures-testnet, binance.com-testnet, binance.tr, binance.us"
        ),
        (
            "/add_credentials", #"{"account_group":"binance.us","api_key":"a b","api_secret":"s"}"#, "#1032",
            "api-key"
        ),
        ("/remove_credentials", "{}", "#1033", "id"), ("/remove_credentials", "[", "#1033", "id"),
        ("/remove_credentials", #"{"id":"other"}"#, "#1034", "id"),
        (
            "/remove_credentials", #"{"id":"fathom-credentials-11111111-2222-4333-8444-555555555555"}"#,
            "#1034", "id"
        ),
    ])
    func `what cannot be done is refused by its id`(_ path: String, body: String, id: String, named: String)
        async throws
    {
        let secrets = FakeSecrets()
        try await GatewayScene.run(secrets: secrets) { (scene) async throws in
            let answer = try await scene.json(path, method: "POST", body: body)
            #expect(answer["result"]?.text == "ERROR")
            #expect(answer["error_id"]?.text == id)
            #expect(answer["message"]?.text?.contains(named) == true)
            #expect(secrets.kept.withLock { $0.isEmpty })
        }
    }

    @Test func `credentials in a URL are not taken`() async throws {
        let secrets = FakeSecrets()
        try await GatewayScene.run(secrets: secrets) { (scene) async throws in
            let query = "account_group=binance.us&api_key=\(Self.key)&api_secret=\(Self.secret)"
            let answer = try await scene.send("/add_credentials?\(query)&debug=true")
            let text = String(decoding: answer.body, as: UTF8.self)
            #expect(text.contains("#1030") && text.contains("POST"))
            #expect(!text.contains(Self.key) && !text.contains(Self.secret))
            #expect(try await scene.json("/remove_credentials")["error_id"]?.text == "#1033")
        }
    }

    @Test(arguments: [
        body, body + " ", #"{"account_group":"\#(secret)","api_key":"\#(key)","api_secret":"x"}"#,
        #"{"id":"\#(secret)","\#(key)":1}"#, #"{"api_key":{"a":"\#(key)"},"api_secret":["\#(secret)"]}"#,
        #"{"account_group":"binance.us","api_key":"\#(key) \#(secret)","api_secret":"x"}"#, "\"\(secret)\"",
    ])
    func `no answer repeats a value, with debug neither`(_ body: String) async throws {
        try await GatewayScene.run(secrets: FakeSecrets()) { (scene) async throws in
            for path in ["/add_credentials", "/remove_credentials"] {
                let reply = try await scene.send(
                    "\(path)?debug=true&api_secret=\(Self.secret)", method: "POST", body: body)
                let text = String(decoding: reply.body, as: UTF8.self)
                #expect(text.contains(#""debug":{"#))
                #expect(text.contains(#""post_body":{"#))
                #expect(!text.contains(Self.key) && !text.contains(Self.secret), "\(text)")
            }
        }
    }

    @Test func `a Secret that somebody else made is left alone`() async throws {
        let secrets = FakeSecrets()
        try await GatewayScene.run(secrets: secrets) { (scene) async throws in
            var picture = ClusterPicture()
            picture.credentials = [CredentialPicture(["id": "desk-one"])].compactMap { $0 }
            await scene.directory.update(picture)
            secrets.kept.withLock { $0["desk-one"] = Secret(metadata: ObjectMeta(name: "desk-one")) }
            let answer = try await scene.json("/remove_credentials?id=desk-one")
            #expect(answer["error_id"]?.text == "#1032")
            #expect(secrets.kept.withLock { $0.count } == 1)
        }
    }

    @Test func `where the endpoints are off, that is said`() async throws {
        try await GatewayScene.run { (scene) async throws in
            for path in ["/add_credentials", "/remove_credentials"] {
                let answer = try await scene.json(path, method: "POST", body: Self.body)
                #expect(answer["error_id"]?.text == "#1032")
                #expect(answer["message"]?.text?.contains("credential-endpoints") == true)
            }
            #expect(try await scene.json("/get_credentials_list")["result"]?.text == "OK")
        }
    }

    @Test func `while the Kubernetes API is away or refuses, that is said`() async throws {
        let secrets = FakeSecrets()
        try await GatewayScene.run(secrets: secrets) { (scene) async throws in
            for (outage, id) in [
                (StoreError.unavailable("connection refused"), "#9000"), (.refused("forbidden"), "#1032"),
            ] {
                secrets.outage.withLock { $0 = outage }
                let answer = try await scene.json("/add_credentials", method: "POST", body: Self.body)
                #expect(answer["error_id"]?.text == id)
                #expect(try await scene.json("/get_credentials_list")["credentials"] == [])
            }
        }
    }

    @Test func `a page of somebody else neither adds nor removes`() async throws {
        let secrets = FakeSecrets()
        try await GatewayScene.run(secrets: secrets) { (scene) async throws in
            let id = try await add(scene)
            let foreign = try await scene.send("/remove_credentials?id=\(id)", fetchSite: "cross-site")
            #expect(foreign.status == 403)
            #expect(secrets.kept.withLock { $0.count } == 1)
        }
    }

    @Test func `what the list does not show yet is shown, and what it shows wins`() throws {
        var overlay = CredentialOverlay()
        let now = ContinuousClock.now
        func entry(_ id: String, _ group: String = "") throws -> CredentialPicture {
            try #require(CredentialPicture(["id": .string(id), "account_group": .string(group)]))
        }
        overlay.noteAdded(try entry("a"), at: now)
        #expect(overlay.applied(to: [try entry("x")], now: now).map(\.id) == ["x", "a"])
        let listed = [try entry("x"), try entry("a", "listed")]
        #expect(overlay.applied(to: listed, now: now) == listed)
        overlay.noteRemoved("x", at: now)
        #expect(overlay.applied(to: listed, now: now + .seconds(60)).map(\.id) == ["a"])
        overlay.noteAdded(try entry("b"), at: now)
        #expect(overlay.applied(to: [], now: now + .seconds(60)).isEmpty)
    }
}
