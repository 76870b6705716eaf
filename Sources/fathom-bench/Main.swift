import Arguments
import FoundationEssentials
import Glibc

@main enum Main {
    private static let specification = CommandSpecification(
        name: "fathom-bench", summary: "Measure what Fathom costs.",
        discussion: """
            Benchmarks: book, wire, feed, query, plan. feed needs exchange-simulator beside this program and two cores.
            query asks a running server at a fixed rate and measures from when each question was due.
            """,
        flags: [
            .toggle("json", help: "Print one JSON object."),
            .value("recording", "DIR", help: "The recorded spot market to use instead of the BTCUSDT one."),
            .value("passes", "N", default: "7", help: "How often to measure; the best pass counts."),
            .value(
                "books", "N,N", default: "10,100,500,2000", help: "feed: numbers of books to measure with."),
            .value("seconds", "S", default: "5", help: "feed, query: length of each measurement."),
            .value(
                "rate", "R",
                help: "feed: events per second to keep up with (130000); query: questions (1000)."),
            .value("cores", "W,S", help: "feed: the cores of the worker and of the simulator."),
            .value("simulator", "FILE", help: "feed: the exchange-simulator, if it is elsewhere."),
            .value("replicas", "N", default: "100000", help: "plan: copies to place."),
            .value("workers", "N", default: "1000", help: "plan: workers to place them on."),
            .value("address", "HOST:PORT", default: "127.0.0.1:42081", help: "query: who is asked."),
            .value("targets", "FILE", help: "query: the paths to ask for in turn, one a line."),
            .value("connections", "N", default: "64", help: "query: how many are opened at most."),
            .value(
                "expect", "TEXT", default: "\"result\":\"OK\"", help: "query: what good answers have in them."
            ),
            .value("record", "FILE", help: "query: a file or pipe for answers, as target, tab, body."),
            .value("record-every", "N", default: "1", help: "query: which answers are recorded."),
            .toggle("profile", help: "feed: say where the core goes, by perf."),
            .toggle("pause", help: "feed: stop when the books are deep, until SIGCONT comes."),
        ],
        positionals: ["book|wire|feed|query|plan"])

    static func main() async {
        do {
            try await run()
        } catch {
            write("fathom-bench: \(error)\n", to: 2)
            exit(2)
        }
    }

    private static func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        let arguments = try ParsedArguments(
            Array(CommandLine.arguments.dropFirst()), for: specification, environment: environment)
        if arguments.asksForHelp { return write(specification.help, to: 1) }
        let name = arguments.positionals.first ?? ""
        if name == "feed" {
            let figures = try await feed(arguments).run { write("\($0)\n", to: 2) }
            return write(arguments.has("json") ? json(figures) : table(figures), to: 1)
        }
        if name == "query" {
            let figures = try query(arguments).run()
            return write(arguments.has("json") ? json(figures) : table(figures), to: 1)
        }
        if name == "plan" {
            let figures = try PlanBenchmark.run(
                replicas: try arguments.integer("replicas", in: 2...1_000_000) ?? 100_000,
                workers: try arguments.integer("workers", in: 2...10_000) ?? 1000,
                passes: try arguments.integer("passes", in: 1...1000) ?? 7)
            return write(arguments.has("json") ? json(figures) : table(figures), to: 1)
        }
        guard ["book", "wire"].contains(name) else {
            throw ArgumentError("expected book, wire, feed, query or plan, was '\(name)'")
        }
        let folder = arguments.string("recording") ?? RecordedFrames.defaultFolder(environment)
        let passes = try arguments.integer("passes", in: 1...1000) ?? 7
        let frames = try RecordedFrames(folder: folder)
        let figures =
            try name == "book"
            ? BookBenchmark.run(frames, passes: passes) : WireBenchmark.run(frames, passes: passes)
        write(arguments.has("json") ? json(figures) : table(figures), to: 1)
    }

    private static func feed(_ arguments: ParsedArguments) throws -> FeedBenchmark {
        func numbers(_ name: String) throws(ArgumentError) -> [Int] {
            try (arguments.string(name) ?? "").split(separator: ",").map { word throws(ArgumentError) in
                guard let number = Int(word), number >= 0, number <= 5000 else {
                    throw ArgumentError("--\(name): expected whole numbers with commas, was '\(word)'")
                }
                return number
            }
        }
        let cores = try numbers("cores")
        let own = CommandLine.arguments.first.map { URL(filePath: $0) } ?? URL(filePath: ".")
        let beside =
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")).map {
                URL(filePath: $0)
            } ?? own
        let seconds = try arguments.integer("seconds", in: 1...3600) ?? 5
        let rate = try arguments.integer("rate", in: 0...100_000_000) ?? 130_000
        return FeedBenchmark(
            program: arguments.string("simulator")
                ?? beside.deletingLastPathComponent().path + "/exchange-simulator",
            bookCounts: try numbers("books"), seconds: Double(seconds), rate: Double(rate),
            cores: cores.count == 2 ? (cores[0], cores[1]) : nil, isProfiling: arguments.has("profile"),
            isPaused: arguments.has("pause"))
    }

    private static func query(_ arguments: ParsedArguments) throws -> QueryBenchmark {
        let address = (arguments.string("address") ?? "").split(separator: ":").map(String.init)
        guard address.count == 2, let port = Int(address[1]), (1...65_535).contains(port) else {
            throw ArgumentError("--address: expected an IPv4 address and a port, as 127.0.0.1:42081")
        }
        let text = try String(contentsOf: URL(filePath: try arguments.required("targets")), encoding: .utf8)
        let rate = try arguments.integer("rate", in: 1...1_000_000) ?? 1000
        let seconds = try arguments.integer("seconds", in: 1...1_000_000) ?? 5
        var benchmark = QueryBenchmark(
            host: address[0], port: port, targets: text.split(whereSeparator: \.isNewline).map(String.init),
            rate: Double(rate), seconds: Double(seconds),
            mostConnections: try arguments.integer("connections", in: 1...50_000) ?? 64,
            expected: arguments.string("expect") ?? "")
        if let file = arguments.string("record") {
            benchmark.record = unsafe open(file, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC, 0o644)
            guard benchmark.record >= 0 else { throw ArgumentError("--record: cannot write \(file)") }
            benchmark.recordEvery = try arguments.integer("record-every", in: 1...1_000_000) ?? 1
        }
        return benchmark
    }

    private static func json(_ figures: Figures) -> String {
        "{" + figures.map { "\"\($0.name)\":\(rounded($0.value))" }.joined(separator: ",") + "}\n"
    }

    private static func table(_ figures: Figures) -> String {
        figures.map { "\($0.name): \(rounded($0.value))\n" }.joined()
    }

    private static func rounded(_ value: Double) -> String {
        value == value.rounded() ? String(Int64(value)) : String((value * 1000).rounded() / 1000)
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            guard written > 0 else { return }
            bytes = bytes.dropFirst(written)
        }
    }
}
