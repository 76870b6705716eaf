import DepthCacheAPI
import K8sClient
import Testing
import Transport

@testable import Gateway

/// `GET /v1/books…`, worker by worker.
struct V1BookTests {
    private static let path = "/v1/books/binance.com/BTCUSDT"
    private static func served(
        _ id: Int64, _ levels: UInt32 = 4, quantity: String = "2.0"
    ) -> BooksAnswer.Entry {
        let json = #"{"market":"BTCUSDT","update_id":\#(id),"bids":[["1.10","\#(quantity)"]]}"#
        return .served(BookMark(updateID: id, coveredLevels: levels), ArraySlice(json.utf8))
    }
    /// The id, what is covered, and a digest of all from the bids on.
    private static let tag = "W/\"7-4-bcc833e4ec9c6709\""
    private static func problem(_ reply: GatewayReply) throws -> JSONValue {
        #expect(reply.contentType == "application/problem+json")
        let body = try JSONValue(parsing: Array(reply.body))
        #expect(body["status"]?.number == Int64(reply.status))
        #expect(body["type"]?.text?.hasPrefix("urn:fathom:problem:") == true)
        return body
    }

    @Test func `the worker's object is passed on byte for byte, with who served it behind`() async throws {
        try await GatewayScene.run(workers: [.books([[Self.served(7)]])]) { (scene) async throws in
            let reply = try await scene.send(Self.path)
            let sent = #"{"market":"BTCUSDT","update_id":7,"bids":[["1.10","2.0"]],"worker":"worker-0"}"#
            #expect(String(decoding: reply.body, as: UTF8.self) == sent)
            #expect(reply.status == 200)
            #expect(reply.headers.contains(.init("etag", Self.tag)))
        }
    }

    @Test(arguments: [
        (tag, 304), (String(tag.dropFirst(2)), 304), ("*", 304), ("\"1\", \(tag)", 304),
        ("W/\"7-5-bcc833e4ec9c6709\"", 200), ("7-4-bcc833e4ec9c6709", 200), ("", 200),
    ])
    func `a book that has not changed is not sent again`(_ sent: String, status: Int) async throws {
        try await GatewayScene.run(workers: [.books([[Self.served(7)]])]) { (scene) async throws in
            let reply = try await scene.send(Self.path, ifNoneMatch: sent)
            #expect(reply.status == status)
            #expect(reply.body.isEmpty == (status == 304))
            #expect(reply.headers.contains(.init("etag", Self.tag)))
        }
    }

    @Test(arguments: [served(7, quantity: "3.0"), served(8), served(7, 5)])
    func `a book that was mended at the same id is sent, and one that has changed or knows more`(
        _ now: BooksAnswer.Entry
    ) async throws {
        try await GatewayScene.run(workers: [.books([[now]])]) { (scene) async throws in
            #expect(try await scene.send(Self.path, ifNoneMatch: Self.tag).status == 200)
        }
    }

    @Test func `a copy that failed before is told of without a body too`() async throws {
        try await GatewayScene.run(workers: [.fails("broken"), .books([[Self.served(7)]])]) {
            (scene) async throws in
            var outcomes: Set<RequestOutcome> = []
            for _ in 0..<2 {
                let reply = try await scene.send(Self.path, ifNoneMatch: Self.tag)
                #expect(reply.status == 304)
                outcomes.insert(reply.outcome)
            }
            #expect(outcomes.contains(.failover))
        }
    }

    @Test(arguments: [
        ("PUT", "/v1/cluster", 405), ("GET", "/v1/nothing", 404), ("POST", "/v1/depthcaches", 400),
    ])
    func `what a client does wrong is no trouble of the cluster`(
        method: String, target: String, status: Int
    ) async throws {
        try await GatewayScene.run { (scene) async throws in
            let reply = try await scene.send(target, method: method)
            #expect(reply.status == status)
            #expect(!reply.outcome.isTrouble)
            #expect(reply.reason.isEmpty)
        }
    }

    @Test func `parameters reach the worker as they were meant`() async throws {
        try await GatewayScene.run(workers: [.books([[Self.served(7)]])]) { (scene) async throws in
            _ = try await scene.send(
                "/v1/books/BINANCE.com/btcusdt?limit=20&threshold=1500.50&min_update_id=5")
            let asked = await scene.dispatcher.lastBooks(0)
            #expect(
                asked
                    == BooksQuery(
                        limit: 20, threshold: .quote(mantissa: 15005, scale: 1), leastID: 5,
                        markets: [MarketQuery(exchange: "binance.com", market: "BTCUSDT")]))
        }
    }

    @Test(arguments: [
        ("limit=0", "limit"), ("limit=-1", "limit"), ("limit=5001", "limit"), ("limit=x", "limit"),
        ("limit=", "limit"), ("limit=1.5", "limit"), ("limit=1&limit=2", "limit"),
        ("threshold=-1", "threshold"), ("threshold=1e5", "threshold"), ("threshold=nan", "threshold"),
        ("threshold=", "threshold"), ("threshold=1.", "threshold"), ("threshold=.5", "threshold"),
        ("threshold=123456789012345678901", "threshold"),
        ("min_update_id=-1", "min_update_id"), ("min_update_id=9223372036854775808", "min_update_id"),
        ("min_update_id=a", "min_update_id"), ("limit_count=1", "limit_count"), ("Limit=1", "Limit"),
    ])
    func `a bad value gets a problem that names the parameter`(_ query: String, name: String) async throws {
        try await GatewayScene.run(workers: [.books([[Self.served(7)]])]) { (scene) async throws in
            let reply = try await scene.send(Self.path + "?" + query)
            let problem = try Self.problem(reply)
            #expect(reply.status == 400)
            #expect(problem["error_id"]?.text == "#1025")
            #expect(problem["parameter"]?.text == name)
            #expect(problem["detail"]?.text?.hasPrefix("\(name): expected ") == true)
            #expect(problem["expected"]?.text?.isEmpty == false)
            #expect(await scene.dispatcher.asked(0) == 0)
        }
    }

    @Test(arguments: [
        ("/v1/books/binance.org/BTCUSDT", "exchange"), ("/v1/books/binance.com/", "market"),
        ("/v1/books/binance.com/\(String(repeating: "x", count: 65))", "market"),
        ("/v1/books", "markets"), ("/v1/books?markets=", "markets"), ("/v1/books?markets=a,,b", "markets"),
        ("/v1/books?markets=all&exchange=x", "exchange"),
        ("/v1/books?markets=all&limit=0", "limit"),
        ("/v1/books?markets=all&min_update_id=3", "min_update_id"),
        ("/v1/depthcaches?limit=3", "limit"), ("/v1/cluster?x=1", "x"),
    ])
    func `names and lists are checked too`(_ target: String, name: String) async throws {
        try await GatewayScene.run(workers: [.books([[Self.served(7)]])]) { (scene) async throws in
            let reply = try await scene.send(target)
            #expect(reply.status == 400)
            #expect(try Self.problem(reply)["parameter"]?.text == name)
        }
    }

    @Test(arguments: [
        (BooksAnswer.Entry.notSynchronized(reason: "Gap"), 503, "#6000"), (.notHere, 503, "#6000"),
    ])
    func `what cannot be served is a problem with its id`(
        _ entry: BooksAnswer.Entry, status: Int, id: String
    ) async throws {
        try await GatewayScene.run(workers: [.books([[entry]])]) { (scene) async throws in
            async let answer = scene.send(Self.path)
            if entry == .notHere {
                try await scene.waitForQueries(1)
                await scene.dispatcher.check(.now + .seconds(6))
            }
            let reply = try await answer
            #expect(reply.status == status)
            #expect(try Self.problem(reply)["error_id"]?.text == id)
            #expect(reply.headers.contains(.init("retry-after", "1")))
        }
    }

    @Test func `no worker reachable, and no such market`() async throws {
        try await GatewayScene.run(workers: [.unreachable("refused")]) { (scene) async throws in
            let reply = try await scene.send(Self.path)
            #expect(reply.status == 503)
            let problem = try Self.problem(reply)
            #expect(problem["error_id"]?.text == "#5000")
            #expect(problem["workers"] == [["worker": "worker-0", "reason": "refused"]])
            let unknown = try await scene.send("/v1/books/binance.com/NONE")
            #expect(unknown.status == 404)
            #expect(try Self.problem(unknown)["error_id"]?.text == "#7000")
        }
    }

    @Test func `a failed copy is replaced within the request, and said so`() async throws {
        try await GatewayScene.run(workers: [
            .books([[.notSynchronized(reason: "Gap")]]), .books([[Self.served(7)]]),
        ]) { (scene) async throws in
            let body = try JSONValue(parsing: Array(try await scene.send(Self.path).body))
            #expect(body["worker"]?.text == "worker-1")
            #expect(
                body["failover"]?.text?.contains("pod=worker-0 (uid=w0) — #6000 out of sync: Gap") == true)
        }
    }

    @Test func `a copy that stands before the wanted id is passed over for one that does not`() async throws {
        try await GatewayScene.run(workers: [.books([[.behind(4)]]), .books([[Self.served(7)]])]) {
            (scene) async throws in
            let body = try JSONValue(
                parsing: Array(try await scene.send(Self.path + "?min_update_id=5").body))
            #expect(body["update_id"]?.number == 7)
            #expect(body["failover"] == nil)
        }
    }

    @Test func `with all copies behind they are asked again until one has caught up`() async throws {
        try await GatewayScene.run(workers: [.books([[.behind(4)], [.behind(5)], [Self.served(6)]])]) {
            (scene) async throws in
            async let answer = scene.send(Self.path + "?min_update_id=6")
            try await scene.waitForQueries(1)
            await scene.dispatcher.check(.now)
            #expect(await scene.dispatcher.queriesUnderWay == 1)
            await scene.dispatcher.check(.now)
            let reply = try await answer
            #expect(reply.status == 200)
            #expect(await scene.dispatcher.asked(0) == 3)
        }
    }

    @Test func `a copy that does not catch up is waited for a second`() async throws {
        try await GatewayScene.run(workers: [.books([[.behind(4)]])]) { (scene) async throws in
            async let answer = scene.send(Self.path + "?min_update_id=6")
            try await scene.waitForQueries(1)
            await scene.dispatcher.check(.now + .seconds(2))
            let reply = try await answer
            #expect(reply.status == 409)
            let problem = try Self.problem(reply)
            #expect(problem["error_id"]?.text == "#6001")
            #expect(problem["update_id"]?.number == 4)
        }
    }

    @Test func `many books are asked of each worker at once, and failures are stated by market`() async throws
    {
        try await GatewayScene.run(workers: [
            .books([[Self.served(7), .notSynchronized(reason: "Gap")], [.notSynchronized(reason: "Gap")]])
        ]) { (scene) async throws in
            await scene.addMarket("ETHUSDT", on: 0)
            let reply = try await scene.send(
                "/v1/books?markets=btcusdt,ETHUSDT,BTCUSDT,NONE&exchange=binance.com")
            #expect(reply.status == 200)
            let body = try JSONValue(parsing: Array(reply.body))
            #expect(body["books"]?.elements?.count == 1)
            #expect(body["books"]?[0]?["worker"]?.text == "worker-0")
            let problems = try #require(body["problems"]?.elements)
            #expect(Set(problems.map { $0["market"]?.text }) == ["ETHUSDT", "NONE"])
            #expect(Set(problems.map { $0["error_id"]?.text }) == ["#6000", "#7000"])
            // One question for both markets, and one more for the market that has failed.
            #expect(await scene.dispatcher.asked(0) == 2)
        }
    }

    @Test func `copies of which nobody has said yet that they run are asked together too`() async throws {
        try await GatewayScene.run(workers: [.books([[Self.served(7)]])]) { (scene) async throws in
            for index in 0..<20 { await scene.addMarket("M\(index)USDT", on: 0) }
            var picture = scene.directory.table.picture
            for index in picture.replicas.indices { picture.replicas[index].isSynchronized = false }
            await scene.directory.update(picture)
            let all = try JSONValue(parsing: Array(try await scene.send("/v1/books?markets=all").body))
            #expect(all["books"]?.elements?.count == 21)
            #expect(await scene.dispatcher.asked(0) == 1)
        }
    }

    @Test func `without an exchange a market is sought on all of them`() async throws {
        try await GatewayScene.run(workers: [.books([[Self.served(7)]])]) { (scene) async throws in
            let reply = try await scene.send("/v1/books?markets=none,btcusdt")
            let body = try JSONValue(parsing: Array(reply.body))
            #expect(body["books"]?.elements?.count == 1)
            #expect(body["problems"]?.elements?.map { $0["market"]?.text } == ["none"])
        }
    }

    @Test func `all books come in the order of their creation, and only so many levels`() async throws {
        try await GatewayScene.run(workers: [.books([[Self.served(7)]])]) { (scene) async throws in
            for index in 0..<60 { await scene.addMarket("M\(index)USDT", on: 0) }
            let all = try JSONValue(parsing: Array(try await scene.send("/v1/books?markets=all").body))
            #expect(all["books"]?.elements?.count == 61)
            #expect(all["problems"]?.elements?.isEmpty == true)
            let other = try JSONValue(
                parsing: Array(try await scene.send("/v1/books?markets=all&exchange=binance.us").body))
            #expect(other["books"]?.elements?.isEmpty == true)
            let reply = try await scene.send("/v1/books?markets=all&limit=4000")
            #expect(reply.status == 400)
            #expect(try Self.problem(reply)["expected"]?.text == "at most 3278 levels for 61 markets")
            await scene.dispatcher.resetAsked(0)
            _ = try await scene.send("/v1/books?markets=all&limit=100")
            // Five books of 100 levels a side fill a batch of the link.
            #expect(await scene.dispatcher.asked(0) == 13)
        }
    }
}
