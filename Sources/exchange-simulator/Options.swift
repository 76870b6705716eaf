import Arguments

/// What the command line asks for.
struct Options: Sendable {
    var port = 0
    var clockOffset = 0
    var tlsDirectory: String?
    var recordings: [String] = []
    var engine = EngineSettings()
    var pingSeconds: Int?
    var lifetimeSeconds = 86_400
    var attemptLimit = 300
    var backlogLimit = 16 << 20
    var lifeline: Int32?
    var benchmarks = false
    var isBurst = false
    var core: Int?

    static let specification = CommandSpecification(
        name: "exchange-simulator",
        summary:
            "Plays the exchanges' market data: REST and WebSocket over TLS, with books that can be audited.",
        discussion: """
            Prints one JSON line {"event":"listening","port":N,"caFile":"..."} and runs until SIGTERM, SIGINT or the end of
            the lifeline. Every exchange is under /<exchange>/ with the real paths behind it. /truth?exchange=&symbol=[&id=][&limit=]
            gives the true book, /control?exchange=&symbol=&fault=&count=&duration=&delay=&form=&rank=&side= makes trouble,
            /status counts. Markets begin to move when somebody subscribes.
            """,
        flags: [
            .value("port", "N", default: "0", help: "Port on 127.0.0.1, 0 for any free one."),
            .value("symbols", "N", default: "50", help: "Synthetic symbols per exchange."),
            .value("quiet", "N", default: "0", help: "So many of the last symbols never change."),
            .value("rate", "R", default: "10", help: "Events per second and symbol."),
            .value("levels", "N", default: "20", help: "Levels that an event changes."),
            .value("depth", "N", default: "1100", help: "Levels per side that a book has at least."),
            .value(
                "span", "PERCENT", help: "How far from the price a book reaches, instead of 12 ticks a level."
            ),
            .value(
                "crowding", "E", default: "3",
                help: "1 spreads a book's orders evenly, more crowds them at the best prices."),
            .value("drift", "T", default: "0", help: "Ticks per second that prices drift, may be negative."),
            .value("seed", "S", default: "1", help: "Seed of all random numbers."),
            .value(
                "replay", "[EXCHANGE=]DIR", isRepeatable: true,
                help: "Plays a recording in place of the synthetic symbol of that name."),
            .value("pace", "X", default: "1", help: "Speed of recordings, 1 is as recorded."),
            .toggle("replay-loop", help: "Begins recordings anew after their end, with ids that go on."),
            .value("weight-limit", "N", help: "Request weight per minute instead of each exchange's own."),
            .value(
                "snapshot-cache", "SECONDS", default: "30",
                help:
                    "How old the options' snapshots may be; they change at once for a symbol after this time."
            ),
            .value(
                "lifetime", "SECONDS", default: "86400", help: "After this time a connection is closed."),
            .value("ping-interval", "SECONDS", help: "Seconds between pings instead of each exchange's own."),
            .value(
                "connection-attempts", "N", default: "300",
                help: "WebSocket attempts per exchange and five minutes."),
            .value(
                "backlog", "BYTES", default: "16777216", help: "Readers further behind than this are dropped."
            ),
            .value(
                "clock-offset", "SECONDS", .integer(-86_400...86_400), default: "0",
                help: "How far its clock is ahead of this machine's, may be negative."),
            .value("tls-dir", "DIR", help: "Where ca.pem is written; a new temporary folder otherwise."),
            .value("lifeline-fd", "N", help: "Ends when this file descriptor does."),
            .toggle(
                "burst",
                help:
                    "Only binance.com, its events written once and sent as /burst?rate=&records=&sending= says."
            ),
            .value("core", "N", help: "Runs on this core only."),
            .toggle("self-benchmark", help: "Measures events per second on one core and ends."),
        ])

    init(_ arguments: ParsedArguments) throws(ArgumentError) {
        port = try arguments.port("port") ?? 0
        tlsDirectory = arguments.string("tls-dir")
        clockOffset = arguments.integer("clock-offset") ?? 0
        recordings = arguments.strings("replay")
        engine.symbolCount = try arguments.integer("symbols", in: 0...9999) ?? 50
        engine.quietCount = try arguments.integer("quiet", in: 0...9999) ?? 0
        engine.ratePerSecond = try Self.number(arguments, "rate", 0...10_000)
        engine.changesPerEvent = try arguments.integer("levels", in: 1...5000) ?? 20
        engine.depth = try arguments.integer("depth", in: 10...20_000) ?? 1100
        engine.spread.percent =
            arguments.string("span") == nil ? nil : try Self.number(arguments, "span", 0.001...50)
        engine.spread.exponent = try Self.number(arguments, "crowding", 1...10)
        engine.driftPerSecond = try Self.number(arguments, "drift", -1_000_000...1_000_000)
        engine.seed = UInt64(try arguments.integer("seed", in: 0...Int.max) ?? 1)
        engine.pace = try Self.number(arguments, "pace", 0.001...10_000)
        engine.loopsReplays = arguments.has("replay-loop")
        engine.weightLimit = try arguments.integer("weight-limit", in: 1...1_000_000_000)
        engine.cacheSeconds = try arguments.integer("snapshot-cache", in: 0...60) ?? 30
        lifetimeSeconds = try arguments.integer("lifetime", in: 1...86_400) ?? 86_400
        pingSeconds = try arguments.integer("ping-interval", in: 1...86_400)
        attemptLimit = try arguments.integer("connection-attempts", in: 1...1_000_000_000) ?? 300
        backlogLimit = try arguments.integer("backlog", in: 1024...(1 << 40)) ?? 16 << 20
        lifeline = try arguments.integer("lifeline-fd", in: 0...65_535).map(Int32.init)
        isBurst = arguments.has("burst")
        core = try arguments.integer("core", in: 0...1023)
        benchmarks = arguments.has("self-benchmark")
    }

    init() {}

    private static func number(
        _ arguments: ParsedArguments, _ name: String, _ range: ClosedRange<Double>
    ) throws(ArgumentError) -> Double {
        let text = try arguments.required(name)
        guard let value = Double(text), range.contains(value) else {
            throw ArgumentError(
                "--\(name): expected a number from \(range.lowerBound) to \(range.upperBound), was '\(text)'")
        }
        return value
    }
}
