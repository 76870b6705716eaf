import Books
import Testing

@testable import Binance

/// Levels that have the form of the one before are read in a way of their own: it must give what the general way
/// gives, which a space behind a bracket forces.
struct LevelFormTests {
    private static func frame(_ levels: [String], isSpaced: Bool) -> [UInt8] {
        let list = levels.map { isSpaced ? "[ " + $0 + "]" : "[" + $0 + "]" }.joined(separator: ",")
        return Array(
            "{\"e\":\"depthUpdate\",\"U\":1,\"u\":2,\"a\":[],\"b\":[\(list)],\"end\":\"\(padding)\"}".utf8)
    }

    /// Enough bytes behind the last level that it is not read in the careful way of a frame's end.
    private static let padding = String(repeating: "x", count: 64)

    private static func bids(_ frame: [UInt8]) -> [PriceLevel]? {
        var event = DepthEvent()
        guard (try? DepthEventParser().parse(frame, into: &event)) != nil else { return nil }
        return event.bids
    }

    private static func digits(_ count: Int) -> String {
        String((0..<count).map { _ in Character(String(Int.random(in: 0...9))) })
    }

    private static func number(whole: Int, decimals: Int) -> String {
        let whole = String(Int.random(in: 1...9)) + digits(whole - 1)
        return decimals > 0 ? whole + "." + digits(decimals) : whole
    }

    @Test func `levels of one form and of many are read as they were sent`() throws {
        for _ in 0..<500 {
            var levels: [String] = []
            var expected: [PriceLevel] = []
            for _ in 0..<5 {
                let (whole, decimals) = (Int.random(in: 1...9), Int.random(in: 0...9))
                let quantityDecimals = Int.random(in: 0...9)
                for _ in 0..<Int.random(in: 1...12) {
                    let price = Self.number(whole: whole, decimals: decimals)
                    let quantity = Self.number(whole: .random(in: 1...9), decimals: quantityDecimals)
                    levels.append("\"\(price)\",\"\(quantity)\"")
                    expected.append(
                        PriceLevel(price: try FixedDecimal(price), quantity: try FixedDecimal(quantity)))
                }
            }
            #expect(Self.bids(Self.frame(levels, isSpaced: false)) == expected)
            #expect(Self.bids(Self.frame(levels, isSpaced: true)) == expected)
        }
    }

    @Test func `a damaged level is refused or read as the general way reads it`() {
        for (whole, decimals, quantityDecimals) in [(5, 8, 8), (8, 8, 8), (1, 1, 1), (5, 2, 3), (5, 1, 0)] {
            let good = (0..<3).map { _ in
                "\"\(Self.number(whole: whole, decimals: decimals))\","
                    + "\"\(Self.number(whole: 8, decimals: quantityDecimals))\""
            }
            let bytes = Array(good[1].utf8)
            for place in bytes.indices {
                for byte in UInt8(0x20)...0x7E {
                    var damaged = bytes
                    damaged[place] = byte
                    let levels = [good[0], String(decoding: damaged, as: UTF8.self), good[2]]
                    #expect(
                        Self.bids(Self.frame(levels, isSpaced: false))
                            == Self.bids(Self.frame(levels, isSpaced: true)), "\(levels)")
                }
            }
        }
    }

    @Test(arguments: ["0", "0.0", "00000.00"])
    func `a price of zero is refused whatever the form`(zero: String) {
        let level = "\"1.0\",\"2.0\""
        for first in [level, "\"10000.00\",\"1.0\"", "\"1\",\"2\""] {
            #expect(Self.bids(Self.frame([first, "\"\(zero)\",\"1.0\"", level], isSpaced: false)) == nil)
        }
    }

    @Test func `a list that ends anywhere near the end of the frame is read`() {
        let level = "[\"61737.63000000\",\"0.12000000\"]"
        for count in 1...4 {
            let list = Array(repeating: level, count: count).joined(separator: ",")
            for space in 0...50 {
                let tail = String(repeating: " ", count: space)
                let frame = "{\"e\":\"depthUpdate\",\"U\":1,\"u\":2,\"a\":[],\"b\":[\(list)]}\(tail)"
                #expect(Self.bids(Array(frame.utf8))?.count == count)
            }
        }
    }
}
