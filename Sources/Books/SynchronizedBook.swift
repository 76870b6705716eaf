/// A book together with the machine that keeps it in step with its exchange.
///
/// Events, snapshots, failures and the clock go in as values; what is to be done comes out as a `SyncAction`.
/// Levels can be read only through `read`, which throws unless the book is synchronised.
package struct SynchronizedBook: ~Copyable, Sendable {
    private var book: OrderBook
    private var synchronizer: BookSynchronizer

    /// A book of a family with `rule`.
    ///
    /// `recallPeriod`: how long applied events are remembered for fresh copies; `keepsAll` is for replays.
    package init(
        rule: SequenceRule, bufferLimit: EventBuffer.Limit = EventBuffer.Limit(), levelLimit: Int = 20_000,
        recallPeriod: Duration = .zero, keepsAll: Bool = false
    ) {
        book = OrderBook(keepsAll: keepsAll)
        synchronizer = BookSynchronizer(
            rule: rule, bufferLimit: bufferLimit, levelLimit: levelLimit, recallPeriod: recallPeriod)
    }

    /// How many connections bring events of this book now; with more than one, a gap waits for the other to close it.
    package var feedCount: Int {
        get { synchronizer.feedCount }
        set { synchronizer.feedCount = newValue }
    }

    /// At most so many levels a side are kept.
    package var levelLimit: Int {
        get { synchronizer.levelLimit }
        set { synchronizer.levelLimit = newValue }
    }

    package var phase: BookPhase { synchronizer.phase }
    /// Why the book is not synchronised; nil if it is.
    package var reason: OutOfSyncReason? { synchronizer.reason }
    package var isSynchronized: Bool { synchronizer.reason == nil }
    /// How often the book has lost synchronisation.
    package var resyncCount: Int { synchronizer.counts.resyncs }
    package var counts: SyncCounts { synchronizer.counts }
    /// The bytes held: the levels and the events that wait.
    package var byteCount: Int { book.byteCount + synchronizer.bufferedBytes }
    package var bufferedEvents: Int { synchronizer.bufferedEvents }
    /// A snapshot from before this id leads to none of the events that wait for one; 0 if none waits.
    package var leastSnapshotID: Int64 { synchronizer.leastSnapshotID }

    /// Reads the synchronised book; throws the reason if it is not.
    package func read<Value, Failure: Error>(
        _ body: (borrowing OrderBook) throws(Failure) -> Value
    ) throws(BookReadError<Failure>) -> Value {
        if let reason = synchronizer.reason { throw .notSynchronized(reason) }
        do throws(Failure) { return try body(book) } catch { throw .body(error) }
    }

    /// Reads the synchronised book; nil if it is not synchronised.
    package func readIfSynchronized<Value>(_ body: (borrowing OrderBook) -> Value) -> Value? {
        synchronizer.reason == nil ? body(book) : nil
    }

    /// The exchange has acknowledged the stream; only now may a snapshot be asked for.
    package mutating func streamOpened(at now: ContinuousClock.Instant) -> SyncAction? {
        synchronizer.streamOpened(at: now)
    }

    /// The stream has ended; nothing of the book is valid any more.
    package mutating func streamClosed(_ reason: OutOfSyncReason = .disconnected) {
        synchronizer.streamClosed(reason)
    }

    /// Asks for the memory that the next event will most likely touch, without waiting for it.
    package func prefetch() {
        book.prefetch()
        synchronizer.regression.prefetch()
    }

    /// Asks for the memory of the best prices, without waiting for it.
    package func prefetchBest() { book.prefetchBest() }

    /// Takes the next event of the stream, which came over connection `feed`.
    package mutating func receive(
        _ event: borrowing DepthEvent, from feed: Int = 0, at arrival: Arrival
    ) -> (outcome: EventOutcome, action: SyncAction?) {
        synchronizer.receive(event, from: feed, at: arrival, into: &book)
    }

    /// Takes the answer to `request`, which reaches as far as `coverage` says.
    package mutating func receive(
        _ snapshot: borrowing BookSnapshot, for request: SnapshotRequest, coverage: SnapshotCoverage,
        at arrival: Arrival
    ) -> SyncAction? {
        synchronizer.receive(snapshot, for: request, coverage: coverage, at: arrival, into: &book)
    }

    /// A copy that collects from now on and follows the same events beside this book, to refresh, deepen or audit it.
    ///
    /// Nil if the book is not synchronised. Remembered events wait in the copy already, for snapshots that lag.
    package func beginFresh(at now: ContinuousClock.Instant) -> FreshCopy? {
        guard isSynchronized else { return nil }
        var copy = SynchronizedBook(copying: synchronizer)
        let action = copy.synchronizer.streamOpened(at: now)
        copy.synchronizer.remember(synchronizer)
        return FreshCopy(book: copy, action: action)
    }

    private init(copying origin: borrowing BookSynchronizer) {
        book = OrderBook()
        synchronizer = BookSynchronizer(
            rule: origin.rule, bufferLimit: origin.buffer.limit, levelLimit: origin.levelLimit)
        synchronizer.feedCount = origin.feedCount
    }

    /// Takes over what `fresh` knows and keeps what lies beyond it, so that the farther bound stays; false, with nothing
    /// changed, unless both are synchronised at one id.
    ///
    /// `isAhead`: the copy's id may be newer, as nothing of this market has happened in between.
    package mutating func merge(_ fresh: inout SynchronizedBook, isAhead: Bool = false) -> Bool {
        guard isSynchronized, fresh.isSynchronized else { return false }
        guard book.merge(&fresh.book, isAhead: isAhead) else { return false }
        synchronizer.keepWithinLimit(&book)
        return true
    }

    /// Compares with a copy that has followed the same events; nil unless both are synchronised at one id, or the copy
    /// `isAhead` of it.
    package func audit(_ fresh: borrowing SynchronizedBook, isAhead: Bool = false) -> BookAudit? {
        guard isSynchronized, fresh.isSynchronized else { return nil }
        return BookAudit.compare(book, fresh.book, isAhead: isAhead)
    }

    /// Whether it is kept in step with its stream, also while it is doubted.
    package var isFollowing: Bool { synchronizer.isFollowing }

    /// The id at which the book stands, also while it is doubted; nil if it is not kept in step.
    package var followedID: Int64? { isFollowing ? book.lastID : nil }

    /// Whether the levels of `snapshot`, the best ones of each side, are the best ones of this book, whatever the ids.
    ///
    /// Also of a book that is doubted. A side that shows no level has none.
    package func shows(_ snapshot: borrowing BookSnapshot) -> Bool {
        guard synchronizer.isFollowing else { return false }
        return Self.begins(book.levels(.bids, limit: max(1, snapshot.bids.count)), with: snapshot.bids)
            && Self.begins(book.levels(.asks, limit: max(1, snapshot.asks.count)), with: snapshot.asks)
    }

    private static func begins(_ ours: [PriceLevel], with theirs: [PriceLevel]) -> Bool {
        ours.count == theirs.count
            && zip(ours, theirs).allSatisfy {
                $0.price.isSameNumber(as: $1.price) && $0.quantity.isSameNumber(as: $1.quantity)
            }
    }

    /// `request` has failed in a way that may pass; the action asks again, with a higher attempt.
    package mutating func snapshotFailed(_ request: SnapshotRequest) -> SyncAction? {
        synchronizer.snapshotFailed(request)
    }

    /// Takes the answer to `askMarketStatus`; also revives a failed book when its market trades again.
    package mutating func marketStatus(isTrading: Bool) -> SyncAction? {
        synchronizer.marketStatus(isTrading: isTrading)
    }

    /// Lets time pass; call it about every second.
    package mutating func tick(at now: ContinuousClock.Instant) -> SyncAction? { synchronizer.tick(at: now) }

    /// Something outside showed that the book is wrong (a malformed frame, a silent stream): start over.
    package mutating func invalidate(_ reason: OutOfSyncReason) -> SyncAction? {
        synchronizer.invalidate(reason)
    }

    /// The market cannot be served until `marketStatus(isTrading: true)`.
    package mutating func fail(_ reason: OutOfSyncReason) { synchronizer.fail(reason) }

    /// Doubts the book without dropping it: it cannot be read until `resume`, but events go on being applied.
    package mutating func suspend(_ reason: OutOfSyncReason = .loopStalled) {
        synchronizer.suspension = reason
    }

    /// Ends a suspension.
    package mutating func resume() { synchronizer.suspension = nil }
}

/// A copy that has begun to follow a book, and what it asks for.
package struct FreshCopy: ~Copyable {
    package var book: SynchronizedBook
    package var action: SyncAction?

    /// The copy alone.
    package consuming func takeBook() -> SynchronizedBook { book }
}

/// Why a synchronised read gave nothing.
package enum BookReadError<Failure: Error>: Error {
    case notSynchronized(OutOfSyncReason)
    case body(Failure)
}

/// What happened to the events and snapshots of one book so far.
package struct SyncCounts: Sendable, Equatable {
    package var applied = 0
    package var ignored = 0
    package var gaps = 0
    package var resyncs = 0
    package var snapshots = 0
    package var staleSnapshots = 0
}
