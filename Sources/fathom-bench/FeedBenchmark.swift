import Arguments
import CCoreAffinity
import Glibc
import Worker

/// One worker's data path on one core, fed over TLS by the simulator on another.
struct FeedBenchmark {
    var program: String
    var bookCounts: [Int]
    var seconds: Double
    /// Events per second that must be kept up with; 0: only the full speed is measured.
    var rate: Double
    var levels = 20
    var depth = 500
    /// The core of the worker and that of the simulator.
    var cores: (worker: Int, simulator: Int)?
    var isProfiling = false
    /// Whether the process stops itself when its books are deep, until somebody lets it go on.
    var isPaused = false

    /// What one stretch at full or given pace gave.
    struct Stretch {
        var events = 0.0
        var bytes = 0.0
        var seconds = 0.0
        /// Time that this process had a core.
        var busySeconds = 0.0
        /// What the machine's host has taken of the worker's core; nil where that is not known.
        var stolenSeconds: Double?

        /// How busy the core was, and why it may have been no busier.
        func core(_ prefix: String) -> Figures {
            let busy = (prefix + "core_percent", busySeconds / seconds * 100)
            return [busy] + (stolenSeconds.map { [(prefix + "stolen_percent", $0 / seconds * 100)] } ?? [])
        }
    }

    func run(_ say: (String) -> Void) async throws -> Figures {
        if let cores, ccoreaffinity_stay_on(Int32(cores.worker)) != 0 {
            throw ArgumentError("--cores: cannot run on \(cores.worker)")
        }
        var figures: Figures = [("levels_per_event", Double(levels))]
        for count in bookCounts {
            let source = try BurstSource(
                program: program, core: cores?.simulator, books: count, levels: levels, depth: depth)
            defer { source.stop() }
            let markets = try await source.tell("rate=\(count)").ids.keys.sorted()
            let feed = try MeasuredFeed(
                exchange: "binance.com", overridesYAML: source.exchangesFile, markets: markets, depth: depth)
            defer { feed.stop() }
            // Before, snapshots would be measured along with events, and prices could walk out of the first shallow ones.
            try await Self.until("all books are as deep as asked for", 120) { feed.deepCount == count }
            if isPaused {
                say("\(count) books are deep")
                kill(getpid(), SIGSTOP)
            }
            for records in ["coalesced", "single"] {
                let prefix = "books_\(count)_\(records)_"
                try await source.tell("rate=0&records=\(records)")
                let profile = isProfiling ? FeedProfile.start(seconds: seconds) : nil
                let full = try await measure(feed)
                if let profile { figures += profile.figures(prefix: prefix) }
                figures += [
                    (prefix + "events_per_second", full.events / full.seconds),
                    (prefix + "nanoseconds_per_event", full.busySeconds / full.events * 1e9),
                    (prefix + "bytes_per_event", full.bytes / full.events),
                ]
                figures += full.core(prefix)
                if rate > 0 { figures += try await keepUp(feed, source, prefix) }
                figures.append((prefix + "resyncs", Double(feed.restartCount)))
            }
            say("\(count) books done")
        }
        return figures
    }

    /// Whether the feed keeps up with the pace: the sender is never far behind it, and at the end the books stand where
    /// the simulator does.
    private func keepUp(
        _ feed: MeasuredFeed, _ source: BurstSource, _ prefix: String
    ) async throws -> Figures {
        try await source.tell("rate=\(rate)")
        try await Task.sleep(for: .seconds(1))
        try await source.tell("rate=\(rate)")
        let paced = try await measure(feed)
        let behind = try await source.tell("sending=no").behind
        let stop = ContinuousClock.now
        let ids = try await source.tell("").ids
        try await Self.until("the books stand where the simulator does", 60) { feed.lastIDs == ids }
        let drained = (ContinuousClock.now - stop) / .milliseconds(1)
        try await source.tell("sending=yes&rate=\(feed.synchronizedCount)")
        return [
            (prefix + "paced_events_per_second", paced.events / paced.seconds)
        ] + paced.core(prefix + "paced_") + [
            (prefix + "paced_most_events_behind", Double(behind)),
            (prefix + "paced_drained_in_milliseconds", drained),
        ]
    }

    private func measure(_ feed: MeasuredFeed) async throws -> Stretch {
        let (start, busy) = (ContinuousClock.now, Self.busySeconds)
        let (frames, bytes, stolen) = (feed.frameCount, feed.byteCount, stolenSeconds)
        try await Task.sleep(for: .seconds(seconds))
        return Stretch(
            events: Double(feed.frameCount - frames), bytes: Double(feed.byteCount - bytes),
            seconds: (ContinuousClock.now - start) / .seconds(1), busySeconds: Self.busySeconds - busy,
            stolenSeconds: stolen.flatMap { before in stolenSeconds.map { $0 - before } })
    }

    private var stolenSeconds: Double? { cores.flatMap { StolenTime.seconds(core: $0.worker) } }

    private static var busySeconds: Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private static func until(
        _ what: String, _ seconds: Double, _ condition: () -> Bool
    ) async throws {
        let end = ContinuousClock.now + .seconds(seconds)
        while !condition() {
            guard ContinuousClock.now < end else { throw ArgumentError("not within \(seconds) s: \(what)") }
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}
