import Binance
import Books
import DepthCacheAPI
import Telemetry
import Testing

@testable import Worker

/// Questions for many books, which are read and looked up once for all equal ones.
struct BooksQuestionTests {
    private let clock = WorkerClock()
    private let directory = BookDirectory()
    private let pulse: LoopPulse

    init() { pulse = LoopPulse(now: clock.now) }

    private static func name(_ number: Int) -> String { "M\(number)USDT" }

    private static func level(_ mantissa: Int64) -> PriceLevel {
        PriceLevel(
            price: FixedDecimal(mantissa: mantissa, scale: 2), quantity: FixedDecimal(mantissa: 5, scale: 1))
    }

    /// A book at id `100 + number`, believed and in sync.
    private func book(_ number: Int) -> KeptBook {
        let id = BookID(venue: "binance.com", market: Self.name(number), intervalMilliseconds: 100)
        let kept = KeptBook(id: id, stream: "s", family: .spot)
        let trust = FeedTrust(pulse: pulse)
        trust.set(true)
        let (lastID, price) = (100 + Int64(number), 1000 + Int64(number))
        let arrival = Arrival(instant: .now, wallMilliseconds: 1_000_000)
        kept.state.withLock { state in
            state.trust.feeds = [trust]
            if case .fetchSnapshot(let request)? = state.book.streamOpened(at: .now) {
                let snapshot = BookSnapshot(
                    lastID: lastID, bids: [Self.level(price)], asks: [Self.level(price + 1)])
                _ = state.book.receive(snapshot, for: request, coverage: .limit(1), at: arrival)
                _ = state.book.receive(
                    DepthEvent(first: lastID + 1, last: lastID + 1, eventTime: 1, bids: []), at: arrival)
            }
        }
        return kept
    }

    private func replace(_ books: [Int: KeptBook]) {
        directory.replace(
            books.reduce(into: [:]) {
                $0[MarketKey(exchange: "binance.com", market: Self.name($1.key))] = [$1.value]
            })
    }

    private func ask(
        _ markets: Range<Int>, exchange: String = "binance.com", leastID: Int64 = 0
    ) throws -> BooksQuestion {
        let query = BooksQuery(
            limit: 1, leastID: leastID,
            markets: markets.map { MarketQuery(exchange: exchange, market: Self.name($0)) })
        return try unsafe query.encoded().withUnsafeBytes { try unsafe directory.question($0) }
    }

    private func entries(_ question: BooksQuestion) throws -> [BooksAnswer.Entry] {
        let endpoint = BooksEndpoint(
            directory: directory, clock: clock, counts: QueryCounts(MetricRegistry()),
            rendered: RenderedSides())
        var bytes: [UInt8] = []
        endpoint.answer(question, into: &bytes)
        return try BooksAnswer.entries(decoding: bytes)
    }

    private static func isServed(_ entry: BooksAnswer.Entry) -> Bool {
        if case .served = entry { true } else { false }
    }

    @Test func `each market gets its own book, in the order of the question`() throws {
        replace(Dictionary(uniqueKeysWithValues: (0..<20).map { ($0, book($0)) }))
        for _ in 0..<2 {
            let found = try entries(try ask(0..<20))
            #expect(found.count == 20)
            for (number, entry) in found.enumerated() {
                guard case .served(let mark, let json) = entry else {
                    Issue.record("\(number) was not served")
                    continue
                }
                #expect(mark.updateID == 101 + Int64(number))
                #expect(String(decoding: json, as: UTF8.self).contains("\"\(Self.name(number))\""))
                #expect(
                    String(decoding: json, as: UTF8.self).contains(
                        "[[\"10.\(number < 10 ? "0" : "")\(number)\""))
            }
        }
    }

    @Test func `an equal question is looked up once, until the books are replaced`() throws {
        let books = Dictionary(uniqueKeysWithValues: (0..<20).map { ($0, book($0)) })
        replace(books)
        let first = try ask(0..<20)
        #expect(try ask(0..<20) === first)
        #expect(try ask(1..<20) !== first)
        #expect(try ask(0..<20, exchange: "binance.us") !== first)
        replace(books.filter { $0.key != 7 })
        let second = try ask(0..<20)
        #expect(second !== first)
        #expect(try entries(second).map(Self.isServed) == (0..<20).map { $0 != 7 })
        #expect(try entries(second)[7] == .notHere)
    }

    @Test func `what a book says is never kept`() throws {
        let books = Dictionary(uniqueKeysWithValues: (0..<20).map { ($0, book($0)) })
        replace(books)
        #expect(try entries(try ask(0..<20)).allSatisfy(Self.isServed))
        books[3]?.state.withLock { $0.book.streamClosed() }
        books[4]?.state.withLock { $0.trust.feeds = [] }
        #expect(try entries(try ask(0..<20)).map(Self.isServed) == (0..<20).map { $0 != 3 && $0 != 4 })
    }

    @Test func `the first feed speed that can be believed and stands far enough answers`() throws {
        let (fast, slow) = (book(0), book(7))
        directory.replace([MarketKey(exchange: "binance.com", market: Self.name(0)): [fast, slow]])
        let id = { (leastID: Int64) throws -> Int64? in
            guard case .served(let mark, _)? = try entries(try ask(0..<1, leastID: leastID)).first else {
                return nil
            }
            return mark.updateID
        }
        #expect(try id(0) == 101)
        #expect(try id(102) == 108)
        #expect(try entries(try ask(0..<1, leastID: 109)) == [.behind(108)])
        fast.state.withLock { $0.trust.feeds = [] }
        #expect(try id(0) == 108)
        #expect(try entries(try ask(0..<1, leastID: 109)) == [.behind(108)])
        slow.state.withLock { $0.book.streamClosed() }
        let both = try entries(try ask(0..<1))
        directory.replace([MarketKey(exchange: "binance.com", market: Self.name(0)): [slow]])
        #expect(try entries(try ask(0..<1)) != both)
        directory.replace([MarketKey(exchange: "binance.com", market: Self.name(0)): [fast]])
        #expect(try entries(try ask(0..<1)) == both)
        guard case .notSynchronized? = both.first else {
            Issue.record("a book that cannot be believed was served")
            return
        }
    }

    @Test func `so many questions are kept, short ones not`() throws {
        replace([:])
        let short = try ask(0..<KnownQuestions.fewestMarkets - 1)
        #expect(try ask(0..<KnownQuestions.fewestMarkets - 1) !== short)
        let kept = try (0..<KnownQuestions.most).map { try ask(0..<20 + $0) }
        for (index, question) in kept.enumerated() { #expect(try ask(0..<20 + index) === question) }
        _ = try ask(0..<20 + KnownQuestions.most)
        #expect(try ask(0..<21) === kept[1])
        #expect(try ask(0..<20) !== kept[0])
    }

    @Test func `a broken question is refused each time`() {
        let broken = [UInt8](repeating: 1, count: 500)
        for _ in 0..<2 {
            #expect(throws: LinkPayloadError.self) {
                try unsafe broken.withUnsafeBytes { _ = try unsafe directory.question($0) }
            }
        }
    }

    @Test func `longer questions than gateways send are not kept`() throws {
        replace([:])
        let long = try ask(0..<KnownQuestions.mostMarkets + 1)
        #expect(try ask(0..<KnownQuestions.mostMarkets + 1) !== long)
    }
}
