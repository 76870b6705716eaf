import Books
import DepthCacheAPI
import TestSupport
import Testing

/// The payloads by which a worker takes a book from another one.
struct BookCopyTests {
    private static func level(_ price: String, _ quantity: String) throws -> PriceLevel {
        PriceLevel(price: try FixedDecimal(price), quantity: try FixedDecimal(quantity))
    }

    private static func copy() throws -> BookCopy {
        BookCopy(
            incarnation: "0a1b", venue: "binance.com", market: "币安人生USDT",
            snapshot: BookSnapshot(
                lastID: .max, eventTime: 1_700_000_000_123,
                bids: [try level("0.00001010", "5.10"), try level("0.0000101", "7").below()],
                asks: [try level("0.00001011", "1"), try level("1", "9223372036854775807")]),
            bidFloor: try FixedDecimal("0.00001000"), askCeiling: nil)
    }

    private static func answers() throws -> [BookCopyAnswer] {
        var empty = try copy()
        empty.snapshot = BookSnapshot(lastID: 0, eventTime: nil)
        empty.bidFloor = nil
        return [.copy(try copy()), .copy(empty)]
            + BookCopyRefusal.Code.allCases.map {
                .refused(BookCopyRefusal($0, isComing: $0 == .tooOld, id: -1, reason: "Gap at ü"))
            }
    }

    @Test func `a request and every answer survive the way`() throws {
        let request = BookCopyRequest(
            venue: "binance.com", market: "BTCUSDT", leastID: .min, leastLevels: .max)
        #expect(try BookCopyRequest(decoding: request.encoded()) == request)
        for answer in try Self.answers() {
            #expect(try BookCopyAnswer(decoding: answer.encoded()) == answer)
        }
    }

    @Test func `what is cut short or too long is refused`() throws {
        let request = BookCopyRequest(venue: "binance.com", market: "BTCUSDT").encoded()
        for count in 0..<request.count {
            #expect(throws: LinkPayloadError.self) {
                try BookCopyRequest(decoding: Array(request.prefix(count)))
            }
        }
        #expect(throws: LinkPayloadError.self) { try BookCopyRequest(decoding: request + [0]) }
        for bytes in try Self.answers().map({ $0.encoded() }) {
            for count in 0..<bytes.count {
                #expect(throws: LinkPayloadError.self) {
                    try BookCopyAnswer(decoding: Array(bytes.prefix(count)))
                }
            }
            #expect(throws: LinkPayloadError.self) { try BookCopyAnswer(decoding: bytes + [0]) }
        }
    }

    @Test func `a copy that no book can have is refused`() throws {
        func refused(_ change: (inout BookCopy) throws -> Void) throws -> Bool {
            var copy = try Self.copy()
            try change(&copy)
            do {
                _ = try BookCopyAnswer(decoding: BookCopyAnswer.copy(copy).encoded())
                return false
            } catch { return true }
        }
        #expect(try !refused { _ in })
        #expect(try refused { $0.snapshot.bids.reverse() })
        #expect(try refused { $0.snapshot.asks.reverse() })
        #expect(try refused { $0.snapshot.asks.append($0.snapshot.asks[1]) })
        #expect(try refused { $0.snapshot.asks[0] = try Self.level("0.00001011", "0") })
        #expect(try refused { $0.snapshot.asks[0].priceMantissa = -1 })
        #expect(try refused { $0.snapshot.asks[0].quantityScale = 19 })
        #expect(try refused { $0.bidFloor = try FixedDecimal("0.00001010") })
        #expect(try refused { $0.askCeiling = try FixedDecimal("0.99") })
        #expect(try refused { $0.snapshot.lastID = -1 })
    }

    @Test func `a count of levels that the bytes cannot hold is refused before room is made for it`() throws {
        var copy = try Self.copy()
        copy.snapshot.asks = []
        var bytes = BookCopyAnswer.copy(copy).encoded()
        bytes.replaceSubrange((bytes.count - 4)..., with: [0xFF, 0xFF, 0xFF, 0xFF])
        #expect(throws: LinkPayloadError("expected 4294967295 levels, was 0 bytes")) {
            try BookCopyAnswer(decoding: bytes)
        }
    }

    @Test func `five thousand levels a side fit the link with room to spare`() throws {
        var copy = try Self.copy()
        copy.snapshot.bids = (1...5000).reversed().map {
            PriceLevel(
                price: FixedDecimal(mantissa: $0 * 100_000, scale: 8),
                quantity: FixedDecimal(mantissa: $0, scale: 8))
        }
        copy.snapshot.asks = copy.snapshot.bids.reversed()
        copy.bidFloor = nil
        let bytes = BookCopyAnswer.copy(copy).encoded()
        #expect(bytes.count < 200_000)
        #expect(try BookCopyAnswer(decoding: bytes) == .copy(copy))
    }

    @Test func `levels that do not fit move the bound inwards`() throws {
        var copy = try Self.copy()
        copy.snapshot.asks = (1...Int64(BookCopy.mostLevels + 1)).map {
            PriceLevel(
                price: FixedDecimal(mantissa: $0, scale: 2), quantity: FixedDecimal(mantissa: 1, scale: 0))
        }
        let bytes = BookCopyAnswer.copy(copy).encoded()
        #expect(bytes.count < 8 << 20)
        guard case .copy(let read) = try BookCopyAnswer(decoding: bytes) else {
            Issue.record("expected a copy")
            return
        }
        #expect(read.snapshot.asks.count == BookCopy.mostLevels)
        #expect(read.askCeiling == FixedDecimal(mantissa: Int64(BookCopy.mostLevels), scale: 2))
    }

    @Test func `damaged bytes never decode to something that encodes otherwise`() throws {
        var random = SplitMix64(seed: 3)
        let samples = try Self.answers().map { $0.encoded() }
        for _ in 0..<20_000 {
            var bytes = samples[Int.random(in: 0..<samples.count, using: &random)]
            for _ in 0...Int.random(in: 0...3, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            if let answer = try? BookCopyAnswer(decoding: bytes) { #expect(answer.encoded() == bytes) }
            if let request = try? BookCopyRequest(decoding: bytes) { #expect(request.encoded() == bytes) }
        }
    }
}

extension PriceLevel {
    /// The same level a little farther down, at another scale.
    fileprivate func below() -> PriceLevel {
        PriceLevel(
            price: FixedDecimal(mantissa: priceMantissa * 100 - 1, scale: priceScale + 2), quantity: quantity)
    }
}
