import FoundationEssentials
import Testing

/// Waits until a condition holds, with a deadline.
func eventually(within deadline: Duration = .seconds(20), _ condition: () -> Bool) async throws {
    let end = ContinuousClock.now + deadline
    while !condition() {
        try #require(ContinuousClock.now < end, "the condition did not come true in time")
        await Task.yield()
    }
}

/// A folder for a test's files.
struct TemporaryFolder {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "fathom-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        let file = path + "/" + name
        try Data(bytes).write(to: URL(filePath: file))
        return file
    }
}
