import FoundationEssentials
import FuzzChecks
import Testing

/// The inputs that fuzzing kept, replayed without a fuzzer, whole and damaged.
struct FuzzCorpusTests {
    private static let corpus = "\(#filePath)".replacing(
        "BinanceTests/FuzzCorpusTests.swift", with: "Fuzz/corpus")

    private static func inputs(_ target: String) throws -> [[UInt8]] {
        try FileManager.default.contentsOfDirectory(atPath: "\(corpus)/\(target)").sorted()
            .map { try Array(Data(contentsOf: URL(filePath: "\(corpus)/\(target)/\($0)"))) }
    }

    @Test(arguments: ["wire", "rest"])
    func `parser and reference agree on every kept input, cut anywhere`(target: String) throws {
        let inputs = try Self.inputs(target)
        #expect(inputs.count >= 10)
        for input in inputs {
            for length in stride(from: input.count, through: 0, by: -1 - input.count / 50) {
                try unsafe Array(input[..<length]).withUnsafeBytes { bytes in
                    try unsafe target == "wire" ? FuzzCheck.wire(bytes) : FuzzCheck.rest(bytes)
                }
            }
        }
    }
}
