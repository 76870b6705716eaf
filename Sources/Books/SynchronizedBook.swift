/// A book together with the machine that keeps it in step with its exchange.
///
/// Events, snapshots, failures and the clock go in as values; what is to be done comes out as a `SyncAction`.
/// Levels can be read only through `read`, which throws unless the book is synchronised.
package struct SynchronizedBook: ~Copyable, Sendable {
    private var book: OrderBook
    private var synchronizer: BookSynchronizer

    /// A book of a family with `rule`; `keepsAll` is for replays.
    package init(
        rule: SequenceRule, bufferLimit: EventBuffer.Limit = EventBuffer.Limit(), levelLimit: Int = 20_000,
        keepsAll: Bool = false
    ) {
        book = OrderBook(keepsAll: keepsAll)
        synchronizer = BookSynchronizer(rule: rule, bufferLimit: bufferLimit, levelLimit: levelLimit)
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

    /// Takes the next event of the stream.
    package mutating func receive(
        _ event: borrowing DepthEvent, at arrival: Arrival
    ) -> (outcome: EventOutcome, action: SyncAction?) {
        synchronizer.receive(event, at: arrival, into: &book)
    }

    /// Takes the answer to `request`; `limit` is the number of levels asked for (nil: known to be whole).
    package mutating func receive(
        _ snapshot: borrowing BookSnapshot, for request: SnapshotRequest, limit: Int?, at arrival: Arrival
    ) -> SyncAction? {
        synchronizer.receive(snapshot, for: request, limit: limit, at: arrival, into: &book)
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
