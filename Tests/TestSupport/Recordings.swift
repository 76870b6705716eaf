import FoundationEssentials
import Glibc

/// Recorded exchange data: `$FATHOM_RECORDINGS`, else `Tests/Fixtures/recordings` of the repository.
package enum Recordings {
    /// The folder, if there is one.
    package static var folder: String? {
        let given = unsafe getenv("FATHOM_RECORDINGS").map { unsafe String(cString: $0) }
        let candidates = [given, Repository.root + "/Tests/Fixtures/recordings"]
        return candidates.compactMap { $0 }.first { FileManager.default.fileExists(atPath: $0) }
    }
}

/// Where the sources and the built programs are.
package enum Repository {
    package static var root: String {
        #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
    }

    /// The path of a built program: beside the running test bundle.
    package static func program(_ name: String) -> String {
        let own = readOwnPath()
        let folder = own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
            separator: "/")
        let beside = folder + "/" + name
        return FileManager.default.fileExists(atPath: beside) ? beside : root + "/.build/debug/" + name
    }

    private static func readOwnPath() -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = unsafe readlink("/proc/self/exe", &buffer, buffer.count - 1)
        return count > 0
            ? String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) : ""
    }
}
