import Binance
import Books
import DepthCacheAPI
import Telemetry

/// What books need as time passes: regression watch, probes of silent streams, fresh levels, another try.
extension FeedLoop {
    static let silenceBeforeProbe: Duration = .seconds(30)
    static let probeGrace: Duration = .seconds(5)
    /// So long may probes of a silent stream fail before its book is withdrawn.
    static let unprovenLimit: Duration = .seconds(60)
    static let probeRetry: Duration = .seconds(10)

    func tickBooks(now: Duration) {
        let instant = clock.instant(now)
        var silent: [BookDuty] = []
        for duty in duties.values {
            dismissWaiters(duty, now)
            if endIfExpired(duty) { continue }
            if let revival = duty.nextRevival, revival <= now { revive(duty) }
            guard duty.isOpen else { continue }
            if let action = duty.book.state.withLock({ $0.book.tick(at: instant) }) {
                perform(action, duty)
                report(duty)
            }
            if isDead(duty, now) {
                streamDied(duty)
                continue
            }
            if duty.mayBeOld {
                replaceOldSnapshot(duty, now)
                continue
            }
            let isSilent = now - duty.lastEvent >= Self.silenceBeforeProbe
            if isSilent { doubtIfUnproven(duty, now) }
            if isSilent, !duty.isProbing, duty.awaited == nil, duty.nextProbe <= now { silent.append(duty) }
            watchFresh(duty, now)
            considerDepth(duty, now)
            replaceLate(duty, now)
        }
        askStatuses(now)
        auditNext(now)
        readClocks()
        for duty in silent.sorted(by: { $0.lastEvent < $1.lastEvent }) { probe(duty, now) }
    }

    /// A snapshot over a stream that says nothing would be as stale soon: the book waits until the stream is acknowledged anew.
    func streamDied(_ duty: BookDuty, _ cause: OutOfSyncReason = .streamSilent) {
        duty.isMute = true
        for line in duty.lines {
            line.feed.machine.renew(duty.book.stream)
            close(line, cause, nil)
        }
    }

    func liveID(_ duty: BookDuty) -> Int64? {
        duty.book.state.withLock { state in state.book.readIfSynchronized { $0.lastID } }
    }

    private func isDead(_ duty: BookDuty, _ now: Duration) -> Bool {
        guard let awaited = duty.awaited else { return false }
        guard let id = duty.doubtedID ?? liveID(duty), id < awaited.snapshot.lastID else {
            duty.awaited = nil
            return false
        }
        guard awaited.until <= now else { return false }
        duty.awaited = nil
        if duty.venue.exchange.sequenceRule == .linked, shows(awaited.snapshot, duty) {
            // Ids of these families count all markets: this one was another's.
            duty.lastEvent = now
            believe(duty)
            return false
        }
        return true
    }

    /// Withdraws a book whose stream is silent while nobody can say whether that is right.
    ///
    /// Probes that only wait their turn at an exchange that answers do not count.
    private func doubtIfUnproven(_ duty: BookDuty, _ now: Duration) {
        guard duty.doubtedID == nil, let since = duty.unprovenSince, now - since >= Self.unprovenLimit,
            duty.didProbeFail || now - duty.venue.desk.answeredAt >= Self.unprovenLimit,
            let id = liveID(duty)
        else { return }
        duty.doubtedID = id
        endFresh(duty, "nobody says whether the stream lives")
        duty.book.state.withLock { state in
            state.book.suspend(.streamSilent)
            state.note = KeptBook.Note(
                reason: .probeFailed,
                message:
                    "the stream is silent and \(duty.venue.exchange.restBaseURL) does not say whether it lives"
            )
        }
        report(duty)
    }

    /// Something has explained the silence: ends the doubt.
    func believe(_ duty: BookDuty) {
        duty.isMute = false
        guard forgetDoubt(duty) else { return }
        resume(duty)
        report(duty)
    }

    /// Forgets what probes and its snapshot said, without making the book readable; says whether it was doubted.
    @discardableResult func forgetDoubt(_ duty: BookDuty) -> Bool {
        duty.mayBeOld = false
        duty.unprovenSince = nil
        duty.didProbeFail = false
        guard duty.doubtedID != nil else { return false }
        duty.doubtedID = nil
        duty.book.state.withLock { $0.note = nil }
        return true
    }

    /// Asks the exchange for a silent stream's id, at the cheapest limit.
    private func probe(_ duty: BookDuty, _ now: Duration) {
        guard duty.doubtedID != nil || liveID(duty) != nil else { return }
        duty.isProbing = true
        if duty.unprovenSince == nil { duty.unprovenSince = now }
        let limit = duty.venue.exchange.snapshotLimits.first?.levels ?? 5
        let sending = SendingTime(clock)
        order(.probe, limit: limit, after: .zero, duty, willSend: sending.note) { owner, duty, outcome in
            owner.probed(outcome, sentAt: sending.time, duty)
        }
    }

    private func probed(_ outcome: SnapshotOutcome, sentAt: Duration, _ duty: BookDuty) {
        duty.isProbing = false
        // A contract that has expired is silent and unknown.
        if case .unknownMarket(let message) = outcome { return marketIsGone(duty, message) }
        let now = clock.now
        // One that was sent while the book was another says nothing of this one.
        guard duty.nextProbe <= sentAt, !duty.mayBeOld else { return }
        guard duty.doubtedID != nil || now - duty.lastEvent >= Self.silenceBeforeProbe else { return }
        guard case .snapshot(let snapshot, _) = outcome else {
            duty.didProbeFail = true
            duty.nextProbe = now + Self.probeRetry
            return
        }
        guard let id = duty.doubtedID ?? liveID(duty) else { return }
        let isEmpty = snapshot.bids.isEmpty && snapshot.asks.isEmpty
        // An older id with other levels is no book that ours has been: the exchange's answers are stuck, or its ids have begun anew.
        let isContradicted = (isEmpty || snapshot.lastID < id) && !shows(snapshot, duty)
        if isEmpty, isContradicted { duty.marketReading.at = nil }
        if snapshot.lastID > id {
            duty.awaited = (snapshot, now + Self.probeGrace)
        } else if isContradicted {
            // No event explains it, and what is served may be wrong or closed: this is no proof of anything. The first of them
            // says so now, however long the probe has waited for its turn.
            if !duty.didProbeFail { duty.unprovenSince = now }
            duty.didProbeFail = true
            duty.nextProbe = now + Self.probeRetry
        } else {
            // Nothing has happened at the exchange either: the stream is as good as one that just spoke.
            duty.lastEvent = now
            believe(duty)
        }
    }

    /// A failed book, or one whose market's status could not be learned, asks once more.
    private func revive(_ duty: BookDuty) {
        duty.nextRevival = nil
        let failedAt = duty.failedAt
        order(.status, limit: 0, after: .zero, duty) { owner, duty, outcome in
            // An answer to a question about others may have come before.
            if duty.failedAt == failedAt { owner.statusAnswered(outcome, duty) }
        }
    }
}
