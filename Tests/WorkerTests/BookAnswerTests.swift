import Books
import DepthCacheAPI
import Testing

@testable import Worker

/// What a worker writes into its answer, without a feed.
@Suite struct BookAnswerTests {
    /// The volumes of the two asks add up to 10000000010000000101, which needs more than 64 bits.
    @Test(arguments: [(UInt128(10_000_000_010_000_000_101), 2), (10_000_000_010_000_000_100, 1)])
    func `a threshold beyond 64 bits is compared exactly`(_ volume: UInt128, count: Int) throws {
        var book = OrderBook()
        let asks = [
            PriceLevel(
                price: try FixedDecimal("10000000000"), quantity: try FixedDecimal("1000000000.00000001")),
            PriceLevel(price: try FixedDecimal("10000000001"), quantity: try FixedDecimal("1")),
        ]
        try book.load(BookSnapshot(lastID: 1, bids: [], asks: asks), coverage: .limit(3), receivedTime: 0)
        let query = BookQuery(
            exchange: "binance.com", market: "AB", side: .asks, threshold: .quote(mantissa: volume, scale: 0))
        var bytes: [UInt8] = []
        BookJSON.append(book, query, RenderedSides(), to: &bytes)
        let answer = String(decoding: bytes, as: UTF8.self)
        #expect(answer.contains("[10000000000.0,"))
        #expect(answer.contains("[10000000001.0,1.0]") == (count == 2))
    }
}
