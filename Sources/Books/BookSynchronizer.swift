/// Decides, for every event and snapshot, whether it is applied, ignored, kept for later or means starting over.
///
/// Pure: it reads no clock and does no I/O. The book that it changes is handed to it.
package struct BookSynchronizer: Sendable {
    enum State: Sendable, Equatable {
        case offline
        /// The stream is open; events wait for the snapshot.
        case collecting
        case live
        /// Out of service until the market's status changes.
        case failed(isOpen: Bool)
    }

    let rule: SequenceRule
    /// At most so many levels a side are kept; beyond them the bound moves inwards.
    package var levelLimit: Int
    /// How many connections bring events of this book now; with more than one, another may close a gap.
    package var feedCount = 1
    var state: State = .offline
    var cause: OutOfSyncReason = .notConnected
    private var wasLive = false
    /// What waits for a snapshot, or in a live book for the other connection to close a gap.
    var buffer: EventBuffer
    /// The highest id among the events that wait for a snapshot.
    var bufferedLast: Int64 = 0
    /// Since when a live book waits for a gap to be closed.
    var gapSince: ContinuousClock.Instant?
    /// What was applied lately, for copies that begin later and snapshots that lag.
    var recall: RecentEvents?
    var position: ChainPosition
    var regression = RegressionWatch()
    private var adoptedAt: ContinuousClock.Instant?
    private var wasCrossed = false
    /// When a crossed book was first seen by the clock; nil: it is not crossed.
    private var crossedSince: ContinuousClock.Instant?
    /// So long may a crossed book that nothing follows on be served: the slowest streams bring an event a second.
    private static let crossedLimit: Duration = .seconds(3)
    /// Until the book is live again only the exchange's own snapshot will do, whatever else goes wrong meanwhile.
    private var needsExchange = false
    private var acceptsEmpty = false
    private var awaitsStatus = false
    private var requestNumber = 0
    var attempt = 0
    /// How often the book started over without having been live for `calm` in between.
    private var restarts = 0
    /// A book that was live for so long may be fetched again at once.
    private static let calm: Duration = .seconds(30)
    var scratch = DepthEvent()
    package internal(set) var counts = SyncCounts()
    /// Set while the book is doubted but still followed.
    package var suspension: OutOfSyncReason?

    package init(
        rule: SequenceRule, bufferLimit: EventBuffer.Limit, levelLimit: Int, recallPeriod: Duration = .zero
    ) {
        self.rule = rule
        recall = recallPeriod > .zero ? RecentEvents(period: recallPeriod, limit: bufferLimit) : nil
        self.levelLimit = levelLimit
        buffer = EventBuffer(limit: bufferLimit)
        position = ChainPosition(rule: rule, snapshotID: 0)
    }

    package var bufferedEvents: Int { buffer.count }
    package var bufferedBytes: Int { buffer.byteCount + (recall?.byteCount ?? 0) }

    /// Whether the book is kept in step, though it may be doubted.
    package var isFollowing: Bool { state == .live }

    /// Why the book may not be read; nil if it may.
    package var reason: OutOfSyncReason? { state == .live ? suspension : cause }

    package var phase: BookPhase {
        switch state {
        case .offline: wasLive ? .resyncing : .connecting
        case .collecting: wasLive ? .resyncing : .synchronizing
        case .live: suspension == nil ? .synchronized : .resyncing
        case .failed: .failed
        }
    }

    // MARK: Stream

    package mutating func streamOpened(at now: ContinuousClock.Instant) -> SyncAction? {
        clear()
        if case .failed = state {
            state = .failed(isOpen: true)
            return nil
        }
        if cause == .notConnected { cause = .awaitingSnapshot }
        state = .collecting
        attempt = 0
        return request()
    }

    package mutating func streamClosed(_ reason: OutOfSyncReason) {
        clear()
        // Answers that are still under way belong to the stream that has gone.
        requestNumber += 1
        if case .failed = state {
            state = .failed(isOpen: false)
            return
        }
        if state == .live { counts.resyncs += 1 }
        state = .offline
        cause = reason
        if reason.needsExchange { needsExchange = true }
    }

    private mutating func clear() {
        buffer.removeAll()
        bufferedLast = 0
        gapSince = nil
        recall?.removeAll()
        regression = RegressionWatch()
        adoptedAt = nil
        wasCrossed = false
        crossedSince = nil
        awaitsStatus = false
        suspension = nil
    }

    private mutating func request() -> SyncAction {
        requestNumber += 1
        attempt += 1
        return .fetchSnapshot(
            SnapshotRequest(
                number: requestNumber, attempt: attempt, reason: cause, needsExchange: needsExchange))
    }

    // MARK: Events

    package mutating func receive(
        _ event: borrowing DepthEvent, from feed: Int = 0, at arrival: Arrival, into book: inout OrderBook
    ) -> (outcome: EventOutcome, action: SyncAction?) {
        switch state {
        case .offline, .failed: return (.dropped, nil)
        case .collecting: return (.buffered, collect(event, from: feed, at: arrival))
        case .live: if restarts > 0 { forgetRestarts(arrival.instant) }
        }
        switch position.step(event) {
        case .apply:
            let result = follow(event, from: feed, receivedTime: arrival.wallMilliseconds, into: &book)
            guard gapSince != nil, result.action == nil else { return result }
            return (.applied, applyWaiting(at: arrival.instant, into: &book))
        case .ignore:
            counts.ignored += 1
            if regression.sawOldIDs(
                feed, last: event.last, eventTime: event.eventTime, bookID: position.lastID,
                at: arrival.instant)
            {
                return (.ignored, startOver(.regression, keeping: event, from: feed, at: arrival))
            }
            if isFeedBehind(event, arrival.instant) {
                return (.ignored, startOver(.feedBehind, keeping: event, from: feed, at: arrival))
            }
            return (.ignored, giveUpGap(at: arrival.instant))
        case .gap: return (.buffered, meetGap(event, from: feed, at: arrival))
        case .malformed: return (.dropped, startOver(.malformedData))
        }
    }

    private mutating func forgetRestarts(_ now: ContinuousClock.Instant) {
        if let adoptedAt, now - adoptedAt >= Self.calm { restarts = 0 }
    }

    /// Ids that stay below the snapshot's mean that the snapshot is not of this feed's world.
    private func isFeedBehind(_ event: borrowing DepthEvent, _ now: ContinuousClock.Instant) -> Bool {
        guard !position.hasApplied, event.last < position.lastID, let adoptedAt else { return false }
        return now - adoptedAt > .seconds(5)
    }

    mutating func follow(
        _ event: borrowing DepthEvent, from feed: Int, receivedTime: Int64, into book: inout OrderBook
    ) -> (outcome: EventOutcome, action: SyncAction?) {
        do throws(BookError) {
            try book.apply(event, receivedTime: receivedTime)
        } catch {
            return (.dropped, startOver(.malformedData))
        }
        position.advance(to: event)
        regression.sawProgress(feed, last: event.last, eventTime: event.eventTime)
        recall?.append(event, receivedTime: receivedTime)
        counts.applied += 1
        return (.applied, inspect(&book))
    }

    /// Looks for a book that cannot be answered from, though its chain is whole.
    private mutating func inspect(_ book: inout OrderBook) -> SyncAction? {
        if book.hasLostCoverage { return startOver(.coverageExhausted) }
        if book.isEmpty {
            if acceptsEmpty { return nil }
            _ = startOver(.emptyBook)
            awaitsStatus = true
            return .askMarketStatus
        }
        acceptsEmpty = false
        let isCrossed = book.isCrossed
        if isCrossed, wasCrossed { return startOver(.crossedBook) }
        wasCrossed = isCrossed
        if !isCrossed { crossedSince = nil }
        keepWithinLimit(&book)
        return nil
    }

    func keepWithinLimit(_ book: inout OrderBook) {
        if max(book.bids.count, book.asks.count) > levelLimit { book.trim(to: levelLimit - levelLimit / 8) }
    }

    /// Drops the book's validity and asks for a snapshot: at once the first time, later and later in a storm.
    mutating func startOver(_ reason: OutOfSyncReason) -> SyncAction {
        if state == .live { counts.resyncs += 1 }
        clear()
        state = .collecting
        cause = reason
        if reason.needsExchange { needsExchange = true }
        attempt = max(attempt, restarts)
        restarts = min(restarts + 1, 16)
        return request()
    }

    mutating func startOver(
        _ reason: OutOfSyncReason, keeping event: borrowing DepthEvent, from feed: Int, at arrival: Arrival
    ) -> SyncAction {
        let action = startOver(reason)
        return collect(event, from: feed, at: arrival) ?? action
    }

    // MARK: Snapshots

    package mutating func receive(
        _ snapshot: borrowing BookSnapshot, for asked: SnapshotRequest, coverage: SnapshotCoverage,
        at arrival: Arrival, into book: inout OrderBook
    ) -> SyncAction? {
        guard state == .collecting, asked.number == requestNumber, !awaitsStatus else { return nil }
        counts.snapshots += 1
        if snapshot.bids.isEmpty, snapshot.asks.isEmpty, !acceptsEmpty {
            cause = .emptyBook
            awaitsStatus = true
            return .askMarketStatus
        }
        position = ChainPosition(rule: rule, snapshotID: snapshot.lastID)
        while let header = buffer.firstHeader, position.step(header) == .ignore {
            counts.ignored += 1
            buffer.removeFirst()
        }
        if isSnapshotTooOld {
            counts.staleSnapshots += 1
            cause = .snapshotTooOld
            return request()
        }
        do throws(BookError) {
            try book.load(snapshot, coverage: coverage, receivedTime: arrival.wallMilliseconds)
        } catch {
            return startOver(.malformedData)
        }
        return goLive(at: arrival, into: &book)
    }

    private mutating func goLive(at arrival: Arrival, into book: inout OrderBook) -> SyncAction? {
        let attemptsBefore = attempt
        state = .live
        wasLive = true
        attempt = 0
        adoptedAt = arrival.instant
        regression = RegressionWatch()
        wasCrossed = false
        if let action = inspect(&book) { return action }
        let action = applyWaiting(at: arrival.instant, into: &book, attemptsBefore: attemptsBefore)
        if action == nil { needsExchange = false }
        return action
    }

    package mutating func snapshotFailed(_ asked: SnapshotRequest) -> SyncAction? {
        guard state == .collecting, asked.number == requestNumber, !awaitsStatus else { return nil }
        return request()
    }

    // MARK: Status, time, outside knowledge

    package mutating func marketStatus(isTrading: Bool) -> SyncAction? {
        if case .failed(let isOpen) = state {
            guard isTrading else { return nil }
            cause = .awaitingSnapshot
            state = isOpen ? .collecting : .offline
            return isOpen ? request() : nil
        }
        guard awaitsStatus else { return nil }
        awaitsStatus = false
        guard isTrading else {
            fail(.marketNotTrading)
            return nil
        }
        acceptsEmpty = true
        return request()
    }

    package mutating func tick(at now: ContinuousClock.Instant) -> SyncAction? {
        if restarts > 0, state == .live { forgetRestarts(now) }
        guard state == .live || state == .collecting else { return nil }
        if regression.isOverdue(now) { return startOver(.regression) }
        return staysCrossed(now) ? startOver(.crossedBook) : giveUpGap(at: now)
    }

    /// Whether events have left a book crossed for longer than a moment, and none has come that would show it.
    ///
    /// One that the exchange's own snapshot shows so is served as the exchange shows it.
    private mutating func staysCrossed(_ now: ContinuousClock.Instant) -> Bool {
        guard state == .live, wasCrossed, position.hasApplied else {
            crossedSince = nil
            return false
        }
        let since = crossedSince ?? now
        crossedSince = since
        return now - since >= Self.crossedLimit
    }

    package mutating func invalidate(_ reason: OutOfSyncReason) -> SyncAction? {
        guard state == .live || state == .collecting else { return nil }
        return startOver(reason)
    }

    package mutating func fail(_ reason: OutOfSyncReason) {
        if state == .live { counts.resyncs += 1 }
        let isOpen = state != .offline && state != .failed(isOpen: false)
        clear()
        requestNumber += 1
        state = .failed(isOpen: isOpen)
        cause = reason
    }
}
