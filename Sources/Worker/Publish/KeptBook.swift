import Binance
import Books
import DepthCacheAPI
import Telemetry

/// One book as all threads see it: its loop changes it, queries read it, each under one short lock.
///
/// What makes the book unbelievable and its withdrawal from readers happen under the same lock.
final class KeptBook: Sendable {
    /// What is behind the lock.
    struct State: ~Copyable, Sendable {
        var book: SynchronizedBook
        /// A copy that follows the same events, to deepen, refresh or audit the book once both stand at one id.
        var fresh: FollowingBook?
        /// The order that may begin such a copy; nil: none is wanted.
        var freshOrder: Int?
        /// The connections that bring the book's stream now; none means nothing to believe.
        var trust = BookTrust()
        var note: Note?
        /// The last comparison of this book found a difference; nobody is to copy it until another one finds none.
        var isDoubtful = false
        /// The last comparison with the exchange's own book.
        var lastAudit: AuditRecord?
        /// Messages of all its connections since it is kept.
        var messages: UInt64 = 0
    }

    /// Why it is as it is, in the words of whoever knows better than the book.
    struct Note: Equatable, Sendable {
        var reason: Reason
        var message: String
    }

    /// How long the events of options are remembered: their snapshots lag behind their streams.
    private static let optionsRecall: Duration = .seconds(60)

    let id: BookID
    let stream: String
    let state: Guarded<State>

    init(id: BookID, stream: String, family: ExchangeFamily) {
        self.id = id
        self.stream = stream
        state = Guarded(
            State(
                book: SynchronizedBook(
                    rule: family.sequenceRule, recallPeriod: family == .options ? Self.optionsRecall : .zero)
            ))
    }

    /// A summary for status and metrics.
    struct Report: Equatable, Sendable {
        var phase: ReplicaPhase
        var reason: Reason
        var message: String
        var restarts: Int
        /// How the depths that are asked for stand; only of a synchronised book.
        var standings: [Int: DepthPolicy.Standing] = [:]
        var lastAudit: AuditRecord?
    }

    var report: Report {
        state.withLock { state in
            let phase = ReplicaPhase(rawValue: state.book.phase.rawValue) ?? .pending
            let own = state.book.reason.map { Reason(rawValue: $0.rawValue) } ?? .synchronized
            let reason = state.note?.reason ?? (own.rawValue == "NotConnected" ? .connecting : own)
            return Report(
                phase: phase, reason: reason, message: state.note?.message ?? "",
                restarts: state.book.resyncCount)
        }
    }

    /// How far the book is known; nil unless it is synchronised.
    var reach: BookReach? { state.withLock { $0.book.readIfSynchronized { BookReach($0) } } }

    /// Begins the copy that `order` is for beside the served book; false if it is not wanted any more.
    ///
    /// One that waits for a snapshot already is kept, unless it is older than `limit`. From any thread.
    func beginFresh(
        _ order: Int, _ purpose: SnapshotOrder.Purpose, at now: ContinuousClock.Instant,
        keepingAtMost limit: Duration = .seconds(5)
    ) -> Bool {
        state.withLock { state in
            guard state.freshOrder == order else { return false }
            if let since = state.fresh?.since, now - since < limit { return true }
            guard let copy = state.book.beginFresh(at: now), case .fetchSnapshot(let request) = copy.action,
                let id = state.book.readIfSynchronized({ $0.lastID })
            else { return false }
            state.fresh = FollowingBook(
                book: copy.takeBook(), purpose: purpose, request: request, beganAt: id, since: now)
            return true
        }
    }

    /// The least id of a snapshot that the copy of `order`, begun now at the latest, can follow on.
    func leastFreshID(_ order: Int, _ purpose: SnapshotOrder.Purpose) -> Int64 {
        guard beginFresh(order, purpose, at: .now) else { return 0 }
        return state.withLock { $0.fresh?.leastSnapshotID ?? 0 }
    }

    /// What one event has led to.
    struct Reaction: Sendable {
        var action: SyncAction?
        var freshAction: SyncAction?
        var meeting: Meeting?
        var isChanged = false
    }

    /// An event of the stream is about to be taken: its memory is asked for while another event is applied.
    func prefetch() { state.withLock { $0.book.prefetch() } }

    /// The best prices are about to be read: their memory is asked for while another book is.
    func prefetchBest() { state.read { $0.book.prefetchBest() } }

    /// Takes the next event of the stream; hot.
    func receive(_ event: DepthEvent, from connection: Int, at arrival: Arrival) -> Reaction {
        state.withLock { state in
            var reaction = Reaction()
            state.messages &+= 1
            let before = state.book.reason
            reaction.action = state.book.receive(event, from: connection, at: arrival).action
            if state.fresh != nil {
                reaction.freshAction = state.fresh?.receive(event, from: connection, at: arrival)
                reaction.meeting = state.meet()
            }
            reaction.isChanged = before != state.book.reason
            return reaction
        }
    }
}

extension KeptBook.State {
    /// Compares the copy with the book once both stand at one id, and gives the book what the copy knows more.
    ///
    /// A copy that differs withdraws the book at once: both are kept as evidence, and the caller starts the book over.
    ///
    /// `isAhead`: the copy may also be newer, when the stream has brought nothing for a while; if they differ then, it is
    /// the stream that is behind, and nothing is returned.
    mutating func meet(isAhead: Bool = false) -> Meeting? {
        guard var copy = fresh.take() else { return nil }
        guard let audit = book.audit(copy.book, isAhead: isAhead),
            audit.isExact || audit.lastID == copy.book.readIfSynchronized({ $0.lastID })
        else {
            fresh = consume copy
            return nil
        }
        var meeting = Meeting(purpose: copy.purpose, isPeerCopy: copy.isPeerCopy, audit: audit)
        guard audit.isExact else {
            isDoubtful = true
            meeting.evidence = evidence(&copy)
            note = KeptBook.Note(reason: .auditMismatch, message: AuditRecord(meeting).words)
            book.suspend(.auditMismatch)
            return meeting
        }
        if !copy.isPeerCopy { isDoubtful = false }
        if copy.purpose != .audit { _ = book.merge(&copy.book, isAhead: isAhead) }
        return meeting
    }

    private func evidence(_ copy: inout FollowingBook) -> Evidence? {
        guard let ours = book.readIfSynchronized({ BookImage($0) }),
            let theirs = copy.book.readIfSynchronized({ BookImage($0) })
        else { return nil }
        return Evidence(ours: ours, theirs: theirs, events: copy.takeEvents())
    }
}
