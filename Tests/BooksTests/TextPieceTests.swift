import Books
import TestSupport
import Testing

/// What is put together on the stack beside what is written step by step.
struct TextPieceTests {
    @Test(arguments: [
        0, 7, 10, -3, 1_763_800_000_000, 9_999_999_999_999_999, 10_000_000_000_000_000, .max, .min + 1,
    ])
    func `whole numbers`(_ number: Int64) {
        var bytes: [UInt8] = [0x3A]
        TextPiece.append(to: &bytes) { piece in
            piece.add("a")
            piece.add(number: number)
            piece.add(",")
        }
        #expect(String(decoding: bytes, as: UTF8.self) == ":a\(number),")
    }

    @Test func `decimals and levels are those of the side`() throws {
        var random = SplitMix64(seed: 11)
        for count in 0..<5 {
            for _ in 0..<200 {
                let scales = (
                    UInt8.random(in: 0...9, using: &random), UInt8.random(in: 0...15, using: &random)
                )
                var side = BookSide(.bids)
                for _ in 0..<count {
                    let price = FixedDecimal(
                        mantissa: Int64.random(in: 1...99_999_999, using: &random),
                        scale: UInt8.random(in: 0...scales.0, using: &random))
                    let quantity = FixedDecimal(
                        mantissa: Int64.random(
                            in: 1...Int64.max >> Int64.random(in: 0...50, using: &random), using: &random),
                        scale: scales.1)
                    try side.apply([PriceLevel(price: price, quantity: quantity)])
                }
                let selection = side.select(limit: nil, threshold: nil)
                var (pieces, steps) = ([UInt8](), [UInt8]())
                TextPiece.append(to: &pieces) { piece in
                    piece.add(selection, of: side)
                    if let best = side.best { piece.add(best.quantity) }
                }
                side.appendJSON(selection, as: .exact, to: &steps)
                if let best = side.best { BookSide.appendJSON(best.quantity, as: .exact, to: &steps) }
                #expect(pieces == steps)
            }
        }
    }
}
