import Arguments
import Binance
import FoundationEssentials
import Glibc
import Worker

/// `fathom record`: writes an exchange's feed down as it comes.
enum RecordCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom record",
        summary: "Record the feed and the snapshots of markets, for fathom replay and the simulator.",
        discussion: """
            Ends with Ctrl-C or after --duration. Each recording is a folder with events.jsonl (frames as they came, with the
            time of their arrival) and snapshot.json; after a lost connection, and with --snapshot-every, further snapshots
            are in snapshot-2.json and so on. Progress is shown on standard error.
            """,
        flags: [
            .value("exchange", "NAME", help: "The exchange, such as binance.com."),
            .value(
                "market", "NAME", isRepeatable: true, help: "A market to record."),
            .value(
                "out", "DIR", help: "The folder to write; with several markets, one folder in it for each."),
            .value("duration", "S", help: "How many seconds to record; otherwise until Ctrl-C."),
            .value("interval", "MS", help: "The feed speed in milliseconds; otherwise the fastest."),
            .value("snapshot-limit", "N", default: "1000", help: "How many levels a side a snapshot has."),
            .value("snapshot-every", "S", help: "Take a further snapshot every so many seconds."),
        ] + SharedFlags.exchanges + SharedFlags.logging)

    /// With --duration too, what was recorded until then is whole.
    static func endsWhenTold(_ arguments: ParsedArguments) -> Bool { true }

    static func run(_ arguments: ParsedArguments) async throws {
        configureLog(arguments)
        try await runRecording(configuration(arguments))
    }

    static func configuration(_ arguments: ParsedArguments) throws -> RecordingConfiguration {
        let name = try arguments.required("exchange")
        let directory = try exchangeDirectory(arguments.string("exchanges"))
        guard let exchange = directory[name: name] else {
            throw ArgumentError(
                "--exchange: expected one of \(directory.names.joined(separator: ", ")), was '\(name)'")
        }
        let markets = arguments.strings("market")
        guard !markets.isEmpty else { throw ArgumentError("--market: expected at least one market") }
        guard markets.count <= exchange.streamsPerConnection else {
            throw ArgumentError(
                "--market: \(name) takes at most \(exchange.streamsPerConnection) on one connection")
        }
        guard Set(markets.map(Exchange.canonicalMarket)).count == markets.count,
            markets.allSatisfy({ !$0.isEmpty && !$0.hasPrefix(".") && !$0.contains("/") })
        else { throw ArgumentError("--market: expected different names of markets") }

        let interval = try arguments.integer("interval", in: 1...60_000)
        if let interval, !exchange.updateIntervals.contains(interval) {
            let offered = exchange.updateIntervals.map(String.init).joined(separator: ", ")
            throw ArgumentError("--interval: \(name) offers \(offered), was \(interval)")
        }
        let limit = try arguments.integer("snapshot-limit", in: 1...5000) ?? 1000
        guard exchange.snapshotLimits.contains(where: { $0.levels == limit }) else {
            let offered = exchange.snapshotLimits.map { "\($0.levels)" }.joined(separator: ", ")
            throw ArgumentError("--snapshot-limit: \(name) offers \(offered), was \(limit)")
        }
        return RecordingConfiguration(
            exchange: exchange, markets: markets, directory: try arguments.required("out"),
            duration: try arguments.integer("duration", in: 1...31_536_000).map { .seconds($0) },
            intervalMilliseconds: interval, snapshotLimit: limit,
            snapshotInterval: try arguments.integer("snapshot-every", in: 1...86_400).map { .seconds($0) },
            onProgress: show)
    }

    private static func show(_ line: String) {
        let bytes = Array("fathom record: \(line)\n".utf8)
        unsafe bytes.withUnsafeBytes { _ = unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
