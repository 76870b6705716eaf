import DepthCacheAPI
import Testing

/// The payloads that gateways and workers exchange.
struct LinkPayloadTests {
    static let queries: [BookQuery] = [
        BookQuery(exchange: "binance.com", market: "BTCUSDT", side: .asks),
        BookQuery(exchange: "", market: "", side: .bids, limitCount: 0),
        BookQuery(
            exchange: "binance.com", market: "币安人生USDT", side: .bids, limitCount: .min, threshold: .unlimited),
        BookQuery(exchange: "x", market: "y", side: .asks, limitCount: .max, threshold: .bestOnly),
        BookQuery(
            exchange: "x", market: "y", side: .asks, limitCount: -3,
            threshold: .quote(mantissa: .max, scale: -32768)),
    ]
    static let answers: [BookAnswer] = [
        .served(ArraySlice(#"{"asks":[],"result":"OK"}"#.utf8)), .notSynchronized(reason: "Gap"),
        .notSynchronized(reason: ""), .notHere, .badRequest(parameter: "limit_count", message: "expected ü"),
    ]

    @Test(arguments: queries)
    func `a query survives the way to a worker`(_ query: BookQuery) throws {
        #expect(try BookQuery(decoding: query.encoded()) == query)
    }

    @Test(arguments: answers)
    func `an answer survives the way back`(_ answer: BookAnswer) throws {
        #expect(try BookAnswer(decoding: answer.encoded()) == answer)
    }

    @Test(arguments: queries)
    func `a query that is cut short or too long is refused`(_ query: BookQuery) {
        let bytes = query.encoded()
        for count in 0..<bytes.count {
            #expect(throws: LinkPayloadError.self) { try BookQuery(decoding: Array(bytes.prefix(count))) }
        }
        #expect(throws: LinkPayloadError.self) { try BookQuery(decoding: bytes + [0]) }
    }

    @Test(arguments: answers)
    func `an answer that is cut short is refused`(_ answer: BookAnswer) {
        let bytes = answer.encoded()
        for count in 0..<bytes.count {
            #expect(throws: LinkPayloadError.self) { try BookAnswer(decoding: Array(bytes.prefix(count))) }
        }
    }

    @Test func `random bytes never decode to something that encodes otherwise`() {
        for _ in 0..<20_000 {
            var bytes = (0..<Int.random(in: 0...80)).map { _ in UInt8.random(in: 0...255) }
            if bytes.count > 2 {
                bytes[0] = 1
                bytes[1] &= 3
            }
            if let query = try? BookQuery(decoding: bytes) { #expect(query.encoded() == bytes) }
            if let answer = try? BookAnswer(decoding: bytes) { #expect(answer.encoded() == bytes) }
        }
    }

    static let booksQueries: [BooksQuery] = [
        BooksQuery(markets: [MarketQuery(exchange: "binance.com", market: "BTCUSDT")]),
        BooksQuery(
            limit: .max, threshold: .quote(mantissa: 7, scale: -3), leastID: .max,
            markets: [
                MarketQuery(exchange: "", market: ""), MarketQuery(exchange: "x", market: "币安人生USDT"),
            ]),
    ]
    static let booksAnswers: [[BooksAnswer.Entry]] = [
        [.served(BookMark(updateID: .max, coveredLevels: 7), ArraySlice(#"{"a":1}"#.utf8))],
        [.notHere, .behind(-1), .notSynchronized(reason: "Gap"), .behind(.max)], [],
    ]

    @Test(arguments: booksQueries)
    func `a query for many books survives the way, whole or not at all`(_ query: BooksQuery) throws {
        let bytes = query.encoded()
        #expect(try BooksQuery(decoding: bytes) == query)
        for count in 0..<bytes.count {
            #expect(throws: LinkPayloadError.self) { try BooksQuery(decoding: Array(bytes.prefix(count))) }
        }
        #expect(throws: LinkPayloadError.self) { try BooksQuery(decoding: bytes + [0]) }
    }

    @Test(arguments: booksAnswers)
    func `an answer of many books survives the way back, whole or not at all`(_ answer: [BooksAnswer.Entry])
        throws
    {
        let bytes = BooksAnswer.encoded(answer)
        #expect(try BooksAnswer.entries(decoding: bytes) == answer)
        for count in 0..<bytes.count {
            #expect(throws: LinkPayloadError.self) {
                try BooksAnswer.entries(decoding: Array(bytes.prefix(count)))
            }
        }
        #expect(throws: LinkPayloadError.self) { try BooksAnswer.entries(decoding: bytes + [0]) }
    }

    @Test func `a query for no book or too many is refused`() {
        #expect(throws: LinkPayloadError.self) { try BooksQuery(decoding: BooksQuery(markets: []).encoded()) }
        var bytes = BooksQuery(markets: []).encoded()
        bytes.replaceSubrange((bytes.count - 2)..., with: [0xFF, 0xFF])
        #expect(throws: LinkPayloadError.self) { try BooksQuery(decoding: bytes) }
    }

    @Test func `another version is refused by name`() {
        var bytes = BookAnswer.notHere.encoded()
        bytes[0] = 2
        #expect(throws: LinkPayloadError("expected version 1, was 2")) { try BookAnswer(decoding: bytes) }
    }

    @Test func `texts longer than their bound are cut at a character`() throws {
        let long = String(repeating: "é", count: 3000)
        let answer = try BookAnswer(decoding: BookAnswer.notSynchronized(reason: long).encoded())
        #expect(answer == .notSynchronized(reason: String(repeating: "é", count: 2048)))
        let query = BookQuery(exchange: String(repeating: "é", count: 200), market: "", side: .asks)
        #expect(try BookQuery(decoding: query.encoded()).exchange == String(repeating: "é", count: 127))
    }
}
