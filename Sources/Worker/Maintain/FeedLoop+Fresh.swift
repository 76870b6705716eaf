import Binance
import Books
import DepthCacheAPI
import Telemetry

/// Copies beside served books: deeper ones, newer ones, and those that only show whether the book is right.
///
/// All go one way: an order waits for its weight, then a copy begins to collect, takes the snapshot and follows the
/// events until it meets the book at one id. There both are compared, and the book takes what the copy knows more.
extension FeedLoop {
    /// A copy that has its snapshot and has not met its book for so long is given up.
    static let followLimit: Duration = .seconds(60)
    /// So long may a snapshot be newer than everything that the stream brings.
    static let feedBehindLimit: Duration = .seconds(5)
    /// So often is a snapshot fetched anew that does not meet the stream.
    static let freshAttempts = 5

    /// Lets the policy look at the book, and passes on what it wants.
    func considerDepth(_ duty: BookDuty, _ now: Duration) {
        guard let reach = duty.book.reach else { return }
        let standings = duty.policy.standings(reach: reach, now: now)
        if standings != duty.standings {
            duty.standings = standings
            report(duty)
        }
        // An audit gives way, also to be compared sooner: any copy is.
        guard duty.freshOrder.map({ $0.purpose == .audit && $0.reply == nil }) ?? true,
            let wish = duty.policy.wish(reach: reach, now: now, random: .random(in: 0...1))
        else { return }
        duty.policy.asked(wish, now: now)
        orderFresh(wish.motive == .deepen ? .deepen : .refresh, limit: wish.limit, duty)
    }

    /// Orders a copy; one that was ordered before is not wanted any more.
    func orderFresh(_ purpose: SnapshotOrder.Purpose, limit: Int, _ duty: BookDuty) {
        duty.freshOrders += 1
        let fresh = BookDuty.FreshOrder(number: duty.freshOrders, purpose: purpose, limit: limit)
        duty.freshOrder = fresh
        duty.book.state.withLock { state in
            state.freshOrder = fresh.number
            state.fresh = nil
        }
        submit(fresh, after: .zero, duty)
    }

    private func submit(_ fresh: BookDuty.FreshOrder, after delay: Duration, _ duty: BookDuty) {
        let book = duty.book
        order(
            fresh.purpose, limit: fresh.limit, after: delay, duty, copy: copyTerms(fresh, duty),
            willSend: { [weak self] in
                // Whatever the exchange says from now on is collected.
                if book.beginFresh(fresh.number, fresh.purpose, at: .now) { return true }
                self?.perform { $0.wasNotBegun(fresh.number, book) }
                return false
            }
        ) { owner, duty, outcome in
            owner.freshAnswered(outcome, fresh.number, duty)
        }
    }

    private func wasNotBegun(_ number: Int, _ book: KeptBook) {
        guard let duty = duties[book.id], duty.book === book, duty.freshOrder?.number == number else {
            return
        }
        endFresh(duty, "the book is not in sync")
    }

    private func freshAnswered(_ outcome: SnapshotOutcome, _ number: Int, _ duty: BookDuty) {
        guard let fresh = duty.freshOrder, fresh.number == number else { return }
        switch outcome {
        case .snapshot(let snapshot, let limit):
            adopt(snapshot, .limit(limit), ReplySize(snapshot, limit: limit), duty)
        case .copy(let copy):
            // It was taken because it shows enough.
            let cut = [
                copy.coverage.ofSide(.bids) == .whole ? nil : copy.snapshot.bids.count,
                copy.coverage.ofSide(.asks) == .whole ? nil : copy.snapshot.asks.count,
            ]
            let size = ReplySize(limit: fresh.limit, levels: cut.compactMap(\.self).min())
            adopt(copy.snapshot, copy.coverage, size, duty)
        case .failed(let reason, let message): endFresh(duty, "\(reason): \(message)")
        case .unknownMarket(let message):
            // One answer does not end a book whose stream speaks.
            guard clock.now - duty.lastSpoke >= Self.silenceBeforeProbe else {
                return endFresh(duty, message)
            }
            marketIsGone(duty, message)
        case .status, .statuses: return
        }
    }

    private func adopt(
        _ snapshot: BookSnapshot, _ coverage: SnapshotCoverage, _ size: ReplySize, _ duty: BookDuty
    ) {
        let arrival = Arrival(instant: .now, wallMilliseconds: WallClock.milliseconds)
        duty.freshOrder?.reply = size
        duty.freshOrder?.answeredAt = clock.now
        let (isThere, action, meeting) = duty.book.state.withLock { state in
            guard state.fresh != nil else { return (false, SyncAction?.none, Meeting?.none) }
            let action = state.fresh?.receive(snapshot, coverage: coverage, at: arrival)
            return (true, action ?? nil, state.meet())
        }
        guard isThere else { return endFresh(duty, "the copy was not begun") }
        if let action { freshAsks(action, duty) }
        if let meeting { met(meeting, duty) }
    }

    /// The copy needs another snapshot: the one it got does not meet what it has heard.
    func freshAsks(_ action: SyncAction, _ duty: BookDuty) {
        guard var fresh = duty.freshOrder else { return }
        guard case .fetchSnapshot(let request) = action, request.attempt <= Self.freshAttempts else {
            return endFresh(duty, "the exchange's snapshots do not meet the stream")
        }
        fresh.needsExchange = request.needsExchange
        (fresh.reply, fresh.answeredAt) = (nil, nil)
        duty.freshOrder = fresh
        var backoff = RetryBackoff(first: .milliseconds(250), attempts: max(0, request.attempt - 2))
        submit(fresh, after: backoff.next(), duty)
    }

    /// The copy and its book stand at one id.
    func met(_ meeting: Meeting, _ duty: BookDuty) {
        let now = clock.now
        let reply = duty.freshOrder?.reply
        forgetFresh(duty)
        let dump = meeting.evidence.flatMap { evidence?.keep($0, meeting.audit, of: duty.book.id) }
        let record = AuditRecord(meeting, dump: dump)
        if let reply, meeting.purpose != .audit { duty.policy.adopted(reply, now: now) }
        if !meeting.isPeerCopy { audited(duty, record, now) }
        if !record.isExact {
            Self.log.warning(
                "Book differs",
                ["book": duty.book.id.description, "message": record.words, "dump": dump ?? ""])
            invalidate(duty, .auditMismatch)
        }
        considerDepth(duty, now)
        report(duty)
        guard meeting.isPeerCopy else { return answerWaiters(duty, .compared(record)) }
        // Another worker's book is no answer to who asked for an audit.
        if duty.auditWaiters.isEmpty || duty.freshOrder != nil { return }
        if record.isExact {
            orderFresh(.refresh, limit: duty.policy.targetLimit, duty)
        } else {
            answerWaiters(duty, .unavailable(record.words))
        }
    }

    private func audited(_ duty: BookDuty, _ record: AuditRecord, _ now: Duration) {
        // Results that only repeat what was told are told once a minute.
        if !record.isExact || duty.lastAudit.map({ !$0.isExact || record.time - $0.time >= 60_000 }) ?? true {
            duty.lastAudit = record
        }
        duty.lastCompared = now
        duty.book.state.withLock { $0.lastAudit = record }
        (record.isExact ? duty.venue.matches : duty.venue.mismatches).add()
    }

    /// Gives up the copy; the policy asks again after a while.
    func endFresh(_ duty: BookDuty, _ words: String) {
        guard let fresh = duty.freshOrder else { return }
        forgetFresh(duty)
        if fresh.purpose == .audit {
            duty.venue.unfinishedAudits.add()
        } else {
            duty.policy.failed(now: clock.now)
        }
        answerWaiters(duty, .unavailable(words))
    }

    private func forgetFresh(_ duty: BookDuty) {
        duty.freshOrder = nil
        duty.book.state.withLock { state in
            state.freshOrder = nil
            state.fresh = nil
        }
    }

    /// Ends a copy that does not come to its book, and the belief in a feed that stays behind a snapshot.
    func watchFresh(_ duty: BookDuty, _ now: Duration) {
        guard let fresh = duty.freshOrder, let answeredAt = fresh.answeredAt else { return }
        let isAhead = duty.book.state.withLock { state in
            guard let id = state.book.readIfSynchronized({ $0.lastID }) else { return false }
            return state.fresh?.book.readIfSynchronized { $0.lastID > id } ?? nil ?? false
        }
        if isAhead, let since = fresh.aheadSince, now - since >= Self.feedBehindLimit {
            // Ids of some exchanges count all their markets: a newer one need not mean that something has happened here.
            if let meeting = duty.book.state.withLock({ $0.meet(isAhead: true) }) {
                return met(meeting, duty)
            }
            endFresh(duty, "the stream stays behind the exchange's snapshot")
            return streamDied(duty, .feedBehind)
        }
        if !isAhead {
            duty.freshOrder?.aheadSince = nil
        } else if fresh.aheadSince == nil {
            duty.freshOrder?.aheadSince = now
        }
        if now - answeredAt >= Self.followLimit { endFresh(duty, "the copy did not meet the book") }
    }
}
