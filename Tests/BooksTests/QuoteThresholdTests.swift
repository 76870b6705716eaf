import Books
import Testing

@Suite struct QuoteThresholdTests {
    /// Two asks whose quote volumes add up to 10000000010000000101, which needs more than 64 bits.
    private func book() throws -> OrderBook {
        var book = OrderBook()
        let asks = [
            PriceLevel(
                price: try FixedDecimal("10000000000"), quantity: try FixedDecimal("1000000000.00000001")),
            PriceLevel(price: try FixedDecimal("10000000001"), quantity: try FixedDecimal("1")),
        ]
        try book.load(BookSnapshot(lastID: 1, bids: [], asks: asks), coverage: .limit(3), receivedTime: 0)
        return book
    }

    @Test(arguments: [
        ("10000000010000000101", 2), ("10000000010000000100", 1), ("10000000010000000100.9999999999", 1),
        ("1000000001000000010.1e1", 2), ("100000000100000001009999999999999999999e-19", 1),
    ])
    func `a threshold of more than 64 bits is compared exactly`(_ text: String, count: Int) throws {
        let book = try book()
        let threshold = try #require(QuoteThreshold(text))
        #expect(book.asks.select(limit: nil, threshold: threshold).count == count)
    }

    @Test func `a number of 128 bits is no bound where units overflow`() throws {
        let book = try book()
        let most = QuoteThreshold.volume(mantissa: .max, exponent: 0)
        #expect(book.asks.select(limit: nil, threshold: most).count == 2)
    }
}
