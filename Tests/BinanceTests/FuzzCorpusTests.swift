import FoundationEssentials
import FuzzChecks
import Testing

/// The inputs that fuzzing kept, replayed without a fuzzer, whole and damaged.
struct FuzzCorpusTests {
    private static let corpus = "\(#filePath)".replacing(
        "BinanceTests/FuzzCorpusTests.swift", with: "Fuzz/corpus")

    /// The readable frames, and what fuzzing found, in base64.
    private static func inputs(_ target: String) throws -> [[UInt8]] {
        let folder = "\(corpus)/\(target)"
        let readable = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
            .map { try Array(Data(contentsOf: URL(filePath: "\(folder)/\($0)"))) }
        let found = try String(contentsOf: URL(filePath: "\(folder).found"), encoding: .utf8)
        return readable
            + found.split(separator: "\n").compactMap { Data(base64Encoded: String($0)).map { Array($0) } }
    }

    @Test(arguments: ["wire", "rest"])
    func `parser and reference agree on every kept input, cut anywhere`(target: String) throws {
        let inputs = try Self.inputs(target)
        #expect(inputs.count >= 100)
        for input in inputs {
            for length in stride(from: input.count, through: 0, by: -1 - input.count / 20) {
                try unsafe Array(input[..<length]).withUnsafeBytes { bytes in
                    try unsafe target == "wire" ? FuzzCheck.wire(bytes) : FuzzCheck.rest(bytes)
                }
            }
        }
    }
}
