package import Books

/// Feeds a recording through the synchroniser: the same path that live frames take, without a network.
package struct RecordingReplay: ~Copyable {
    /// Why a recording cannot be replayed.
    package struct Failure: Error, Equatable, Sendable, CustomStringConvertible {
        package var description: String
    }

    /// What the replay came to.
    package struct Result: Sendable, Equatable {
        package var dropped = 0
        package var applied = 0
        package var gaps = 0
        package var finalID: Int64 = 0
        package var bids: [PriceLevel] = []
        package var asks: [PriceLevel] = []
        package var canonicalText: [UInt8] = []
        /// Why the book was not synchronised at the end; nil if it was.
        package var reason: OutOfSyncReason?
    }

    private var book: SynchronizedBook
    private let snapshot: BookSnapshot
    /// The body of a later snapshot of the recording by its file's name, for after a lost connection.
    private let laterSnapshot: (String) -> [UInt8]?
    private var request: SnapshotRequest?
    private var event = DepthEvent()
    private var lineNumber = 0
    private let start = ContinuousClock().now

    /// A replay of a market of `exchange` from the REST body `snapshot`; levels beyond its reach are kept.
    package init(
        exchange: Exchange, snapshot body: [UInt8],
        laterSnapshot: @escaping (String) -> [UInt8]? = { _ in nil }
    ) throws(Failure) {
        self.laterSnapshot = laterSnapshot
        do throws(WireError) {
            snapshot = try SnapshotParser.parse(body)
        } catch {
            throw Failure(description: "snapshot: \(error)")
        }
        book = SynchronizedBook(
            rule: exchange.sequenceRule, bufferLimit: EventBuffer.Limit(events: .max, bytes: .max),
            levelLimit: .max, keepsAll: true)
        note(book.streamOpened(at: start))
    }

    private mutating func note(_ action: SyncAction?) {
        if case .fetchSnapshot(let asked)? = action { request = asked }
    }

    private func arrival() -> Arrival {
        Arrival(instant: start + .milliseconds(lineNumber), wallMilliseconds: event.eventTime)
    }

    /// Takes one line of `events.jsonl`; kinds other than `depth` and `snapshot` are passed over.
    package mutating func receive(line: ArraySlice<UInt8>) throws(Failure) {
        lineNumber += 1
        let number = lineNumber
        do throws(WireError) {
            let parsed = try RecordedLine(Array(line))
            switch parsed.kind {
            case "depth": try receive(frame: parsed.frame)
            case "snapshot":
                if parsed.file == "snapshot.json" || parsed.file.isEmpty {
                    receive(snapshot)
                } else if request != nil, let body = laterSnapshot(parsed.file) {
                    receive(try SnapshotParser.parse(body))
                }
            default: break
            }
        } catch {
            throw Failure(description: "events, line \(number): \(error)")
        }
    }

    private mutating func receive(frame: [UInt8]) throws(WireError) {
        guard case .depth = try DepthEventParser().parse(frame, into: &event) else {
            throw .badField("frame")
        }
        note(book.receive(event, at: arrival()).action)
    }

    private mutating func receive(_ snapshot: BookSnapshot) {
        guard let asked = request else { return }
        request = nil
        let count = max(snapshot.bids.count, snapshot.asks.count)
        note(book.receive(snapshot, for: asked, coverage: .limit(max(count, 1000)), at: arrival()))
    }

    /// Ends the replay; a recording without a line for the snapshot gets it here.
    package mutating func finish(depth: Int) -> Result {
        if book.counts.snapshots == 0 { receive(snapshot) }
        var result = Result()
        result.dropped = book.counts.ignored
        result.applied = book.counts.applied
        result.gaps = book.counts.gaps
        result.reason = book.reason
        let read = book.readIfSynchronized { book -> Result in
            var filled = result
            filled.finalID = book.lastID
            filled.bids = book.levels(.bids, limit: depth)
            filled.asks = book.levels(.asks, limit: depth)
            book.appendCanonicalText(to: &filled.canonicalText)
            return filled
        }
        return read ?? result
    }
}

/// One line of a recording.
private struct RecordedLine {
    var kind = ""
    var file = ""
    var frame: [UInt8] = []

    init(_ line: [UInt8]) throws(WireError) {
        var kind = ""
        var file = ""
        var range = 0..<0
        try unsafe line.span.bytes.withUnsafeBytes { bytes throws(WireError) in
            var cursor = unsafe JSONCursor(bytes)
            try unsafe cursor.expect(0x7B)
            var isFirst = true
            while try unsafe cursor.nextField(&isFirst) {
                let key = try unsafe cursor.key()
                let next = unsafe cursor.peek()
                let before = unsafe cursor.position - cursor.start
                if unsafe key.equals("kind") && next == 0x22 {
                    kind = try unsafe cursor.text().string
                } else if unsafe key.equals("file") && next == 0x22 {
                    file = try unsafe cursor.text().string
                } else {
                    try unsafe cursor.skipValue()
                    if unsafe key.equals("frame") { unsafe range = before..<(cursor.position - cursor.start) }
                }
            }
        }
        self.kind = kind
        self.file = file
        frame = Array(line[range])
    }
}
