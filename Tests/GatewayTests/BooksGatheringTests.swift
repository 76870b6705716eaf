import DepthCacheAPI
import K8sClient
import Testing

@testable import Gateway

/// Many books from many answers, put together in the order of the request.
struct BooksGatheringTests {
    private static func entry(_ number: Int) -> BooksAnswer.Entry {
        .served(
            BookMark(updateID: Int64(number), coveredLevels: 2), ArraySlice(#"{"n":\#(number)}"#.utf8))
    }

    private static func served(_ numbers: [Int]) -> Result<[UInt8], WorkerLinkError> {
        .success(BooksAnswer.encoded(numbers.map(entry)))
    }

    private static func text(_ gathering: BooksGathering) -> String {
        var bytes: [UInt8] = []
        gathering.append(to: &bytes)
        #expect(bytes.count <= gathering.byteCount)
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func book(_ number: Int, _ worker: String) -> String {
        #"{"n":\#(number),"worker":"\#(worker)"}"#
    }

    @Test func `shares of several workers are put in order, whoever answers first`() {
        var done = 0
        let gathering = BooksGathering(count: 6) { _ in done += 1 }
        #expect(gathering.take(Self.served([1, 3, 4, 5]), at: [1, 3, 4, 5][...], from: "b").isEmpty)
        #expect(done == 0)
        #expect(gathering.take(Self.served([0, 2]), at: [0, 2][...], from: "a\"").isEmpty)
        #expect(done == 1)
        let books = (0..<6).map { Self.book($0, $0 == 0 || $0 == 2 ? #"a\""# : "b") }
        #expect(Self.text(gathering) == books.joined(separator: ","))
    }

    @Test func `what was not served is asked for alone, and stands in its place`() {
        var done = 0
        let gathering = BooksGathering(count: 5) { _ in done += 1 }
        let answer = BooksAnswer.encoded([
            .notHere, Self.entry(1), .notSynchronized(reason: "Gap"), Self.entry(3), .behind(2),
        ])
        #expect(gathering.take(.success(answer), at: Array(0..<5)[...], from: "a") == [0, 2, 4])
        let again = ServedBook(json: ArraySlice(#"{"n":2}"#.utf8), worker: "b", failover: "why")
        gathering.take(.success(again), at: 2)
        let problem = Problem(status: 503, id: .notSynchronized, detail: "no")
        gathering.take(.failure(problem), at: 0)
        // Whoever comes late is not heard.
        gathering.take(.success(again), at: 0)
        gathering.take(.failure(problem), at: 3)
        #expect(done == 0)
        gathering.take(.failure(problem), at: 4)
        #expect(done == 1)
        #expect(gathering.problems.keys.sorted() == [0, 4])
        #expect(
            Self.text(gathering) == Self.book(1, "a") + #",{"n":2,"worker":"b","failover":"why"},"#
                + Self.book(3, "a"))
    }

    @Test func `an answer that cannot be read, or has too few books, serves none`() {
        let gathering = BooksGathering(count: 3) { _ in }
        let all = [0, 1, 2][...]
        #expect(gathering.take(.failure(WorkerLinkError(reason: "")), at: all, from: "a") == [0, 1, 2])
        #expect(gathering.take(.success([9, 9]), at: all, from: "a") == [0, 1, 2])
        #expect(gathering.take(Self.served([0, 1]), at: all, from: "a") == [0, 1, 2])
        #expect(Self.text(gathering).isEmpty)
    }

    @Test func `a list has the names as a query has them, and each market's own copies`() throws {
        var picture = GatewayScene.picture(workerCount: 3)
        for index in 0..<4 {
            picture.caches.append(
                CachePicture(
                    name: "m\(index)", uid: "m\(index)", exchange: "binance.com", market: "M\(index)",
                    created: 10 + Double(index)))
            picture.replicas.append(
                ReplicaPicture(
                    name: "m\(index)", cacheUID: "m\(index)", workerUID: "w\(index % 3)",
                    workerName: "worker-\(index % 3)", isSynchronized: index != 2,
                    incarnation: "i\(index % 3)"))
        }
        let table = RoutingTable(picture)
        let list = table.list(of: "BINANCE.com")
        #expect(table.list(of: "binance.com") === list)
        #expect(table.list(of: nil).routes.count == 5)
        #expect(table.list(of: "binance.us").routes.isEmpty)
        #expect(list.copies(of: 0).map { list.workers[$0.worker] } == ["w0", "w1", "w2"])
        #expect(list.copies(of: 2).map { list.workers[$0.worker] } == ["w1"])
        #expect(
            (0..<5).map { list.copies(of: $0).allSatisfy(\.isRunning) } == [true, true, true, false, true])
        #expect((0..<4).map { list.turn(of: 0, in: $0) } == [0, 1, 2, 0])
        #expect((-1..<2).map { list.turn(of: 1, in: $0) } == [0, 0, 0])
        let query = BooksQuery(limit: 3, threshold: .unlimited, leastID: 5, markets: [])
        let asked = try BooksQuery(decoding: list.question(query, for: [0, 3, 4][...]))
        var wanted = query
        wanted.markets = ["BTCUSDT", "M2", "M3"].map { MarketQuery(exchange: "binance.com", market: $0) }
        #expect(asked == wanted)
    }
}
