import DepthCacheAPI
import K8sClient
import Testing

@testable import Gateway

/// Queries that were read before: they mean what they meant, by the routes of now.
struct KnownQueriesTests {
    private static let query = "exchange=binance.com&market=btcusdt&limit_count=3"
    private static let raw = Array(query.utf8)[...]
    private static let key = MarketKey(exchange: "binance.com", market: "BTCUSDT")
    private static let served = LinkScript.answers(
        .served(ArraySlice(#"{"asks":[],"event":"GET_ASKS","result":"OK"}"#.utf8)))

    /// A memory that has read `query`, by the routes of a table.
    private static func memory(_ table: RoutingTable) throws -> KnownQueries {
        let known = KnownQueries()
        #expect(known.find(raw, in: table) == nil)
        try keep(raw, in: known, table)
        return known
    }

    private static func keep(_ raw: ArraySlice<UInt8>, in known: KnownQueries, _ table: RoutingTable) throws {
        let route = try #require(table.routes[key])
        var query = BookQuery(exchange: "binance.com", market: "btcusdt", side: .bids)
        query.limitCount = 3
        _ = known.keep(raw, query, wantsDebug: false, key: key, route: route, of: table)
    }

    @Test func `the question is that of the cache's own names, for both sides`() throws {
        let table = RoutingTable(GatewayScene.picture(workerCount: 1))
        let known = try #require(try Self.memory(table).find(Self.raw, in: table))
        #expect(known.route === table.routes[Self.key])
        for side in [BookSide.asks, .bids] {
            guard case .side(let bytes) = known.question(side) else {
                Issue.record("another kind of question")
                return
            }
            let query = try BookQuery(decoding: bytes)
            #expect(
                query
                    == BookQuery(exchange: "binance.com", market: "BTCUSDT", side: side, limitCount: 3))
        }
        #expect(known.market == "btcusdt")
    }

    @Test func `other bytes are another query`() throws {
        let table = RoutingTable(GatewayScene.picture(workerCount: 1))
        let known = try Self.memory(table)
        for other in ["", Self.query + "0", String(Self.query.dropLast()), Self.query.uppercased()] {
            #expect(known.find(Array(other.utf8)[...], in: table) == nil)
        }
        // The same bytes in another place.
        let longer = Array(("?" + Self.query + " ").utf8)
        #expect(known.find(longer[1..<(longer.count - 1)], in: table) != nil)
    }

    @Test func `new routes are taken, a cache that is gone or written otherwise is read anew`() throws {
        let first = RoutingTable(GatewayScene.picture(workerCount: 1))
        let known = try Self.memory(first)
        let second = RoutingTable(GatewayScene.picture(workerCount: 2))
        let found = try #require(known.find(Self.raw, in: second))
        #expect(found.route === second.routes[Self.key])
        #expect(found.route.replicas.count == 2)
        #expect(known.find(Self.raw, in: .empty) == nil)
        var picture = GatewayScene.picture(workerCount: 1)
        picture.caches[0].market = "BtcUsdt"
        #expect(known.find(Self.raw, in: RoutingTable(picture)) == nil)
        #expect(known.find(Self.raw, in: first) != nil)
    }

    @Test func `no more are kept than are allowed, and no long ones`() throws {
        let table = RoutingTable(GatewayScene.picture(workerCount: 1))
        let known = try Self.memory(table)
        let long = Self.raw + repeatElement(UInt8(ascii: "&"), count: KnownQueries.longest)
        try Self.keep(long, in: known, table)
        #expect(known.find(long, in: table) == nil)
        for number in 0..<(2 * KnownQueries.most) {
            try Self.keep(Self.raw + Array("&limit_count=\(number)".utf8), in: known, table)
            #expect(known.count <= KnownQueries.most)
        }
        let last = Self.raw + Array("&limit_count=\(2 * KnownQueries.most - 1)".utf8)
        #expect(known.find(last, in: table) != nil)
        // A parameter that nobody reads does not drive out the others.
        let count = known.count
        try Self.keep(Self.raw + Array("&_=1700000000123".utf8), in: known, table)
        #expect(known.count == count)
    }

    @Test func `the same request follows its market to another worker, and hears when its cache is gone`()
        async throws
    {
        let asks = "/get_asks?exchange=binance.com&market=BTCUSDT"
        try await GatewayScene.run(workers: [Self.served, Self.served]) { (scene) async throws in
            var picture = GatewayScene.picture(workerCount: 2)
            let replicas = picture.replicas
            for index in [0, 1, 0] {
                picture.replicas = [replicas[index]]
                await scene.directory.update(picture)
                await scene.dispatcher.resetAsked(0)
                await scene.dispatcher.resetAsked(1)
                for _ in 0..<3 { #expect(try await scene.json(asks)["result"]?.text == "OK") }
                #expect(await scene.dispatcher.asked(index) == 3)
                #expect(await scene.dispatcher.asked(1 - index) == 0)
            }
            await scene.directory.update(ClusterPicture())
            #expect(try await scene.json(asks)["error_id"]?.text == ErrorID.notFound.rawValue)
            #expect(try await scene.json(asks)["error_id"]?.text == ErrorID.notFound.rawValue)
        }
    }

    @Test func `a side, a debug block and a mistake belong to their own request only`() async throws {
        let asks = "/get_asks?exchange=binance.com&market=BTCUSDT"
        try await GatewayScene.run(workers: [Self.served]) { (scene) async throws in
            for _ in 0..<2 {
                #expect(try await scene.json(asks)["debug"] == nil)
                #expect(try await scene.json(asks + "&debug=true")["debug"] != nil)
                let wrong = try await scene.json(asks + "&limit_count=x")
                #expect(wrong["error_id"]?.text == ErrorID.badQueryParameter.rawValue)
                #expect(try await scene.json("/get_bids?exchange=binance.com")["result"]?.text == "ERROR")
            }
        }
    }
}
