import FoundationEssentials
import K8sClient
import Telemetry
import TestSupport
import Testing
import Transport

@testable import Gateway

private let manageToken = "manage-0123456789abcdef"
private let readToken = "read-0123456789abcdef"

private func tokens() throws -> TokenList {
    try TokenList(
        lines: """
            # who may do what
            manage \(manageToken)   # the deployer

            read sha256:\(Digest.hex(Digest.sha256(Array(readToken.utf8))))
            """)
}

struct TokenTests {
    @Test func `tokens are known by themselves or by their digests`() throws {
        let list = try tokens()
        #expect(list.scope(of: manageToken[...]) == .manage)
        #expect(list.scope(of: readToken[...]) == .read)
        #expect(list.scope(of: manageToken.dropLast()) == .none)
        #expect(list.scope(of: "") == .none)
        #expect((list.count(.read), list.count(.manage)) == (1, 1))
    }

    @Test(arguments: [
        ("manage", "line 1: expected 'read TOKEN' or 'manage TOKEN'"),
        ("read a b", "line 1: expected 'read TOKEN' or 'manage TOKEN'"),
        ("\nnone 0123456789abcdef", "line 2: expected 'read TOKEN' or 'manage TOKEN'"),
        ("read short-secret", "line 1: expected a token of at least 16 ASCII characters"),
        ("read sha256:12", "line 1: expected 64 hex digits after sha256:"),
    ])
    func `what is no list of tokens is refused by line, and not shown`(text: String, words: String) {
        let problem = #expect(throws: TokenList.Problem.self) { try TokenList(lines: text) }
        #expect(problem?.description == words)
        #expect(!words.contains("short-secret"))
    }

    @Test func `a sign of comments inside a token is one of its characters`() throws {
        let list = try TokenList(lines: "# all\nmanage 0123456789abcdef#Kq8 # mine\n")
        #expect(list.scope(of: "0123456789abcdef#Kq8") == .manage)
        #expect(list.scope(of: "0123456789abcdef") == .none)
        #expect(list.count(.manage) == 1)
    }

    @Test func `a Secret has tokens under the names of what they allow`() throws {
        let metadata = ObjectMeta(name: "tokens")
        let list = try TokenList(
            Secret(
                metadata: metadata,
                data: [
                    "manage": Data(manageToken.utf8),
                    "read": Data("\(readToken)\nanother-0123456789abcdef\n".utf8),
                    "other": Data("x".utf8),
                ]))
        #expect((list.count(.read), list.count(.manage)) == (2, 1))
        #expect(throws: TokenList.Problem.self) { try TokenList(Secret(metadata: metadata)) }
    }

    @Test func `what needs a token is refused without one, with a wrong one and with a lesser one`() throws {
        var access = AccessControl(anonymous: .read)
        let list = try tokens()
        access.tokens.withLock { $0 = list }
        func refusal(_ needed: AccessScope, _ header: String?) -> AccessRefusal? {
            access.refusal(needed) { header }
        }
        #expect(refusal(.read, nil) == nil)
        #expect(refusal(.read, "Bearer wrong") == nil)
        #expect(refusal(.manage, nil) == .noToken(.manage))
        #expect(refusal(.manage, "Basic \(manageToken)") == .noToken(.manage))
        #expect(refusal(.manage, "Bearer \(manageToken) x") == .noToken(.manage))
        #expect(refusal(.manage, "Bearer wrong") == .unknownToken(.manage))
        #expect(refusal(.manage, "Bearer \(readToken)") == .tooLittle(.manage))
        #expect(refusal(.manage, "bearer  \(manageToken)") == nil)
        access.anonymous = .none
        #expect(refusal(.read, nil) == .noToken(.read))
        #expect(refusal(.read, "Bearer \(readToken)") == nil)
        #expect(refusal(.read, "Bearer \(manageToken)") == nil)
        access.anonymous = .manage
        #expect(
            access.refusal(.manage) {
                Issue.record("the header was looked at"); return nil
            } == nil)
    }

    @Test func `everything is open on loopback until tokens are kept, elsewhere only reading is`() {
        var protection = GatewayProtection()
        #expect(protection.anonymous(listeningOn: "127.0.0.1") == .manage)
        #expect(protection.anonymous(listeningOn: "0.0.0.0") == .read)
        #expect(protection.requestRate(listeningOn: "localhost") == nil)
        #expect(protection.requestRate(listeningOn: "10.0.0.1") == GatewayProtection.usualRequestRate)
        protection.tokensSecret = "tokens"
        protection.requestRate = 0
        #expect(protection.anonymous(listeningOn: "127.0.0.1") == .read)
        #expect(protection.requestRate(listeningOn: "10.0.0.1") == nil)
        protection.anonymous = AccessScope.none
        #expect(protection.anonymous(listeningOn: "0.0.0.0") == .none)
    }

    @Test func `a tokens file is followed, and broken text leaves the last tokens`() async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "tokens-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: file) }
        func write(_ text: String) throws { try Data(text.utf8).write(to: URL(filePath: file)) }
        let kept = Guarded(TokenList())
        #expect(throws: TokenList.Problem.self) { try TokenSource(file: file, into: kept) }
        try write("manage \(manageToken)\n")
        let source = try TokenSource(file: file, into: kept)
        #expect(kept.withLock { $0 }.scope(of: manageToken[...]) == .manage)
        let following = Task { await source.run(health: Health()) }
        try write("read \(manageToken)\n")
        try await eventually("the new scope") { kept.withLock { $0 }.scope(of: manageToken[...]) == .read }
        try write("nonsense")
        try write("read \(manageToken)\nmanage \(readToken)\n")
        try await eventually("the new token") { kept.withLock { $0 }.scope(of: readToken[...]) == .manage }
        following.cancel()
        await following.value
    }
}

struct AccessTests {
    private static let create = #"{"exchange":"binance.com","market":"ETHUSDT"}"#

    /// Every request that changes something, in both families of endpoints.
    private static let changing: [(method: String, target: String)] = [
        ("GET", "/create_depthcache?exchange=binance.com&market=ETHUSDT"), ("POST", "/create_depthcaches"),
        ("GET", "/stop_depthcache?exchange=binance.com&market=BTCUSDT"),
        ("POST", "/add_credentials"), ("POST", "/ubdcc_remove_credentials"),
        ("GET", "/remove_credentials?id=x"),
        ("POST", "/v1/audits?exchange=binance.com&market=BTCUSDT"), ("POST", "/v1/depthcaches"),
        ("PATCH", "/v1/depthcaches/binance.com/BTCUSDT"), ("DELETE", "/v1/depthcaches/binance.com/BTCUSDT"),
    ]

    @Test func `changing needs a token that manages, in every endpoint`() async throws {
        try await GatewayScene.run(workers: [.silent], anonymous: .read) { scene in
            let list = try tokens()
            scene.tokens.withLock { $0 = list }
            for (method, target) in Self.changing {
                let refused = try await scene.send(target, method: method, body: Self.create)
                #expect(refused.status == 401, "\(method) \(target)")
                let challenge = refused.headers.value(of: "www-authenticate")
                #expect(challenge == "Bearer realm=\"fathom\", scope=\"manage\"")
                let body = try JSONValue(parsing: Array(refused.body))
                #expect(body["error_id"] == "#1043")
                if target.hasPrefix("/v1") {
                    #expect(
                        refused.contentType == "application/problem+json" && body["status"]?.number == 401)
                } else {
                    #expect(body["result"] == "ERROR" && body["event"]?.text?.isEmpty == false)
                }
                let lesser = try await scene.send(
                    target, method: method, body: Self.create, authorization: "Bearer \(readToken)")
                #expect(lesser.status == 403)
                let unknown = try await scene.send(
                    target, method: method, body: Self.create, authorization: "Bearer x")
                #expect(unknown.status == 401)
            }
            #expect(scene.store.state.withLock { $0.caches.isEmpty })
            let made = try await scene.send(
                "/v1/depthcaches", method: "POST", body: Self.create, authorization: "Bearer \(manageToken)")
            #expect(made.status == 201)
        }
    }

    @Test func `each endpoint and each operation is held to reading or managing`() {
        let paths = Self.changing.filter { !$0.target.hasPrefix("/v1/d") }.compactMap {
            Endpoint(path: String($0.target.prefix { $0 != "?" }))
        }
        #expect(Set(Endpoint.allCases.filter(\.changesState)).isSuperset(of: paths))
        for operation in V1Operation.table {
            #expect(operation.changesState == (operation.method != "GET"), "\(operation.name)")
        }
    }

    @Test func `reading can need a token too, but not what names no endpoint`() async throws {
        try await GatewayScene.run(anonymous: AccessScope.none) { scene in
            let list = try tokens()
            scene.tokens.withLock { $0 = list }
            for target in ["/get_cluster_info", "/test", "/v1/depthcaches", "/openapi.json"] {
                #expect(try await scene.send(target).status == 401)
                #expect(try await scene.send(target, authorization: "Bearer \(readToken)").status == 200)
            }
            #expect(try await scene.send("/nothing").status == 404)
            #expect(try await scene.send("/v1/nothing").status == 404)
        }
    }
}

struct CrossOriginTests {
    @Test func `pages of the origins that are named may read, others get no leave`() throws {
        let some = try #require(CrossOrigin(["https://board.example"]))
        #expect(
            some.headers(origin: "https://Board.example").value(of: "access-control-allow-origin")
                == "https://Board.example")
        #expect(some.headers(origin: "https://other.example").map(\.name) == ["vary"])
        #expect(some.headers(origin: nil).map(\.name) == ["vary"])
        let all = try #require(CrossOrigin(["*"]))
        #expect(all.headers(origin: "https://x").value(of: "access-control-allow-origin") == "*")
        #expect(CrossOrigin([]) == nil)
    }

    @Test func `only what a browser asks beforehand is answered as such`() throws {
        let some = try #require(CrossOrigin(["https://board.example"]))
        let answer = some.preflight(method: "OPTIONS", origin: "https://board.example") { "PATCH" }
        #expect(answer?.status == 204)
        #expect(answer?.headers.value(of: "access-control-allow-headers")?.contains("authorization") == true)
        #expect(some.preflight(method: "OPTIONS", origin: "https://board.example") { nil } == nil)
        #expect(some.preflight(method: "OPTIONS", origin: nil) { "PATCH" } == nil)
        #expect(some.preflight(method: "GET", origin: "https://board.example") { "PATCH" } == nil)
    }

    @Test func `an origin that is named may change things on loopback, any other may not`() {
        let named = LoopbackGuard(
            listeningOn: "127.0.0.1", allowedHosts: [], allowedOrigins: ["https://board.example"])
        func refusal(_ guarded: LoopbackGuard, _ origin: String) -> String? {
            guarded.refusal(host: "localhost", origin: origin, fetchSite: "cross-site", changesState: true)
        }
        #expect(refusal(named, "https://board.example") == nil)
        #expect(refusal(named, "https://other.example") != nil)
        let all = LoopbackGuard(listeningOn: "127.0.0.1", allowedHosts: [], allowedOrigins: ["*"])
        #expect(refusal(all, "https://board.example") != nil)
    }

    @Test(arguments: [
        ("https://a.example", true), ("http://localhost:8080", true), ("*", true), ("a.example", false),
        ("https://a.example/", false), ("https://", false), ("null", false),
    ])
    func `origins have a scheme and a host`(text: String, isOne: Bool) {
        #expect(CrossOrigin.isOrigin(text) == isOne)
    }
}

struct RateTests {
    private let start = ContinuousClock.now

    @Test func `a client may burst, then it has its rate, and others are not concerned`() {
        var limiter = RateLimiter(rate: 10)
        let burst = (0..<25).map { _ in limiter.take("a", now: start) }
        #expect(burst.count { $0 == nil } == 20)
        #expect(burst.last == 1)
        #expect(limiter.take("b", now: start) == nil)
        let later = (0..<25).map { _ in limiter.take("a", now: start + .milliseconds(500)) }
        #expect(later.count { $0 == nil } == 5)
    }

    @Test func `the table is bounded, forgets who rests, and lets all who find no place share one bucket`() {
        var limiter = RateLimiter(rate: 1, mostClients: 100)
        for client in 0..<100 { #expect(limiter.take("\(client)", now: start) == nil) }
        let crowd = (100..<110).map { limiter.take("\($0)", now: start) }
        #expect(crowd.count { $0 == nil } == 2)
        #expect(limiter.clientCount == 100)
        // After a rest all are like new.
        #expect(limiter.take("new", now: start + .seconds(60)) == nil)
        #expect(limiter.clientCount == 1)
    }

    @Test func `a proxy that is trusted says who the client is, and nobody else does`() throws {
        let proxies = try ["10.0.0.0/8", "192.168.1.1"].map { try #require(IPNetwork($0)) }
        let trusting = ClientAddress(trusted: proxies)
        func client(_ peer: String, _ header: String) -> String {
            trusting.client(peer: peer) { header }
        }
        #expect(client("10.1.2.3", "203.0.113.9") == "203.0.113.9")
        #expect(client("10.1.2.3", "1.1.1.1, 203.0.113.9, 10.9.9.9,192.168.1.1") == "203.0.113.9")
        #expect(client("10.1.2.3", "") == "10.1.2.3")
        #expect(client("10.1.2.3", "1.1.1.1, rubbish") == "10.1.2.3")
        #expect(client("192.168.1.2", "203.0.113.9") == "192.168.1.2")
        #expect(client("10.0.0.1", "2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64")
        #expect(ClientAddress(trusted: []).client(peer: "10.0.0.1") { "1.1.1.1" } == "10.0.0.1")
        #expect(ClientAddress(trusted: []).client(peer: "2001:db8::7") { "" } == "2001:db8:0:0::/64")
        #expect(trusting.client(peer: "2001:db8::7") { "1.1.1.1" } == "2001:db8:0:0::/64")
    }

    @Test func `networks are read, and what is none is not`() throws {
        for text in ["10.0.0.0/33", "10.0.0/8", "::/129", "x", "10.0.0.0/", "10.0.0.0/-1", ""] {
            #expect(IPNetwork(text) == nil, "\(text)")
        }
        let all = try #require(IPNetwork("0.0.0.0/0"))
        #expect(all.contains(try #require(IPAddress("8.8.8.8"))))
        #expect(!all.contains(try #require(IPAddress("2001:db8::1"))))
        let odd = try #require(IPNetwork("10.128.0.0/9"))
        #expect(odd.contains(try #require(IPAddress("10.255.0.1"))))
        #expect(!odd.contains(try #require(IPAddress("10.127.0.1"))))
    }
}
