import Books
import TestSupport
import Testing

@testable import Worker

/// Kept text of deep sides beside what the side itself writes.
@Suite struct RenderedSidesTests {
    private static func levels(_ count: Int, from price: Int64, step: Int64) -> [PriceLevel] {
        (0..<Int64(count)).map {
            PriceLevel(
                price: FixedDecimal(mantissa: price + $0 * step, scale: 2),
                quantity: FixedDecimal(mantissa: 1 + $0, scale: 3))
        }
    }

    private static func book(id: Int64) throws -> OrderBook {
        var book = OrderBook()
        try book.load(
            BookSnapshot(
                lastID: id, bids: levels(300, from: 50_000, step: -1),
                asks: levels(300, from: 50_001, step: 1)),
            coverage: .limit(300), receivedTime: 0)
        return book
    }

    /// What is appended for the book's sides, and that it is what the sides write.
    private func check(_ rendered: RenderedSides, _ book: borrowing OrderBook, limit: Int) {
        for text in [DecimalText.compatible, .exact] {
            for isBids in [true, false] {
                var (kept, fresh) = ([UInt8](), [UInt8]())
                if isBids {
                    let selection = book.bids.select(limit: limit, threshold: nil)
                    rendered.append(book.bids, selection, of: book.version, as: text, to: &kept)
                    book.bids.appendJSON(selection, as: text, to: &fresh)
                } else {
                    let selection = book.asks.select(limit: limit, threshold: nil)
                    rendered.append(book.asks, selection, of: book.version, as: text, to: &kept)
                    book.asks.appendJSON(selection, as: text, to: &fresh)
                }
                #expect(kept == fresh)
            }
        }
    }

    @Test func `a side is never told as it was before a change, whatever kind of change it was`() throws {
        let rendered = RenderedSides()
        var random = SplitMix64(seed: 7)
        var one = try Self.book(id: 1)
        let other = try Self.book(id: 1)
        for step in 0..<400 {
            for limit in [120, 300] {
                check(rendered, one, limit: limit)
                check(rendered, other, limit: limit)
                check(rendered, one, limit: limit)
            }
            switch Int.random(in: 0..<5, using: &random) {
            case 0:
                one.trim(to: 299 - step % 50)
            case 1:
                one = try Self.book(id: one.lastID)
            case 2:
                var fresh = try Self.book(id: one.lastID)
                _ = one.merge(&fresh)
            default:
                let price = FixedDecimal(
                    mantissa: Int64.random(in: 49_800...49_990, using: &random), scale: 2)
                let quantity = FixedDecimal(mantissa: Int64.random(in: 0...9, using: &random), scale: 1)
                let change = PriceLevel(price: price, quantity: quantity)
                // The id stays: what counts is the state, not its number.
                try one.apply(DepthEvent(first: 1, last: 1, bids: [change]), receivedTime: 0)
            }
        }
    }
}
