import Books

/// A copy that follows a book's events from a snapshot of its own until both stand at one id.
struct FollowingBook: ~Copyable, Sendable {
    var book: SynchronizedBook
    let purpose: SnapshotOrder.Purpose
    /// What it asks for next.
    var request: SnapshotRequest
    /// Where the served book stood when this one began to collect.
    let beganAt: Int64
    let since: ContinuousClock.Instant
    /// Its levels came from another worker: they do not show the exchange's own book.
    private(set) var isPeerCopy = false
    /// The events since it began, the oldest first, as far as there is room: what a mismatch is explained with.
    private var events = EventBuffer(limit: EventBuffer.Limit(events: 2000, bytes: 1 << 20))

    init(
        book: consuming SynchronizedBook, purpose: SnapshotOrder.Purpose, request: SnapshotRequest,
        beganAt: Int64, since: ContinuousClock.Instant
    ) {
        self.book = book
        self.purpose = purpose
        self.request = request
        self.beganAt = beganAt
        self.since = since
    }

    /// The least id of a snapshot that what was collected follows on.
    var leastSnapshotID: Int64 { book.bufferedEvents > 0 ? book.leastSnapshotID : beganAt }

    /// It has its snapshot, and only an event is missing that brings it to the book's id.
    var isAboutToDeepen: Bool { purpose != .audit && book.isSynchronized }

    /// Takes a snapshot; the action asks for another one.
    mutating func receive(
        _ snapshot: BookSnapshot, coverage: SnapshotCoverage, at arrival: Arrival
    ) -> SyncAction? {
        if case .bounds = coverage { isPeerCopy = true }
        let action = book.receive(snapshot, for: request, coverage: coverage, at: arrival)
        if case .fetchSnapshot(let next) = action { request = next }
        return action
    }

    mutating func receive(_ event: DepthEvent, from connection: Int, at arrival: Arrival) -> SyncAction? {
        _ = events.append(event, receivedTime: arrival.wallMilliseconds)
        let action = book.receive(event, from: connection, at: arrival).action
        if case .fetchSnapshot(let next) = action { request = next }
        return action
    }

    mutating func takeEvents() -> [Evidence.Event] {
        var taken: [Evidence.Event] = []
        var event = DepthEvent()
        while let receivedTime = events.popFirst(into: &event) {
            taken.append(Evidence.Event(receivedTime: receivedTime, event: event))
        }
        return taken
    }
}

/// What came of a copy and its book standing at one id.
struct Meeting: Sendable {
    var purpose: SnapshotOrder.Purpose
    /// The copy was another worker's, so that this is no audit.
    var isPeerCopy = false
    var audit: BookAudit
    /// Both books and the events between; only if they differ.
    var evidence: Evidence?
}

/// What explains a mismatch.
struct Evidence: Sendable {
    struct Event: Sendable {
        var receivedTime: Int64
        var event: DepthEvent
    }
    var ours: BookImage
    var theirs: BookImage
    var events: [Event]
}

/// All levels of a book at one id.
struct BookImage: Sendable {
    var lastID: Int64
    var eventTime: Int64?
    var bidFloor: FixedDecimal?
    var askCeiling: FixedDecimal?
    var bids: [PriceLevel]
    var asks: [PriceLevel]

    init(_ book: borrowing OrderBook) {
        lastID = book.lastID
        eventTime = book.eventTime
        bidFloor = book.bids.coveredTo
        askCeiling = book.asks.coveredTo
        bids = book.levels(.bids)
        asks = book.levels(.asks)
    }
}

/// The last comparison of a book with the exchange's own, as it is told in status, answers and metrics.
struct AuditRecord: Equatable, Sendable {
    /// When, in milliseconds since 1970.
    var time: Int64
    var audit: BookAudit
    /// Whose book it was compared with.
    var reference: String
    /// The file that holds what a mismatch is explained with.
    var dump: String?

    init(_ meeting: Meeting, dump: String? = nil) {
        time = WallClock.milliseconds
        audit = meeting.audit
        reference = meeting.isPeerCopy ? "another worker's" : "the exchange's own"
        self.dump = dump
    }

    var isExact: Bool { audit.isExact }
    var matched: Int { audit.bids.matched + audit.asks.matched }
    var drifted: Int { audit.bids.drifted + audit.asks.drifted }
    var orphaned: Int { audit.bids.orphaned + audit.asks.orphaned }
    var missed: Int { audit.bids.missed + audit.asks.missed }

    /// The result in a sentence.
    var words: String {
        guard !isExact else {
            return "all \(matched) levels matched \(reference) book at \(audit.lastID)"
        }
        return "the book differed from \(reference) at \(audit.lastID): \(drifted) levels drifted, "
            + "\(orphaned) orphaned, \(missed) missed, \(matched) matched"
    }
}

/// What became of a request to audit one book.
enum AuditOutcome: Sendable {
    case compared(AuditRecord)
    /// The book could not be compared, and why.
    case unavailable(String)
    /// This worker keeps no such book.
    case notHere
}
