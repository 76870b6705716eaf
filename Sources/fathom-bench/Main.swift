import Arguments
import FoundationEssentials
import Glibc

@main enum Main {
    private static let specification = CommandSpecification(
        name: "fathom-bench", summary: "Measure what Fathom costs.",
        discussion: "Benchmarks: book, wire (feed, query and plan are not available in this release).",
        flags: [
            .toggle("json", help: "Print one JSON object."),
            .value("recording", "DIR", help: "The recorded spot market to use instead of the BTCUSDT one."),
            .value("passes", "N", default: "7", help: "How often to measure; the best pass counts."),
        ],
        positionals: ["book|wire|feed|query|plan"])

    static func main() {
        do {
            try run()
        } catch {
            write("fathom-bench: \(error)\n", to: 2)
            exit(2)
        }
    }

    private static func run() throws {
        let environment = ProcessInfo.processInfo.environment
        let arguments = try ParsedArguments(
            Array(CommandLine.arguments.dropFirst()), for: specification, environment: environment)
        if arguments.asksForHelp { return write(specification.help, to: 1) }
        let name = arguments.positionals.first ?? ""
        guard ["book", "wire"].contains(name) else {
            let isPlanned = ["feed", "query", "plan"].contains(name)
            throw ArgumentError(
                isPlanned
                    ? "the benchmark '\(name)' is not available in this release"
                    : "expected book, wire, feed, query or plan, was '\(name)'")
        }
        let folder = arguments.string("recording") ?? RecordedFrames.defaultFolder(environment)
        let passes = try arguments.integer("passes", in: 1...1000) ?? 7
        let frames = try RecordedFrames(folder: folder)
        let figures =
            try name == "book"
            ? BookBenchmark.run(frames, passes: passes) : WireBenchmark.run(frames, passes: passes)
        write(arguments.has("json") ? json(figures) : table(figures), to: 1)
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
