import DepthCacheAPI
import Testing

/// The payloads by which leader and workers share request weight.
struct WeightPayloadTests {
    static let grants = [
        WeightGrant(report: 0, holdMilliseconds: 0, workers: 0, pools: []),
        WeightGrant(
            report: .max, holdMilliseconds: 1000, workers: 7,
            pools: [
                WeightGrant.Pool(name: "binance.com", minute: 29_000_000, weight: 5100, limit: 6000),
                WeightGrant.Pool(name: "x", minute: 0, weight: 0, blockedUntil: 1 << 50, isBanned: true),
            ]),
    ]
    static let reports: [WeightReport] = {
        var pool = WeightReport.Pool(name: "binance.com-futures", time: 1_795_245_867_000)
        pool.minute = 29_920_764
        (pool.spent, pool.settled, pool.header, pool.granted, pool.share, pool.limit) = (1, 2, 3, 4, 5, 6)
        (pool.blockedUntil, pool.isBanned) = (7, true)
        pool.demands = [
            WeightReport.Demand(weight: 8, largest: 9, orders: 10), WeightReport.Demand(),
            WeightReport.Demand(weight: .init(UInt32.max), largest: 11, orders: 12),
        ]
        return [
            WeightReport(number: 0, pools: []),
            WeightReport(number: .max, pools: [pool, WeightReport.Pool(name: "", time: 0)]),
        ]
    }()

    @Test(arguments: grants) func `a grant survives the way to a worker, and is refused in any other length`(
        _ grant: WeightGrant
    ) throws {
        let bytes = grant.encoded()
        #expect(try WeightGrant(decoding: bytes) == grant)
        for count in 0..<bytes.count {
            #expect(throws: LinkPayloadError.self) { try WeightGrant(decoding: Array(bytes.prefix(count))) }
        }
        #expect(throws: LinkPayloadError.self) { try WeightGrant(decoding: bytes + [0]) }
    }

    @Test(arguments: reports) func `a report survives the way back, and is refused in any other length`(
        _ report: WeightReport
    ) throws {
        let bytes = report.encoded()
        #expect(try WeightReport(decoding: bytes) == report)
        for count in 0..<bytes.count {
            #expect(throws: LinkPayloadError.self) { try WeightReport(decoding: Array(bytes.prefix(count))) }
        }
        #expect(throws: LinkPayloadError.self) { try WeightReport(decoding: bytes + [0]) }
    }

    @Test func `damaged bytes never decode to something that encodes otherwise`() {
        for _ in 0..<3000 {
            var bytes = (Self.grants[1].encoded(), Self.reports[1].encoded())
            for _ in 0..<Int.random(in: 1...3) {
                bytes.0[Int.random(in: 0..<bytes.0.count)] = UInt8.random(in: 0...255)
                bytes.1[Int.random(in: 0..<bytes.1.count)] = UInt8.random(in: 0...255)
            }
            if let grant = try? WeightGrant(decoding: bytes.0) { #expect(grant.encoded() == bytes.0) }
            if let report = try? WeightReport(decoding: bytes.1) { #expect(report.encoded() == bytes.1) }
        }
    }

    @Test func `a grant counts while the report that it answers is young`() {
        var numbers = ReportNumbers()
        #expect(!numbers.mayTakeGrant(for: 0, now: .zero))
        let first = numbers.next(now: .seconds(10))
        let second = numbers.next(now: .seconds(11))
        #expect((first, second) == (1, 2))
        #expect(numbers.mayTakeGrant(for: 1, now: .seconds(12)))
        #expect(!numbers.mayTakeGrant(for: 1, now: .milliseconds(12_001)))
        #expect(numbers.mayTakeGrant(for: 2, now: .milliseconds(12_001)))
        #expect(!numbers.mayTakeGrant(for: 3, now: .seconds(12)))
    }
}
