import Testing

@testable import Worker

@Suite struct LoadMeterTests {
    let book = BookID(venue: "binance.com", market: "BTCUSDT", intervalMilliseconds: 100)

    @Test func `a rate is told after a whole window, and later ones count half`() {
        var meter = LoadMeter()
        #expect(meter.isDue(now: .zero))
        meter.look([book: 100], now: .zero)
        #expect(meter.rate(book) == nil)
        #expect(!meter.isDue(now: .seconds(14)))
        #expect(meter.isDue(now: .seconds(15)))
        meter.look([book: 250], now: .seconds(15))
        #expect(meter.rate(book) == 10)
        meter.look([book: 550], now: .seconds(30))
        #expect(meter.rate(book) == 15)
    }

    @Test func `a book that was let go and came back is measured anew`() {
        var meter = LoadMeter()
        meter.look([book: 100], now: .zero)
        meter.look([book: 250], now: .seconds(15))
        meter.look([:], now: .seconds(30))
        #expect(meter.rate(book) == nil)
        meter.look([book: 5], now: .seconds(45))
        meter.look([book: 3], now: .seconds(60))
        #expect(meter.rate(book) == nil, "fewer than before: it was made anew between two looks")
    }
}
