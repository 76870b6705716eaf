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
        /// A fresh copy that follows the same events and takes the book's place once it is in step.
        var spare: SynchronizedBook?
        /// The connections that bring the book's stream now; none means nothing to believe.
        var trust = BookTrust()
        var note: Note?
        /// Restarts of the copies that this one has replaced.
        var earlierRestarts = 0
    }

    /// Why it is as it is, in the words of whoever knows better than the book.
    struct Note: Equatable, Sendable {
        var reason: Reason
        var message: String
    }

    let id: BookID
    let stream: String
    let state: Guarded<State>
    private let rule: SequenceRule

    init(id: BookID, stream: String, rule: SequenceRule) {
        self.id = id
        self.stream = stream
        self.rule = rule
        state = Guarded(State(book: SynchronizedBook(rule: rule)))
    }

    /// A summary for status and metrics.
    struct Report: Equatable, Sendable {
        var phase: ReplicaPhase
        var reason: Reason
        var message: String
        var restarts: Int
    }

    var report: Report {
        state.withLock { state in
            let phase = ReplicaPhase(rawValue: state.book.phase.rawValue) ?? .pending
            let own = state.book.reason.map { Reason(rawValue: $0.rawValue) } ?? .synchronized
            let reason = state.note?.reason ?? (own.rawValue == "NotConnected" ? .connecting : own)
            return Report(
                phase: phase, reason: reason, message: state.note?.message ?? "",
                restarts: state.earlierRestarts + state.book.resyncCount)
        }
    }

    /// Begins a fresh copy beside the served one.
    func beginSpare(at now: ContinuousClock.Instant) -> SyncAction? {
        state.withLock { state in
            guard state.book.isSynchronized else { return nil }
            var spare = SynchronizedBook(rule: rule)
            spare.feedCount = state.book.feedCount
            let action = spare.streamOpened(at: now)
            state.spare = consume spare
            return action
        }
    }

    /// Takes the next event of the stream; hot.
    func receive(_ event: DepthEvent, from connection: Int, at arrival: Arrival) -> (
        action: SyncAction?, spareAction: SyncAction?, isChanged: Bool
    ) {
        state.withLock { state in
            let before = state.book.reason
            let action = state.book.receive(event, from: connection, at: arrival).action
            var spareAction: SyncAction?
            if state.spare != nil {
                spareAction = state.spare?.receive(event, from: connection, at: arrival).action
                state.adoptSpare()
            }
            return (action, spareAction, before != state.book.reason)
        }
    }
}

extension KeptBook.State {
    /// Puts the fresh copy in the book's place once both stand at the same id.
    mutating func adoptSpare() {
        guard let spareID = spare?.readIfSynchronized({ $0.lastID }) ?? nil else { return }
        guard let bookID = book.readIfSynchronized({ $0.lastID }) else {
            spare = nil
            return
        }
        guard spareID == bookID, let fresh = spare.take() else { return }
        earlierRestarts += book.resyncCount
        book = fresh
    }
}
