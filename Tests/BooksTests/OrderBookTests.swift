import Testing

@testable import Books

private func level(_ price: String, _ quantity: String) throws -> PriceLevel {
    try PriceLevel(price: FixedDecimal(price), quantity: FixedDecimal(quantity))
}

private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

struct OrderBookTests {
    @Test func `a book does what a plain dictionary does`() throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20 {
            var book = OrderBook()
            var reference: [Int64: Int64] = [:]
            let width = Int64.random(in: 5...3000, using: &random)
            for _ in 0..<2000 {
                var levels: [PriceLevel] = []
                for _ in 0..<Int.random(in: 0...8, using: &random) {
                    let price = Int64.random(in: 1...width, using: &random)
                    let quantity = Bool.random(using: &random) ? 0 : Int64.random(in: 1...99, using: &random)
                    reference[price] = quantity == 0 ? nil : quantity
                    levels.append(
                        PriceLevel(
                            price: FixedDecimal(mantissa: price, scale: 2),
                            quantity: FixedDecimal(mantissa: quantity, scale: 1)))
                }
                try book.apply(DepthEvent(last: 1, bids: levels, asks: levels), receivedTime: 0)
            }
            let ascending = reference.sorted { $0.key < $1.key }
            #expect(book.levels(.asks).map(\.priceMantissa) == ascending.map(\.key))
            #expect(book.levels(.asks).map(\.quantityMantissa) == ascending.map(\.value))
            #expect(book.levels(.bids).map(\.priceMantissa) == ascending.reversed().map(\.key))
            #expect(
                book.levels(.bids, limit: 3).map(\.quantityMantissa)
                    == ascending.reversed().prefix(3).map(\.value))
            #expect(book.bids.count == ascending.count)
        }
    }

    @Test(arguments: [
        "0.00001010", "92233720368.54775807", "1", "100.00000000", "0", "61737.63000000",
        "0.000000000000000001",
    ])
    func `a number is given back as it was sent`(number: String) throws {
        #expect(try FixedDecimal(number).description == number)
    }

    @Test(arguments: [
        "", ".", "1.", ".5", "-1", "1e5", "92233720368.54775808", "1.0000000000000000000", "1 ",
        "12345678901234567890",
    ])
    func `what is no number that fits is refused`(number: String) {
        #expect(throws: BookError.unreadableNumber(number)) { try FixedDecimal(number) }
    }

    @Test func `numbers are rendered exactly and without exponent`() throws {
        for (sent, compatible, canonical) in [
            ("100.00000000", "100.0", "100"), ("0.00001010", "0.0000101", "0.0000101"), ("72", "72.0", "72"),
            ("61800.20", "61800.2", "61800.2"), ("0.00000000", "0.0", "0"),
        ] {
            var bytes: [UInt8] = []
            try DecimalText.compatible.append(FixedDecimal(sent), to: &bytes)
            #expect(text(bytes) == compatible)
            bytes = []
            try DecimalText.canonical.append(FixedDecimal(sent), to: &bytes)
            #expect(text(bytes) == canonical)
        }
    }

    @Test func `any number is rendered as the plain division of its digits says`() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            // Numbers of every length, with every number of zeros at the end.
            let zeros = Int.random(in: 0...18, using: &random)
            let mantissa =
                Int64.random(in: 0...(.max / powerOfTen(zeros)), using: &random) * powerOfTen(zeros)
            let number = FixedDecimal(
                mantissa: Bool.random(using: &random)
                    ? mantissa : mantissa >> Int64.random(in: 0...62, using: &random),
                scale: UInt8.random(in: 0...18, using: &random))
            for style in [DecimalText.exact, .compatible, .canonical] {
                var bytes: [UInt8] = []
                style.append(number, to: &bytes)
                #expect(text(bytes) == Self.plain(number, style))
            }
        }
    }

    /// The text by way of strings.
    private static func plain(_ number: FixedDecimal, _ style: DecimalText) -> String {
        let scale = Int(number.scale)
        var digits = String(number.mantissa)
        if digits.count <= scale { digits = String(repeating: "0", count: scale + 1 - digits.count) + digits }
        let whole = String(digits.dropLast(scale))
        var decimals = String(digits.suffix(scale))
        if style != .exact { while decimals.hasSuffix("0") { decimals.removeLast() } }
        if style == .compatible, decimals.isEmpty { decimals = "0" }
        return decimals.isEmpty ? whole : "\(whole).\(decimals)"
    }

    @Test func `mixed scales are one price and keep the last sent form`() throws {
        var book = OrderBook()
        try book.apply(DepthEvent(bids: [level("1.5", "2"), level("1.25", "1")]), receivedTime: 0)
        try book.apply(DepthEvent(bids: [level("1.500", "3.0")]), receivedTime: 0)
        #expect(try book.levels(.bids) == [level("1.500", "3.0"), level("1.25", "1")])
        var huge = OrderBook()
        try huge.apply(DepthEvent(asks: [level("92233720368547758.07", "1")]), receivedTime: 0)
        #expect(throws: BookError.numberOutOfRange) {
            try huge.apply(DepthEvent(asks: [level("0.001", "1")]), receivedTime: 0)
        }
    }

    @Test func `levels of all lengths and scales are written beside each other as each was sent`() throws {
        var book = OrderBook()
        let sent = try [
            level("3", "0.10"), level("1.5", "2"), level("1.250", "1.0"),
            level("0.99", "92233720367.12345678"), level("0.5000", "9000000000000000000"),
        ]
        try book.apply(DepthEvent(bids: sent), receivedTime: 0)
        func rendered(_ style: DecimalText) -> String {
            var bytes: [UInt8] = []
            book.bids.appendJSON(LevelSelection(count: 5, isComplete: true), as: style, to: &bytes)
            return text(bytes)
        }
        #expect(
            rendered(.exact)
                == #"[["3","0.10"],["1.5","2"],["1.250","1.0"],["0.99","92233720367.12345678"],["0.5000","9000000000000000000"]]"#
        )
        #expect(
            rendered(.compatible)
                == "[[3.0,0.1],[1.5,2.0],[1.25,1.0],[0.99,92233720367.12345678],[0.5,9000000000000000000.0]]")
    }

    @Test func `a threshold excludes the level that crosses it and never the best one`() throws {
        var book = OrderBook()
        let snapshot = try BookSnapshot(
            lastID: 1, bids: [level("9", "1")],
            asks: [level("10.0", "1"), level("20.0", "1.5"), level("30.0", "1")])
        try book.load(snapshot, coverage: .limit(3), receivedTime: 0)
        func count(_ threshold: QuoteThreshold, _ limit: Int? = nil) -> LevelSelection {
            book.asks.select(limit: limit, threshold: threshold)
        }
        let forty = QuoteThreshold.volume(mantissa: 40, exponent: 0)
        #expect(count(forty) == LevelSelection(count: 2, isComplete: true))
        let less = QuoteThreshold.volume(mantissa: 39_999_999, exponent: -6)
        #expect(count(less) == LevelSelection(count: 1, isComplete: true))
        #expect(count(.volume(mantissa: 4, exponent: 1), 1) == LevelSelection(count: 1, isComplete: true))
        #expect(count(.volume(mantissa: 0, exponent: 0)) == LevelSelection(count: 1, isComplete: true))
        #expect(count(.bestOnly) == LevelSelection(count: 1, isComplete: true))
        #expect(count(.unlimited) == LevelSelection(count: 3, isComplete: false))
        #expect(count(.unlimited, -1) == LevelSelection(count: 2, isComplete: false))
        #expect(count(.volume(mantissa: 1, exponent: 400), 3) == LevelSelection(count: 3, isComplete: true))
        #expect(count(.unlimited, 0) == LevelSelection(count: 0, isComplete: true))
        #expect(count(.unlimited, 4) == LevelSelection(count: 3, isComplete: false))
        #expect(book.asks.coveredTo?.description == "30.0")
        var bytes: [UInt8] = []
        book.asks.appendJSON(count(forty), as: .compatible, to: &bytes)
        #expect(text(bytes) == "[[10.0,1.0],[20.0,1.5]]")
    }

    @Test func `a sum that overflows is above any threshold`() throws {
        var book = OrderBook()
        let most = "9223372036854775807"
        try book.apply(
            DepthEvent(asks: (Int64(0)..<5).map { try level("\(Int64.max - 4 + $0)", most) }), receivedTime: 0
        )
        let chosen = book.asks.select(limit: nil, threshold: .volume(mantissa: 1, exponent: 60))
        #expect(chosen.count == 2)
    }

    @Test func `a merge takes over what the copy knows, and keeps only what lies beyond it`() throws {
        var book = OrderBook()
        let bids = try (0..<6).map { try level("\(100 - $0)", "1") }
        try book.load(BookSnapshot(lastID: 1, bids: bids, asks: []), coverage: .whole, receivedTime: 0)
        var fresh = OrderBook()
        let known = try [level("100", "2"), level("98", "2")]
        try fresh.load(
            BookSnapshot(lastID: 1, bids: known, asks: []),
            coverage: .bounds(bidFloor: FixedDecimal("98"), askCeiling: nil), receivedTime: 0)
        #expect(book.merge(&fresh) == true)
        let levels = book.levels(.bids).map { "\($0.price) \($0.quantity)" }
        #expect(levels == ["100 2", "98 2", "97 1", "96 1", "95 1"])
    }

    @Test func `levels beyond the coverage are not stored and a trim moves the bound`() throws {
        var book = OrderBook()
        let bids = try (0..<10).map { try level("\(100 - $0)", "1") }
        try book.load(BookSnapshot(lastID: 1, bids: bids, asks: bids), coverage: .limit(100), receivedTime: 0)
        #expect(book.bids.coveredTo?.description == "91")
        try book.apply(DepthEvent(bids: [level("90", "1"), level("91.5", "1")]), receivedTime: 0)
        #expect(book.bids.count == 11)
        book.trim(to: 5)
        #expect(book.bids.coveredTo?.description == "96.0")
        #expect(book.bids.count == 5)
    }

    @Test func `a book whose prices span a power of ten keeps the best of them`() throws {
        var book = OrderBook()
        let asks = try (0..<1010).map { try level("\(99_500 + $0).0", "1") }
        let bids = try (0..<1010).map { try level("\(100_400 - $0).0", "1") }
        try book.load(
            BookSnapshot(lastID: 1, bids: bids, asks: asks), coverage: .limit(5000), receivedTime: 0)
        book.trim(to: 1000)
        #expect(book.levels(.asks).map(\.priceMantissa) == (0..<1000).map { (99_500 + $0) * 10 })
        #expect(book.levels(.bids).map(\.priceMantissa) == (0..<1000).map { (100_400 - $0) * 10 })
    }

    @Test(arguments: [
        (5, false), (6, true), (100, false), (999, true), (1000, false), (5000, false), (0, true),
    ])
    func `a side is whole only if the reply was short and not cut at a usual limit`(count: Int, isWhole: Bool)
    {
        #expect(SideCoverage.isWhole(levelCount: count, limit: 6000) == isWhole)
        #expect(SideCoverage.isWhole(levelCount: count, limit: count) == false)
    }

    @Test func `a thousand levels a side stay below 64 KiB`() throws {
        var book = OrderBook()
        let levels = try (1...1000).map { try level("\($0)", "1") }
        try book.load(
            BookSnapshot(lastID: 1, bids: levels, asks: levels), coverage: .limit(5001), receivedTime: 0)
        #expect(book.byteCount <= 64 * 1024)
    }
}
