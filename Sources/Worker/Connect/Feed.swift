import Binance
import Books
import DepthCacheAPI
import Telemetry
import Transport

/// What one exchange's feeds and desks share in this worker.
final class Venue: Sendable {
    let exchange: Exchange
    let desk: SnapshotDesk
    /// Connection attempts of all loops; a fifth of what the exchange allows one address.
    let attempts: Guarded<RateWindow>
    let frames: Counter
    let bytes: Counter
    let malformed: Counter
    let connections: Counter
    let lag: Histogram

    init(exchange: Exchange, desk: SnapshotDesk, metrics: MetricRegistry) {
        self.exchange = exchange
        self.desk = desk
        attempts = Guarded(RateWindow(limit: 60, period: .seconds(300)))
        let labels = ["exchange": exchange.name]
        frames = metrics.counter(
            "fathom_worker_feed_messages_total", help: "Messages received from the exchange", labels: labels)
        bytes = metrics.counter(
            "fathom_worker_feed_bytes_total", help: "Bytes of those messages", labels: labels)
        malformed = metrics.counter(
            "fathom_worker_feed_malformed_total", help: "Messages that could not be read", labels: labels)
        connections = metrics.counter(
            "fathom_worker_feed_connections_total", help: "Connections opened", labels: labels)
        lag = metrics.histogram(
            "fathom_worker_feed_lag_seconds", help: "From the exchange's event time to its receipt here",
            bounds: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10], labels: labels)
    }

    var feedSettings: FeedMachine.Settings {
        var settings = FeedMachine.Settings()
        settings.messagesPerSecond = exchange.messagesPerSecond
        return settings
    }

    /// Takes one of the connection attempts, if there is one left.
    func mayConnect(now: Duration) -> Bool { attempts.withLock { $0.hasRoom(now: now) } }
    func tookAttempt(now: Duration) { attempts.withLock { $0.take(now: now) } }
}

/// One connection and the books it feeds; lives on its loop's thread, inside `FeedLoop`.
final class Feed {
    let venue: Venue
    let trust: FeedTrust
    var machine: FeedMachine
    var socket: WebSocket?
    /// Counts connections; what an earlier one still says is not heard.
    var generation = 0
    var duties: [String: BookDuty] = [:]
    private var byHash: [UInt64: BookDuty] = [:]
    /// The ping whose answer makes the books believable again.
    var pingsSent: UInt64 = 0
    var pongNeeded: UInt64?
    private let parser = DepthEventParser()
    var event = DepthEvent()

    init(venue: Venue, pulse: LoopPulse) {
        self.venue = venue
        trust = FeedTrust(pulse: pulse)
        machine = FeedMachine(settings: venue.feedSettings)
    }

    var hasRoom: Bool { machine.streamCount < venue.exchange.streamsPerConnection }

    func add(_ duty: BookDuty) {
        duties[duty.book.stream] = duty
        byHash[Self.hash(Array(duty.book.stream.utf8).span)] = duty
        machine.add(duty.book.stream)
    }

    func remove(_ stream: String) {
        duties[stream] = nil
        byHash[Self.hash(Array(stream.utf8).span)] = nil
        machine.remove(stream)
    }

    /// The duty of the stream whose name lies in `range` of a frame, without making a string of it.
    func duty(_ frame: UnsafeRawBufferPointer, _ range: Range<Int>) -> BookDuty? {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for index in range { hash = unsafe (hash ^ UInt64(frame[index])) &* 0x100_0000_01b3 }
        guard let duty = byHash[hash], duty.streamBytes.count == range.count else { return nil }
        for (offset, byte) in duty.streamBytes.enumerated()
        where unsafe frame[range.lowerBound + offset] != byte { return nil }
        return duty
    }

    /// The duty of the stream that a frame names which could not be read.
    func namedDuty(_ frame: UnsafeRawBufferPointer) -> BookDuty? {
        guard let name = unsafe parser.streamName(of: frame.bytes) else { return nil }
        return unsafe duty(frame, name)
    }

    private static func hash(_ bytes: Span<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for index in bytes.indices { hash = (hash ^ UInt64(bytes[index])) &* 0x100_0000_01b3 }
        return hash
    }

    /// Reads one frame into `event`.
    func parse(_ frame: UnsafeRawBufferPointer) throws(WireError) -> WireMessage {
        unsafe try parser.parse(frame.bytes, into: &event)
    }
}

/// What a loop remembers of one of its books besides the book.
final class BookDuty {
    let book: KeptBook
    let streamBytes: [UInt8]
    var depth: Int
    /// Whether its stream is acknowledged on the connection in use.
    var isOpen = false
    var lastEvent: Duration = .zero
    var isProbing = false
    var nextProbe: Duration = .zero
    /// Since when nobody could say whether its silent stream lives: a probe failed, or waits for its turn.
    var unprovenSince: Duration?
    var didProbeFail = false
    /// The id of a book that is withdrawn because its stream's silence could not be explained.
    var doubtedID: Int64?
    /// A probe saw this id; if the stream does not bring it in time, it is dead.
    var awaited: (id: Int64, until: Duration)?
    /// How many levels the last snapshot gave on its shorter side that was cut.
    var lastReplyLevels: Int?
    var nextRefresh: Duration = .zero
    var nextRevival: Duration?
    var lastReport: KeptBook.Report?

    init(book: KeptBook, depth: Int) {
        self.book = book
        self.depth = depth
        streamBytes = Array(book.stream.utf8)
    }
}
