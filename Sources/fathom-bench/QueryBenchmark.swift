import Arguments
import CPrecisePoll
import Glibc

/// Asks an HTTP server at a fixed rate, whatever the answers do, and measures from when each question was due.
///
/// A question that finds no free connection opens one, so that silent answers hold up no others; at most so many
/// connections are opened, and then questions wait, which counts as latency.
struct QueryBenchmark {
    var host: String
    var port: Int
    /// Paths with their queries, asked in turn.
    var targets: [String]
    var rate: Double
    var seconds: Double
    var mostConnections = 64
    /// What a good answer of status 200 has in its body.
    var expected: String
    /// Where each `recordEvery`-th answer is written, as target, tab and body; -1 is nowhere.
    var record: Int32 = -1
    var recordEvery = 1

    /// A question without an answer for so long has failed.
    private static let patience: UInt64 = 10_000_000_000
    private static let quietest: UInt64 = 1_000_000_000

    func run() throws -> Figures {
        guard !targets.isEmpty else { throw ArgumentError("--targets: expected a line for each path") }
        cprecisepoll_be_punctual()
        var run = QueryRun(benchmark: self)
        let figures = run.untilAllAreAnswered()
        for words in run.tally.firstFailures { say("fathom-bench: failed: \(words)\n") }
        return figures
    }

    /// Makes what is sent for each target.
    var requests: [[UInt8]] {
        targets.map {
            Array("GET \($0) HTTP/1.1\r\nHost: \(host):\(port)\r\nUser-Agent: fathom-bench\r\n\r\n".utf8)
        }
    }

    static var now: UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    fileprivate func isLate(_ question: DueQuestion, _ now: UInt64) -> Bool {
        now > question.due + Self.patience
    }
    fileprivate var longestWait: UInt64 { Self.quietest }
}

private func say(_ text: String) {
    let bytes = Array(text.utf8)
    _ = unsafe bytes.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
}

/// What has come of the questions so far.
struct QueryTally {
    /// Microseconds from when a question was due to its good answer.
    var latencies: [UInt32] = []
    /// Microseconds from when a question was due to when it was sent: what this program and the machine are late themselves.
    var latenesses: [UInt32] = []
    var failed = 0
    /// Those of the failed that were told that the book is out of sync.
    var refused = 0
    var failovers = 0
    var unrecorded = 0
    var firstFailures: [String] = []
    var longestGap: UInt64 = 0
    private var lastGood: UInt64?

    mutating func good(_ question: DueQuestion, _ now: UInt64) {
        latencies.append(UInt32(clamping: (now - min(now, question.due)) / 1000))
        if let lastGood { longestGap = max(longestGap, now - lastGood) }
        lastGood = now
    }

    mutating func asked(_ question: DueQuestion, _ now: UInt64) {
        latenesses.append(UInt32(clamping: (now - min(now, question.due)) / 1000))
    }

    mutating func bad(_ words: String) {
        failed += 1
        if firstFailures.count < 5 { firstFailures.append(words) }
    }

    func figures(seconds: Double) -> Figures {
        let latencies = latencies.sorted()
        let latenesses = latenesses.sorted()
        func milliseconds(_ share: Double, of sorted: [UInt32]) -> Double {
            guard let last = sorted.last else { return 0 }
            let index = Int(Double(sorted.count) * share)
            return Double(index < sorted.count ? sorted[index] : last) / 1000
        }
        return [
            ("questions", Double(latencies.count + failed)), ("failed", Double(failed)),
            ("refused", Double(refused)),
            ("failovers", Double(failovers)), ("per_second", Double(latencies.count) / seconds),
            ("p50_ms", milliseconds(0.5, of: latencies)), ("p99_ms", milliseconds(0.99, of: latencies)),
            ("p999_ms", milliseconds(0.999, of: latencies)), ("longest_ms", milliseconds(1, of: latencies)),
            ("late_p50_ms", milliseconds(0.5, of: latenesses)),
            ("late_p99_ms", milliseconds(0.99, of: latenesses)), ("longest_gap_ms", Double(longestGap) / 1e6),
            ("unrecorded", Double(unrecorded)),
        ]
    }
}

/// A running load: which questions are due, which connections are busy.
private struct QueryRun {
    let benchmark: QueryBenchmark
    let requests: [[UInt8]]
    let expected: [UInt8]
    private static let failover = Array("\"#5001\"".utf8)
    private static let refusal = Array("\"#6000\"".utf8)
    var tally = QueryTally()
    private var busy: [QueryConnection] = []
    private var idle: [QueryConnection] = []
    private var waiting: [DueQuestion] = []
    private var firstWaiting = 0
    private var recorded = 0

    init(benchmark: QueryBenchmark) {
        self.benchmark = benchmark
        requests = benchmark.requests
        expected = Array(benchmark.expected.utf8)
        let expectedCount = Int(benchmark.rate * benchmark.seconds) + 16
        tally.latencies.reserveCapacity(expectedCount)
        tally.latenesses.reserveCapacity(expectedCount)
    }

    mutating func untilAllAreAnswered() -> Figures {
        let interval = 1e9 / benchmark.rate
        let count = Int(benchmark.rate * benchmark.seconds)
        let start = QueryBenchmark.now
        var asked = 0
        while asked < count || !busy.isEmpty || firstWaiting < waiting.count {
            let now = QueryBenchmark.now
            while asked < count, start + UInt64(Double(asked) * interval) <= now {
                waiting.append(
                    DueQuestion(
                        target: asked % requests.count, due: start + UInt64(Double(asked) * interval)))
                asked += 1
            }
            askWaiting()
            let next = asked < count ? start + UInt64(Double(asked) * interval) : now + benchmark.longestWait
            look(until: next)
        }
        return tally.figures(seconds: Double(QueryBenchmark.now - start) / 1e9)
    }

    private mutating func askWaiting() {
        while firstWaiting < waiting.count {
            let question = waiting[firstWaiting]
            guard let connection = free() else { break }
            connection.ask(question, requests[question.target])
            tally.asked(question, QueryBenchmark.now)
            busy.append(connection)
            firstWaiting += 1
        }
        if firstWaiting > 4096 {
            waiting.removeFirst(firstWaiting)
            firstWaiting = 0
        }
    }

    private mutating func free() -> QueryConnection? {
        if let last = idle.popLast() { return last }
        guard busy.count < benchmark.mostConnections else { return nil }
        return QueryConnection(host: benchmark.host, port: benchmark.port)
    }

    /// Waits for answers until `end`, and takes those that come.
    private mutating func look(until end: UInt64) {
        var sockets = (busy + idle).map { pollfd(fd: $0.descriptor, events: $0.events, revents: 0) }
        let now = QueryBenchmark.now
        let ready = unsafe cprecisepoll_wait(
            &sockets, UInt(sockets.count), Int64(end > now ? end - now : 0))
        let arrival = QueryBenchmark.now
        guard ready > 0 else { return dropLate(arrival) }
        let looked = busy
        let rested = idle
        busy.removeAll(keepingCapacity: true)
        for (index, connection) in looked.enumerated() {
            if sockets[index].revents == 0 { busy.append(connection) } else { look(at: connection, arrival) }
        }
        // An idle connection that speaks has been closed by the server.
        let closed = rested.enumerated().filter { sockets[looked.count + $0.offset].revents != 0 }.map(
            \.element)
        if !closed.isEmpty { idle.removeAll { known in closed.contains { $0 === known } } }
        dropLate(arrival)
    }

    private mutating func look(at connection: QueryConnection, _ now: UInt64) {
        guard let question = connection.question else { return }
        switch connection.look() {
        case .waiting: busy.append(connection)
        case .ended(let words): tally.bad("\(benchmark.targets[question.target]): \(words)")
        case .answered(let status, let body):
            connection.question = nil
            idle.append(connection)
            record(question, connection.input[body])
            guard status == 200, connection.find(expected, from: body.lowerBound) != nil else {
                if connection.find(Self.refusal, from: body.lowerBound) != nil { tally.refused += 1 }
                let text = String(decoding: connection.input[body].prefix(300), as: UTF8.self)
                return tally.bad("\(benchmark.targets[question.target]): \(status) \(text)")
            }
            tally.good(question, now)
            if connection.find(Self.failover, from: body.lowerBound) != nil { tally.failovers += 1 }
        }
    }

    private mutating func dropLate(_ now: UInt64) {
        guard busy.contains(where: { $0.question.map { benchmark.isLate($0, now) } ?? false }) else { return }
        busy.removeAll { connection in
            guard let question = connection.question, benchmark.isLate(question, now) else { return false }
            tally.bad("\(benchmark.targets[question.target]): no answer in 10 s")
            return true
        }
    }

    private mutating func record(_ question: DueQuestion, _ body: ArraySlice<UInt8>) {
        guard benchmark.record >= 0 else { return }
        recorded += 1
        guard recorded % benchmark.recordEvery == 0 else { return }
        var line = Array(benchmark.targets[question.target].utf8)
        line.append(0x09)
        line.append(contentsOf: body)
        line.append(0x0A)
        let written = unsafe line.withUnsafeBytes {
            unsafe write(benchmark.record, $0.baseAddress, $0.count)
        }
        if written != line.count { tally.unrecorded += 1 }
    }
}
