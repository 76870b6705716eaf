import Binance
import Books
import DepthCacheAPI
import Glibc
import Synchronization
import Telemetry
import Transport

/// What one exchange's feeds and desks share in this worker.
final class Venue: Sendable {
    let exchange: Exchange
    let desk: SnapshotDesk
    let source: SnapshotSource
    /// Connection attempts of all loops.
    let attempts: Guarded<RateWindow>
    /// What the exchange allows one address in five minutes, the most of it that one worker uses, and what each may use
    /// however many share the address.
    private static let (attemptsOfAddress, mostAttempts, fewestAttempts) = (300, 60, 10)
    let frames: Counter
    let bytes: Counter
    let malformed: Counter
    let connections: Counter
    let lag: Histogram
    /// What to add to our clock to get the exchange's, in milliseconds; as last looked up.
    let clockOffset = Atomic<Int64>(0)
    let clockOffsetGauge: Gauge
    /// Comparisons of books with the exchange's own.
    let matches: Counter
    let mismatches: Counter
    /// Audits that came to no comparison.
    let unfinishedAudits: Counter
    private let metrics: MetricRegistry

    /// Without `peers` all snapshots come from the exchange.
    init(exchange: Exchange, desk: SnapshotDesk, peers: PeerDesk? = nil, metrics: MetricRegistry) {
        self.exchange = exchange
        self.desk = desk
        self.metrics = metrics
        source = SnapshotSource(desk: desk, peers: peers)
        attempts = Guarded(RateWindow(limit: Venue.mostAttempts, period: .seconds(300)))
        let labels = ["exchange": exchange.name]
        frames = metrics.counter(
            "fathom_worker_feed_messages_total", help: "Messages received from the exchange.", labels: labels)
        bytes = metrics.counter(
            "fathom_worker_feed_bytes_total", help: "Bytes of those messages.", labels: labels)
        malformed = metrics.counter(
            "fathom_worker_feed_malformed_total", help: "Messages that could not be read.", labels: labels)
        func audits(_ result: String) -> Counter {
            metrics.counter(
                "fathom_worker_audits_total",
                help:
                    "Comparisons of a book with the exchange's own at the same id, by result; unfinished: it came to none.",
                labels: ["exchange": exchange.name, "result": result])
        }
        clockOffsetGauge = metrics.gauge(
            "fathom_worker_clock_offset_seconds", help: "How far the exchange's clock is ahead of ours.",
            labels: labels)
        matches = audits("match")
        mismatches = audits("mismatch")
        unfinishedAudits = audits("unfinished")
        connections = metrics.counter(
            "fathom_worker_feed_connections_total", help: "Connections opened.", labels: labels)
        lag = metrics.histogram(
            "fathom_worker_feed_lag_seconds", help: "From the exchange's event time to its receipt here.",
            bounds: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10], labels: labels)
    }

    var feedSettings: FeedMachine.Settings {
        var settings = FeedMachine.Settings()
        settings.messagesPerSecond = exchange.messagesPerSecond
        return settings
    }

    /// Whether one of the connection attempts is left, besides `reserve` for more urgent ones.
    func mayConnect(now: Duration, reserve: Int = 0) -> Bool {
        let part = max(Self.fewestAttempts, Self.attemptsOfAddress / desk.workers)
        let others = max(0, Self.mostAttempts - part)
        // Where there are fewer, fewer are kept back.
        let kept = reserve * min(part, Self.mostAttempts) / Self.mostAttempts
        return attempts.withLock { $0.hasRoom(now: now, reserve: kept + others) }
    }
    func tookAttempt(now: Duration) { attempts.withLock { $0.take(now: now) } }

    func countLoss(_ end: FeedEnd) {
        metrics.counter(
            "fathom_worker_feed_losses_total", help: "Connections lost, by cause.",
            labels: ["exchange": exchange.name, "cause": end.label]
        ).add()
    }

    func countHandover(_ cause: FeedEnd, _ outcome: Handover.Outcome) {
        metrics.counter(
            "fathom_worker_feed_handovers_total",
            help: "Connections that were to be replaced before they ended, by cause and outcome.",
            labels: [
                "exchange": exchange.name, "cause": cause.label,
                "outcome": outcome.rawValue,
            ]
        ).add()
    }

    func countRenewal(_ reason: Reason) {
        metrics.counter(
            "fathom_worker_lines_renewed_total",
            help: "Streams asked for anew on one connection while another brought them.",
            labels: ["exchange": exchange.name, "reason": reason.rawValue]
        ).add()
    }
}

/// One connection and the streams it brings; lives on its loop's thread, inside `FeedLoop`.
final class Feed {
    let venue: Venue
    /// Lines of one book lie on feeds of different lanes, so that no connection brings a stream twice.
    let lane: Int
    /// The connection that is to take this one's place.
    var handover: Handover?
    /// Whether it is still to take another one's place.
    var isStandIn = false
    let trust: FeedTrust
    var machine: FeedMachine
    var socket: WebSocket?
    /// Counts connections of the loop; what an earlier one still says is not heard.
    var generation = 0
    private(set) var lines: [String: BookLine] = [:]
    private var byHash: [UInt64: BookLine] = [:]
    /// Apart from the lines: to take one out of a dictionary means to count it, and so to wait for its memory.
    private var memoryByHash: [UInt64: LineMemory] = [:]
    /// The name that lies at the beginning of the frame, and its hash.
    private var announced: (name: Range<Int>, hash: UInt64) = (0..<0, 0)
    private(set) var pings = PingRecord()
    private let parser = DepthEventParser()
    /// The frame that was read last.
    private var event = DepthEvent()
    /// The event before it, which is not applied yet.
    private(set) var waiting: WaitingEvent?
    private(set) var waitingEvent = DepthEvent()

    init(venue: Venue, lane: Int, pulse: LoopPulse, lifetime: Duration) {
        self.venue = venue
        self.lane = lane
        trust = FeedTrust(pulse: pulse)
        var settings = venue.feedSettings
        settings.lifetime = lifetime
        settings.lifetimeSpread = min(settings.lifetimeSpread, lifetime / 4)
        machine = FeedMachine(settings: settings)
    }

    var hasRoom: Bool { machine.streamCount < venue.exchange.streamsPerConnection }

    /// Brings `duty`'s stream from now on.
    func add(_ duty: BookDuty) {
        let line = BookLine(duty: duty, feed: self)
        lines[duty.book.stream] = line
        let hash = Self.hash(duty.streamBytes)
        byHash[hash] = line
        memoryByHash[hash] = LineMemory(line)
        duty.lines.append(line)
        machine.add(duty.book.stream)
    }

    /// Brings the line's stream no longer.
    func remove(_ line: BookLine) {
        let duty = line.duty
        duty.lines.removeAll { $0 === line }
        guard lines[duty.book.stream] === line else { return }
        lines[duty.book.stream] = nil
        let hash = Self.hash(duty.streamBytes)
        byHash[hash] = nil
        memoryByHash[hash] = nil
        machine.remove(duty.book.stream)
    }

    func ping(now: Duration) {
        let number = pings.sent(at: now)
        socket?.ping(Array("\(number)".utf8))
    }
    func ponged(_ number: UInt64?) { if let number { pings.answered(number) } }
    func forgetPings() { pings = PingRecord() }

    /// The line of the stream whose name lies in `range` of a frame, without making a string of it.
    func line(_ frame: UnsafeRawBufferPointer, _ range: Range<Int>) -> BookLine? {
        let hash = unsafe announced.name == range ? announced.hash : Self.hash(frame, range)
        guard let line = byHash[hash], line.duty.streamBytes.count == range.count else { return nil }
        for (offset, byte) in line.duty.streamBytes.enumerated()
        where unsafe frame[range.lowerBound + offset] != byte { return nil }
        return line
    }

    /// The line of the stream that a frame names which could not be read.
    func namedLine(_ frame: UnsafeRawBufferPointer) -> BookLine? {
        guard let name = unsafe parser.streamName(of: frame.bytes) else { return nil }
        return unsafe line(frame, name)
    }

    /// Asks for the memory of the line that `frame` is for, if its name comes first as it mostly does.
    private func announce(_ frame: UnsafeRawBufferPointer) {
        announced = (0..<0, 0)
        let start = Self.opening.utf8CodeUnitCount
        guard frame.count > start, let bytes = frame.baseAddress,
            unsafe memcmp(bytes, Self.opening.utf8Start, start) == 0,
            let end = unsafe frame[start...].firstIndex(of: 0x22)
        else { return }
        announced = unsafe (start..<end, Self.hash(frame, start..<end))
        memoryByHash[announced.hash]?.prefetch()
    }

    private static let opening: StaticString = "{\"stream\":\""

    private static func hash(_ frame: UnsafeRawBufferPointer, _ range: Range<Int>) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for index in range { hash = unsafe (hash ^ UInt64(frame[index])) &* 0x100_0000_01b3 }
        return hash
    }

    private static func hash(_ bytes: [UInt8]) -> UInt64 {
        unsafe bytes.withUnsafeBytes { unsafe hash($0, $0.indices) }
    }

    /// Puts the event that was read off until the next one has been read.
    func putOff(_ line: BookLine, _ arrival: Arrival, _ now: Duration) {
        swap(&event, &waitingEvent)
        waiting = WaitingEvent(line: line, arrival: arrival, now: now)
    }

    /// The event that waits, which is applied or dropped by the caller.
    func takeWaiting() -> WaitingEvent? { waiting.take() }

    /// Reads one frame into `event`.
    func parse(_ frame: UnsafeRawBufferPointer) throws(WireError) -> WireMessage {
        unsafe announce(frame)
        return unsafe try parser.parse(frame.bytes, into: &event)
    }
}

/// An event that was read and is not applied yet: meanwhile the memory of its book is on its way.
///
/// With thousands of books each event meets one that is in no cache. It waits for the next event at most, and never longer
/// than until the loop has taken what had arrived.
struct WaitingEvent {
    let line: BookLine
    let arrival: Arrival
    let now: Duration
}

/// A connection being brought up to take another one's place.
struct Handover {
    enum Outcome: String {
        case completed
        /// Not in time: the old connection stays.
        case abandoned
        /// The old connection died before.
        case forced
    }

    let successor: Feed
    let cause: FeedEnd
    /// After it the old connection stays.
    let deadline: Duration
}

/// The pings of one connection, and up to which moment a pong proves that everything sent before has been heard.
struct PingRecord: Sendable {
    private var waiting: [(number: UInt64, at: Duration)] = []
    private var last: UInt64 = 0
    /// When the newest ping that was answered had been sent; nil: none was.
    private(set) var provenAt: Duration?

    /// When the newest ping was sent.
    var sentAt: Duration? { waiting.last?.at ?? provenAt }

    mutating func sent(at now: Duration) -> UInt64 {
        last += 1
        waiting.append((last, now))
        if waiting.count > 32 { waiting.removeFirst() }
        return last
    }

    mutating func answered(_ number: UInt64) {
        guard let index = waiting.lastIndex(where: { $0.number <= number }) else { return }
        provenAt = waiting[index].at
        waiting.removeSubrange(...index)
    }
}
