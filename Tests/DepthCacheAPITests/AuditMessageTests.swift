import DepthCacheAPI
import TestSupport
import Testing

/// The payloads by which a gateway has books audited.
struct AuditMessageTests {
    private static let answers: [AuditAnswer] = [
        .compared(
            AuditReport(
                updateID: .max, durationMilliseconds: 812,
                asks: .init(matched: 950, drifted: 1, orphaned: 2, missed: 3, comparedTo: "0.00001010"),
                bids: .init(matched: .max), dump: "/data/dump-1.json")),
        .unavailable("Gap: the book is not in sync"), .notHere, .badRequest("expected ü"),
    ]

    @Test(arguments: answers) func `an answer survives the way and cut ones are refused`(
        _ answer: AuditAnswer
    ) throws {
        let bytes = answer.encoded()
        #expect(try AuditAnswer(decoding: bytes) == answer)
        for count in 0..<bytes.count {
            #expect(throws: LinkPayloadError.self) { try AuditAnswer(decoding: Array(bytes.prefix(count))) }
        }
        #expect(throws: LinkPayloadError.self) { try AuditAnswer(decoding: bytes + [0]) }
    }

    @Test func `a query survives the way and cut ones are refused`() throws {
        let query = MarketQuery(exchange: "binance.com", market: "币安人生USDT")
        let bytes = query.encoded()
        #expect(try MarketQuery(decoding: bytes) == query)
        for count in 0..<bytes.count {
            #expect(throws: LinkPayloadError.self) { try MarketQuery(decoding: Array(bytes.prefix(count))) }
        }
    }

    @Test func `damaged bytes never decode to something that encodes otherwise`() {
        var random = SplitMix64(seed: 5)
        let samples = Self.answers.map { $0.encoded() }
        for _ in 0..<20_000 {
            var bytes = samples[Int.random(in: 0..<samples.count, using: &random)]
            bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
            if let answer = try? AuditAnswer(decoding: bytes) { #expect(answer.encoded() == bytes) }
            if let query = try? MarketQuery(decoding: bytes) { #expect(query.encoded() == bytes) }
        }
    }
}
