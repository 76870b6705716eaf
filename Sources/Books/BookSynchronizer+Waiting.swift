/// Events that cannot be applied yet: before a snapshot, or behind a gap that another connection may close.
extension BookSynchronizer {
    /// So long may a gap of one connection wait for another one that brings what is missing.
    package static let gapPatience: Duration = .milliseconds(500)
    /// Stands for the connection of events that have waited.
    private static let waitingRoom = -1

    /// Keeps an event that came before the snapshot.
    mutating func collect(
        _ event: borrowing DepthEvent, from feed: Int, at arrival: Arrival
    ) -> SyncAction? {
        guard let previous = event.previous(under: rule), event.first <= event.last else {
            return startOver(.malformedData)
        }
        if !buffer.isEmpty, event.last <= bufferedLast {
            if regression.sawOldIDs(
                feed, last: event.last, eventTime: event.eventTime, bookID: bufferedLast, at: arrival.instant)
            {
                return startOver(.regression, keeping: event, from: feed, at: arrival)
            }
        } else {
            // What lies before a hole can be used only if another connection fills it.
            if !buffer.isEmpty, previous > bufferedLast {
                counts.gaps += 1
                if feedCount <= 1 { buffer.removeAll() }
            }
            bufferedLast = event.last
            regression.sawProgress(feed, last: event.last, eventTime: event.eventTime)
        }
        if !buffer.append(event, receivedTime: arrival.wallMilliseconds) {
            buffer.removeAll()
            cause = .bufferOverflow
            // The newest event stays: it shows a later snapshot that something before it is missing.
            _ = buffer.append(event, receivedTime: arrival.wallMilliseconds)
            bufferedLast = event.last
        }
        return nil
    }

    /// Lets the events that `origin` remembers wait here, as if this copy had begun with them.
    mutating func remember(_ origin: borrowing BookSynchronizer) {
        guard let recall = origin.recall, !recall.events.isEmpty else { return }
        buffer = recall.events
        bufferedLast = origin.position.lastID
    }

    /// The smallest id that one of the waiting events follows on.
    var leastSnapshotID: Int64 {
        var least: Int64?
        buffer.forEachHeader { header in
            if let previous = header.previous(under: rule) { least = min(least ?? previous, previous) }
            return true
        }
        return max(0, least ?? 0)
    }

    /// Whether nothing that waits follows on the snapshot at which `position` stands, though something is newer.
    var isSnapshotTooOld: Bool {
        var (follows, isNewer) = (false, false)
        buffer.forEachHeader { header in
            switch position.step(header) {
            case .apply: follows = true
            case .gap, .malformed: isNewer = true
            case .ignore: break
            }
            return !follows
        }
        return isNewer && !follows
    }

    /// A live book misses something before `event`: waits for another connection to bring it, or starts over.
    mutating func meetGap(
        _ event: borrowing DepthEvent, from feed: Int, at arrival: Arrival
    ) -> SyncAction? {
        counts.gaps += position.hasApplied ? 1 : 0
        let mayWait = feedCount > 1 && !isGapOverdue(arrival.instant)
        if mayWait, buffer.append(event, receivedTime: arrival.wallMilliseconds) {
            gapSince = gapSince ?? arrival.instant
            return nil
        }
        let action = abandonGap(at: arrival.instant)
        // What the event itself asks for is the newer request: an answer to the other one would be dropped.
        return collect(event, from: feed, at: arrival) ?? action
    }

    private func isGapOverdue(_ now: ContinuousClock.Instant) -> Bool {
        gapSince.map { now - $0 >= Self.gapPatience } ?? false
    }

    /// Starts over if no connection has closed the gap in time.
    mutating func giveUpGap(at now: ContinuousClock.Instant) -> SyncAction? {
        state == .live && isGapOverdue(now) ? abandonGap(at: now) : nil
    }

    /// Starts over with the events behind the gap, which a newer snapshot can be followed by.
    ///
    /// They are collected like new ones: some may be of a world that the exchange has left.
    private mutating func abandonGap(at now: ContinuousClock.Instant) -> SyncAction {
        var waiting = buffer
        var action = startOver(position.hasApplied ? .gap : .snapshotTooOld)
        var event = DepthEvent()
        while let receivedTime = waiting.popFirst(into: &event) {
            let arrival = Arrival(instant: now, wallMilliseconds: receivedTime)
            if let other = collect(event, from: Self.waitingRoom, at: arrival) { action = other }
        }
        return action
    }

    /// Applies to a live book whatever of the waiting events follows on it, in whatever order it came.
    mutating func applyWaiting(
        at now: ContinuousClock.Instant, into book: inout OrderBook, attemptsBefore: Int = 0
    ) -> SyncAction? {
        var event = DepthEvent()
        swap(&event, &scratch)
        defer { swap(&event, &scratch) }
        var hasMoved = false
        var isMoving = true
        while isMoving {
            isMoving = false
            for _ in 0..<buffer.count {
                guard let receivedTime = buffer.popFirst(into: &event) else { break }
                switch position.step(event) {
                case .ignore: counts.ignored += 1
                case .apply:
                    isMoving = true
                    hasMoved = true
                    let result = follow(
                        event, from: Self.waitingRoom, receivedTime: receivedTime, into: &book)
                    if let action = result.action { return action }
                case .gap, .malformed: _ = buffer.append(event, receivedTime: receivedTime)
                }
            }
        }
        if buffer.isEmpty {
            gapSince = nil
        } else if feedCount > 1 || gapSince != nil {
            // What is missing now is another gap, with its own time.
            gapSince = hasMoved ? now : gapSince ?? now
        } else {
            counts.gaps += 1
            attempt = attemptsBefore
            return abandonGap(at: now)
        }
        return nil
    }
}
