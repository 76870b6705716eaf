import Books
import DepthCacheAPI
import K8sClient
import Testing

@testable import Worker

/// What a worker writes for both sides of a book, without a feed.
@Suite struct BothSidesTests {
    private static func level(_ price: String, _ quantity: String) throws -> PriceLevel {
        PriceLevel(price: try FixedDecimal(price), quantity: try FixedDecimal(quantity))
    }

    private func render(_ query: BooksQuery, market: String = "BTCUSDT") throws -> (BookMark, JSONValue) {
        var book = OrderBook()
        let bids = [
            try Self.level("0.00001010", "1.500"), try Self.level("0.00001000", "2.0"),
            try Self.level("0.00000990", "0.10"),
        ]
        let asks = [try Self.level("0.00001020", "100"), try Self.level("0.00001030", "7.25")]
        try book.load(
            BookSnapshot(lastID: 42, eventTime: 1000, bids: bids, asks: asks), coverage: .limit(3),
            receivedTime: 1010)
        var bytes: [UInt8] = []
        BooksAnswer.begin(1, into: &bytes)
        var opening: [UInt8] = []
        BothSidesJSON.appendOpening(MarketQuery(exchange: "binance.com", market: market), to: &opening)
        BothSidesJSON.appendEntry(book, opening[...], query, RenderedSides(), wall: 1035, to: &bytes)
        guard case .served(let mark, let json)? = try BooksAnswer.entries(decoding: bytes).first else {
            throw LinkPayloadError("expected a book")
        }
        return (mark, try JSONValue(parsing: Array(json)))
    }

    @Test func `both sides, times and coverage are told, with numbers as they were sent`() throws {
        let (mark, book) = try render(BooksQuery(markets: []))
        #expect(mark == BookMark(updateID: 42, coveredLevels: 5))
        #expect(
            book == [
                "exchange": "binance.com", "market": "BTCUSDT", "update_id": 42, "event_time": 1000,
                "received_time": 1010, "age": 25,
                "bids": [["0.00001010", "1.500"], ["0.00001000", "2.0"], ["0.00000990", "0.10"]],
                "asks": [["0.00001020", "100"], ["0.00001030", "7.25"]],
                "coverage": [
                    "bids": ["levels": 3, "to": "0.00000990", "complete": false],
                    "asks": ["levels": 2, "to": nil, "complete": true],
                ],
            ])
    }

    @Test func `limit and threshold hold for each side`() throws {
        let (_, book) = try render(BooksQuery(limit: 1, markets: []))
        #expect(book["bids"] == [["0.00001010", "1.500"]])
        #expect(book["asks"] == [["0.00001020", "100"]])
        #expect(book.at("coverage", "bids", "complete")?.bool == true)
        // 0.00001515 + 0.00002 = 0.00003515; the first ask alone is worth 0.00102.
        let (_, cut) = try render(
            BooksQuery(threshold: .quote(mantissa: 3515, scale: 8), markets: []))
        #expect(cut["bids"]?.elements?.count == 2)
        #expect(cut["asks"]?.elements?.count == 1)
    }

    @Test(arguments: ["币安人生USDT", "A\"\\\n\u{1}B"])
    func `any name is valid JSON`(_ market: String) throws {
        #expect(try render(BooksQuery(markets: []), market: market).1["market"]?.text == market)
    }
}
