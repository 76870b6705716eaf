import Testing

@testable import Books

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

    @Test(
        arguments: [
            (10_000_000_010_000_000_101, 0, 2), (10_000_000_010_000_000_100, 0, 1),
            (100_000_000_100_000_001_009_999_999_999, -10, 1), (1_000_000_001_000_000_011, 1, 2),
            (10_000_000_010_000_000_101_000, -3, 2),
            (100_000_000_100_000_001_009_999_999_999_999_999_999, -19, 1),
        ] as [(UInt128, Int, Int)])
    func `a threshold of more than 64 bits is compared exactly`(
        _ mantissa: UInt128, exponent: Int, count: Int
    ) throws {
        let book = try book()
        let threshold = QuoteThreshold.volume(mantissa: mantissa, exponent: exponent)
        #expect(book.asks.select(limit: nil, threshold: threshold).count == count)
    }

    @Test(
        arguments: [
            (.volume(mantissa: 15, exponent: -1), 0, 1), (.volume(mantissa: 15, exponent: -1), 3, 1500),
            (.volume(mantissa: 1, exponent: 5), 2, 10_000_000), (.volume(mantissa: 1, exponent: -120), 16, 0),
            (.volume(mantissa: .max, exponent: 0), 0, .max), (.volume(mantissa: 1, exponent: 60), 0, .max),
            (.bestOnly, 8, -1), (.unlimited, 8, nil),
        ] as [(QuoteThreshold, Int, Int128?)])
    func `a threshold is compared at the scale of the sums, rounded down`(
        _ threshold: QuoteThreshold, scale: Int, units: Int128?
    ) {
        #expect(threshold.units(scale: scale) == units)
    }

    @Test func `a number of 128 bits is no bound where units overflow`() throws {
        let book = try book()
        let most = QuoteThreshold.volume(mantissa: .max, exponent: 0)
        #expect(book.asks.select(limit: nil, threshold: most).count == 2)
    }
}
