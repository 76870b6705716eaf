import TestSupport
import Testing

@testable import Books

/// The ladder against a plain dictionary, in the cases that it treats in ways of their own.
struct LadderTests {
    private struct Reference {
        var quantities: [Int64: Int64] = [:]
        var levels: [PriceLevel] = []

        mutating func set(_ price: Int64, _ quantity: Int64) {
            quantities[price] = quantity == 0 ? nil : quantity
            levels.append(
                PriceLevel(
                    price: FixedDecimal(mantissa: price, scale: 2),
                    quantity: FixedDecimal(mantissa: quantity, scale: UInt8(quantity % 3))))
        }

        mutating func takeLevels() -> [PriceLevel] {
            defer { levels = [] }
            return levels
        }
    }

    private static func check(_ side: borrowing BookSide, _ reference: Reference, at step: Int) {
        var prices: [Int64] = []
        var quantities: [Int64] = []
        side.forEachLevel {
            prices.append($0.priceMantissa)
            quantities.append($0.quantityMantissa)
        }
        let isBids = side.side == .bids
        let expected = reference.quantities.sorted { isBids ? $0.key > $1.key : $0.key < $1.key }
        #expect(prices == expected.map(\.key), "step \(step)")
        #expect(quantities == expected.map(\.value), "step \(step)")
        #expect(side.count == expected.count)
        for slot in 1..<max(side.ladder.slots, 1) {
            #expect(side.ladder.key(at: slot - 1) <= side.ladder.key(at: slot))
        }
        #expect(side.isEmpty || side.ladder.quantity(at: side.ladder.slots - 1) != 0)
        let isIndexed = side.ladder.isIndexed
        #expect(isIndexed, "step \(step)")
    }

    /// Prices come in crowds between others that are far apart, so that there is often no gap nearby.
    @Test(arguments: [Side.bids, .asks], [true, false])
    func `crowds of prices between distant ones`(side: Side, isOrdered: Bool) throws {
        var random = SplitMix64(seed: 1)
        for start in [0, 40, 700, 2500] {
            var reference = Reference()
            var book = BookSide(side, keepsAll: true)
            for price in 0..<start { reference.set(Int64(price + 1) * 1000, 1) }
            try book.apply(reference.takeLevels())
            for step in 0..<600 {
                let middle = Int64.random(in: 1...Int64(start + 1), using: &random) * 1000
                for _ in 0..<Int.random(in: 0...(step % 10 == 0 ? 100 : 12), using: &random) {
                    let isNear = Int.random(in: 0..<4, using: &random) > 0
                    let price =
                        isNear
                        ? middle + .random(in: -40...40, using: &random)
                        : Int64.random(in: 1...Int64(start + 1) * 1000, using: &random)
                    reference.set(
                        max(price, 1), Bool.random(using: &random) ? 0 : .random(in: 1...99, using: &random))
                }
                // A price may come twice in one event: the later one counts, so the order of those must stay.
                if isOrdered {
                    var last: [Int64: PriceLevel] = [:]
                    for level in reference.levels { last[level.priceMantissa] = level }
                    reference.levels = last.values.sorted {
                        side == .bids
                            ? $0.priceMantissa > $1.priceMantissa : $0.priceMantissa < $1.priceMantissa
                    }
                }
                try book.apply(reference.takeLevels())
                if step % 25 == 0 { Self.check(book, reference, at: step) }
            }
            Self.check(book, reference, at: 600)
        }
    }

    @Test(arguments: [Side.bids, .asks]) func `a side that is emptied and filled again`(side: Side) throws {
        var random = SplitMix64(seed: 1)
        var reference = Reference()
        var book = BookSide(side, keepsAll: true)
        for round in 0..<40 {
            for _ in 0..<Int.random(in: 1...400, using: &random) {
                reference.set(.random(in: 1...500, using: &random), .random(in: 1...9, using: &random))
            }
            try book.apply(reference.takeLevels())
            Self.check(book, reference, at: round)
            let kept = round % 4 == 0 ? 0 : 3
            for price in reference.quantities.keys.shuffled().dropFirst(kept) { reference.set(price, 0) }
            try book.apply(reference.takeLevels())
            Self.check(book, reference, at: round)
        }
    }

    @Test func `a new scale between levels of one event reaches gaps and levels alike`() throws {
        var random = SplitMix64(seed: 1)
        var book = BookSide(.asks, keepsAll: true)
        var prices: Set<Int64> = []
        for scale in UInt8(0)...6 {
            for _ in 0..<30 {
                let levels = (0..<50).map { _ in
                    let (price, isGone) = (
                        Int64.random(in: 1...300, using: &random), Bool.random(using: &random)
                    )
                    let common = price * powerOfTen(Int(6 - scale))
                    if isGone { prices.remove(common) } else { prices.insert(common) }
                    return PriceLevel(
                        price: FixedDecimal(mantissa: price, scale: scale),
                        quantity: FixedDecimal(mantissa: isGone ? 0 : 1, scale: 0))
                }
                try book.apply(levels)
            }
        }
        var found: [Int64] = []
        book.forEachLevel { found.append($0.priceMantissa * powerOfTen(6 - Int($0.priceScale))) }
        #expect(found == prices.sorted())
    }

    @Test func `after a trim the worst levels are gone and the room of gaps is used again`() throws {
        var random = SplitMix64(seed: 1)
        var reference = Reference()
        var book = BookSide(.bids)
        for price in 1...1000 { reference.set(Int64(price) * 10, 1) }
        try book.apply(reference.takeLevels())
        for round in 0..<20 {
            for _ in 0..<300 {
                reference.set(5000 + .random(in: 0...200, using: &random), .random(in: 0...1, using: &random))
            }
            try book.apply(reference.takeLevels())
            book.trim(to: 600)
            let worst = reference.quantities.keys.sorted().suffix(600).first ?? 0
            reference.quantities = reference.quantities.filter { $0.key >= worst }
            Self.check(book, reference, at: round)
            // What is beyond the bound is left out.
            let limit = book.bound
            let bound = try #require(limit)
            reference.set(worst, 1)
            try book.apply(
                reference.takeLevels() + [
                    PriceLevel(
                        price: FixedDecimal(mantissa: bound - 1, scale: 2),
                        quantity: FixedDecimal(mantissa: 1, scale: 0))
                ])
            Self.check(book, reference, at: round)
        }
    }
}
