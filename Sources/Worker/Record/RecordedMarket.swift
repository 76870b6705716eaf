import Binance
import Books

/// One market while it is recorded: what has come, and whether a snapshot is due.
final class RecordedMarket {
    /// A stream without an event for this long gets its snapshot all the same.
    static let patience: Duration = .seconds(5)

    let name: String
    let stream: String
    let streamBytes: [UInt8]
    let files: RecordingFiles
    private let rule: SequenceRule
    private(set) var events = 0
    /// Events that did not follow on the one before.
    private(set) var gaps = 0
    private var lastID: Int64?
    /// What the first event of this connection follows on; a snapshot before it is too old.
    private var firstPrevious: Int64?
    private var openedAt: Duration?
    private var snapshotAt: Duration?
    var isFetching = false
    var backoff = RetryBackoff()
    var notBefore: Duration = .zero

    init(name: String, stream: String, files: RecordingFiles, rule: SequenceRule) {
        self.name = name
        self.stream = stream
        streamBytes = Array(stream.utf8)
        self.files = files
        self.rule = rule
    }

    func opened(now: Duration) {
        guard openedAt == nil else { return }
        openedAt = now
    }

    /// The connection is gone: what comes next needs a snapshot of its own.
    func closed() {
        openedAt = nil
        firstPrevious = nil
        lastID = nil
        snapshotAt = nil
        notBefore = .zero
    }

    func note(_ event: DepthEvent) {
        let previous = event.previous(under: rule) ?? event.first - 1
        if let lastID, previous > lastID { gaps += 1 }
        lastID = max(lastID ?? event.last, event.last)
        firstPrevious = firstPrevious ?? previous
        events += 1
    }

    /// Whether a snapshot is to be asked for now.
    func wantsSnapshot(now: Duration, every interval: Duration?) -> Bool {
        guard let openedAt, !isFetching, notBefore <= now else { return false }
        guard let snapshotAt else { return firstPrevious != nil || now - openedAt >= Self.patience }
        return interval.map { now - snapshotAt >= $0 } ?? false
    }

    /// Whether the frames recorded since the connection opened follow on this snapshot.
    func fits(_ snapshot: BookSnapshot) -> Bool {
        guard let firstPrevious else { return true }
        return snapshot.lastID >= firstPrevious
    }

    func tookSnapshot(now: Duration) {
        snapshotAt = now
        backoff.reset()
    }

    var hasSnapshot: Bool { snapshotAt != nil }
}
