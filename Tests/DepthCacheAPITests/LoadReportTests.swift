import DepthCacheAPI
import Testing

struct LoadReportTests {
    @Test(arguments: [LoadReport(rates: [:]), LoadReport(rates: ["btc-1": 9.875, "a": 0, "ß": 4_000_000])])
    func `a load report survives the way to the controller, and is refused in any other length`(
        _ report: LoadReport
    ) throws {
        let bytes = report.encoded()
        #expect(try LoadReport(decoding: bytes) == report)
        for count in 0..<bytes.count {
            #expect(throws: LinkPayloadError.self) { try LoadReport(decoding: Array(bytes.prefix(count))) }
        }
        #expect(throws: LinkPayloadError.self) { try LoadReport(decoding: bytes + [0]) }
    }

    @Test func `a count that cannot be is refused before anything is read`() {
        #expect(throws: LinkPayloadError.self) { try LoadReport(decoding: [1, 255, 255, 255, 255]) }
    }
}
