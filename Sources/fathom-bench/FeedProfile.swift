import FoundationEssentials
import Glibc

/// Where the worker's core goes, from `perf` watching this process; nothing where there is no `perf`.
final class FeedProfile {
    private let process: pid_t
    private let file: String

    /// The parts of the way of a frame, by the object or the symbol that was running.
    private static let parts = ["kernel", "tls", "websocket", "parse", "apply", "worker", "other"]

    private init(process: pid_t, file: String) { (self.process, self.file) = (process, file) }

    static func start(seconds: Double) -> FeedProfile? {
        let file = FileManager.default.temporaryDirectory.path + "/fathom-bench-\(getpid()).perf"
        let words = [
            "/usr/bin/perf", "record", "-q", "-e", "cpu-clock", "-F", "2000", "-o", file, "-p", "\(getpid())",
            "--", "sleep", "\(seconds)",
        ]
        guard let process = spawn(words, output: "/dev/null") else { return nil }
        return FeedProfile(process: process, file: file)
    }

    private static func spawn(_ words: [String], output: String) -> pid_t? {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        unsafe posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        // Swift's threads block signals, and perf waits for one.
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var arguments = unsafe words.map { unsafe strdup($0) } + [nil]
        defer { unsafe arguments.forEach { unsafe free($0) } }
        var child = pid_t()
        guard unsafe posix_spawn(&child, words[0], &actions, &attributes, &arguments, environ) == 0 else {
            return nil
        }
        return child
    }

    /// The share of each part in percent; empty if `perf` could not watch.
    func figures(prefix: String) -> Figures {
        var status: Int32 = 0
        _ = unsafe waitpid(process, &status, 0)
        defer {
            _ = unsafe unlink(file)
            _ = unsafe unlink(file + ".txt")
        }
        let words = [
            "/usr/bin/perf", "report", "-i", file, "--stdio", "--no-children", "-F", "overhead,dso,symbol",
            "-t",
            "|", "-w", "0",
        ]
        guard status == 0, let report = Self.spawn(words, output: file + ".txt") else { return [] }
        _ = unsafe waitpid(report, &status, 0)
        guard let text = try? Data(contentsOf: URL(filePath: file + ".txt")) else { return [] }
        var shares = [Double](repeating: 0, count: Self.parts.count)
        var heaviest: [String] = []
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n") where !line.hasPrefix("#") {
            let cells = line.split(separator: "|").map { $0.drop { $0 == " " } }
            guard cells.count >= 3, let share = Double(cells[0].prefix { $0 != "%" }) else { continue }
            let part = Self.part(String(cells[1]), String(cells[2]))
            shares[part] += share
            if heaviest.count < 60 {
                heaviest.append("\(share) \(Self.parts[part]) \(cells[1]) \(cells[2].prefix(150))")
            }
        }
        if let path = ProcessInfo.processInfo.environment["FATHOM_BENCH_SYMBOLS"] {
            try? Data((heaviest.joined(separator: "\n") + "\n").utf8).write(
                to: URL(filePath: path + "." + prefix + "txt"))
        }
        return zip(Self.parts, shares).map { (prefix + "percent_" + $0, $1) }
    }

    private static func part(_ object: String, _ symbol: String) -> Int {
        func has(_ words: String...) -> Bool { words.contains { symbol.contains($0) } }
        if object.hasPrefix("[") || symbol.hasPrefix("[k]") { return 0 }
        if object.hasPrefix("libcrypto") || object.hasPrefix("libssl") || has("TLSClient") { return 1 }
        if object.hasPrefix("libwebsockets") || has("9WebSocket", "WebSocket.", "ByteChannel", "EventLoop") {
            return 2
        }
        if has("Binance.", "7Binance", "JSONCursor", "DepthEventParser", "DecimalScanner", "scanDigits") {
            return 3
        }
        if has("Books.", "5Books") { return 4 }
        if has("Worker.", "6Worker", "Telemetry") { return 5 }
        return 6
    }
}
