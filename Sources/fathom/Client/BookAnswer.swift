import Books
import K8sClient

/// One side of a book as a gateway answered it: the numbers exactly as they came.
struct SideAnswer: Equatable, Sendable {
    struct Level: Equatable, Sendable {
        var price: String
        var quantity: String
    }

    var levels: [Level]
    var updateID: Int64?
    /// Milliseconds since 1970.
    var receivedTime: Int64?
    var coveredLevels: Int?
    /// Whether the whole side is known.
    var isWhole: Bool

    /// Asks a gateway; throws its refusal.
    static func ask(
        _ gateway: GatewayAccess, _ side: String, exchange: String, market: String, limit: Int
    ) async throws -> SideAnswer {
        let body = try await gateway.body(
            "/get_\(side)", ["exchange": exchange, "market": market, "limit_count": String(limit)])
        return try SideAnswer(body, side)
    }

    init(_ body: [UInt8], _ side: String) throws {
        let answer = try JSONValue(parsing: body)
        guard answer["result"] == "OK" else {
            throw GatewayAccess.Refusal(
                id: answer["error_id"]?.text ?? "no id", message: answer["message"]?.text ?? "no reason given"
            )
        }
        levels = Self.levels(body, side)
        updateID = answer["update_id"]?.number
        receivedTime = answer["received_time"]?.number
        coveredLevels = answer["covered_levels"]?.number.map { Int($0) }
        isWhole = answer["covered_to"]?.isNull ?? false
    }

    /// The pairs of `"asks":[[price,quantity],…]`, which a general parser would round to binary fractions.
    private static func levels(_ body: [UInt8], _ side: String) -> [Level] {
        let text = String(decoding: body, as: UTF8.self)
        guard let start = text.firstRange(of: "\"\(side)\":[")?.upperBound,
            let end = text[start...].firstRange(of: "]]")?.lowerBound
        else { return [] }
        return text[start..<end].split(separator: "]").compactMap { pair in
            let numbers = pair.drop { $0 == "," || $0 == "[" || $0 == " " }.split(separator: ",").map {
                number in
                String(number.filter { $0 != " " })
            }
            return numbers.count == 2 ? Level(price: numbers[0], quantity: numbers[1]) : nil
        }
    }
}

/// Both sides, asked for at the same time.
struct BookAnswer: Equatable, Sendable {
    var exchange: String
    var market: String
    var asks: SideAnswer
    var bids: SideAnswer

    static func ask(
        _ gateway: GatewayAccess, exchange: String, market: String, limit: Int
    ) async throws -> BookAnswer {
        async let asks = SideAnswer.ask(gateway, "asks", exchange: exchange, market: market, limit: limit)
        async let bids = SideAnswer.ask(gateway, "bids", exchange: exchange, market: market, limit: limit)
        return BookAnswer(exchange: exchange, market: market, asks: try await asks, bids: try await bids)
    }

    /// Best ask less best bid, exactly; nil if a side is empty.
    var spread: String? {
        guard let ask = asks.levels.first, let bid = bids.levels.first else { return nil }
        return Self.difference(ask.price, bid.price)
    }

    /// In hundredths of a percent of the best bid.
    var spreadInBasisPoints: Double? {
        guard let spread = spread.flatMap({ Double($0) }),
            let bid = bids.levels.first.flatMap({ Double($0.price) }),
            bid > 0
        else { return nil }
        return spread / bid * 10_000
    }

    static func difference(_ left: String, _ right: String) -> String? {
        guard let left = try? FixedDecimal(left), let right = try? FixedDecimal(right) else { return nil }
        let scale = max(left.scale, right.scale)
        let sum =
            Int128(left.mantissa) * Int128(powerOfTen(Int(scale - left.scale)))
            - Int128(right.mantissa) * Int128(powerOfTen(Int(scale - right.scale)))
        guard let mantissa = Int64(exactly: sum.magnitude) else { return nil }
        return (sum < 0 ? "-" : "") + FixedDecimal(mantissa: mantissa, scale: scale).description
    }

    /// When the older of both sides was received, in milliseconds since 1970.
    var receivedTime: Int64? { [asks.receivedTime, bids.receivedTime].compactMap(\.self).min() }

    /// Seconds since then.
    func age(now: Double) -> Double? { receivedTime.map { max(0, now - Double($0) / 1000) } }

    /// How many levels of the shallower side are known for sure.
    var coverage: String {
        let bounded = [asks, bids].filter { !$0.isWhole }.compactMap(\.coveredLevels)
        return bounded.min().map(String.init) ?? "whole"
    }

    var json: JSONValue {
        func side(_ side: SideAnswer) -> JSONValue {
            [
                "levels": .array(side.levels.map { [.string($0.price), .string($0.quantity)] }),
                "update_id": side.updateID.map { .int($0) } ?? .null,
                "received_time": side.receivedTime.map { .int($0) } ?? .null,
                "covered_levels": side.coveredLevels.map { .int(Int64($0)) } ?? .null,
                "whole": .bool(side.isWhole),
            ]
        }
        return [
            "exchange": .string(exchange), "market": .string(market), "asks": side(asks), "bids": side(bids),
            "spread": spread.map { .string($0) } ?? .null,
        ]
    }
}

/// A book drawn as a ladder: asks above, bids below, the best ones in the middle.
enum Ladder {
    private static let longestBar = 30

    static func lines(_ book: BookAnswer, now: Double) -> [String] {
        let asks = book.asks.levels.count
        let all = aligned(book.asks.levels + book.bids.levels)
        let prices = all.map(\.price.count).max() ?? 0
        let quantities = all.map(\.quantity.count).max() ?? 0
        // Only the lengths of the bars are rounded.
        let most = all.compactMap { Double($0.quantity) }.max() ?? 0
        func line(_ side: String, _ level: SideAnswer.Level) -> String {
            let share = most > 0 ? (Double(level.quantity) ?? 0) / most : 0
            let bar = String(repeating: "#", count: Int((share * Double(longestBar)).rounded(.up)))
            return "\(side)  \(left(level.price, prices))  \(left(level.quantity, quantities))  \(bar)"
        }
        let age = book.age(now: now).map { Age.text(seconds: $0) } ?? "?"
        let points = book.spreadInBasisPoints.flatMap { rounded($0) }.map { " (\($0) bp)" } ?? ""
        return ["\(book.exchange) \(book.market)   age \(age)   coverage \(book.coverage) levels", ""]
            + all[..<asks].reversed().map { line("ask", $0) }
            + ["     spread \(book.spread ?? "-")\(points)"] + all[asks...].map { line("bid", $0) }
    }

    /// The same numbers with equally many decimals, so that points are below each other.
    private static func aligned(_ levels: [SideAnswer.Level]) -> [SideAnswer.Level] {
        func decimals(_ text: String) -> Int {
            text.firstIndex(of: ".").map { text.distance(from: $0, to: text.endIndex) - 1 } ?? 0
        }
        func filled(_ text: String, _ most: Int) -> String {
            let point = most > 0 && !text.contains(".") ? "." : ""
            return text + point + String(repeating: "0", count: most - decimals(text))
        }
        let prices = levels.map { decimals($0.price) }.max() ?? 0
        let quantities = levels.map { decimals($0.quantity) }.max() ?? 0
        return levels.map {
            SideAnswer.Level(price: filled($0.price, prices), quantity: filled($0.quantity, quantities))
        }
    }

    static func table(_ book: BookAnswer) -> TextTable {
        TextTable(
            titles: ["SIDE", "PRICE", "QUANTITY"],
            rows: book.asks.levels.reversed().map { ["ask", $0.price, $0.quantity] }
                + book.bids.levels.map { ["bid", $0.price, $0.quantity] })
    }

    /// Two decimals, for people; nil for what is too large to mean anything to them.
    static func rounded(_ number: Double) -> String? {
        guard let hundredths = Int(exactly: (number * 100).rounded()) else { return nil }
        let (whole, rest) = hundredths.magnitude.quotientAndRemainder(dividingBy: 100)
        return "\(hundredths < 0 ? "-" : "")\(whole).\(rest < 10 ? "0" : "")\(rest)"
    }

    private static func left(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: width - text.count) + text
    }
}
