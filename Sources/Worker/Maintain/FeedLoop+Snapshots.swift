import Binance
import Books
import DepthCacheAPI
import Telemetry
import Transport

/// What books ask of the exchange over REST, and what becomes of the answers.
extension FeedLoop {
    /// Does what the book asks for; `collectsOn`: it has kept the events that came since it asked before.
    func perform(_ action: SyncAction, _ duty: BookDuty, collectsOn: Bool = false) {
        // Whatever it wants, it is not served now: there is nothing that a copy could meet, or that could be doubted.
        endFresh(duty, "the book went out of sync")
        forgetDoubt(duty)
        if !collectsOn { duty.collectsSince = clock.now }
        // Two answers with a restart between are not in a row: it begins with a first one.
        if duty.marketReading.isDoubtful { duty.marketReading = MarketReading() }
        switch action {
        case .fetchSnapshot(let request):
            var delay = Duration.zero
            if request.attempt > 1 {
                var backoff = RetryBackoff(first: .milliseconds(250), attempts: request.attempt - 2)
                delay = backoff.next()
            }
            let limit = duty.policy.firstLimit
            let terms = copyTerms(request, duty)
            // Ids that have begun anew make those that other lines have brought mean nothing.
            if request.reason == .regression {
                for line in duty.lines { line.lastID = 0 }
                duty.newestID = 0
            }
            let sending = SendingTime(clock)
            order(
                .synchronize, limit: limit, after: delay, duty, copy: terms, willSend: sending.note
            ) { owner, duty, outcome in
                owner.answered(request, outcome, sentAt: sending.time, duty)
            }
        case .askMarketStatus:
            order(.status, limit: 0, after: .zero, duty) { owner, duty, outcome in
                owner.statusAnswered(outcome, duty)
            }
        }
    }

    /// Sends an order to the desk; the answer comes back on the loop, unless the book has left it.
    func order(
        _ purpose: SnapshotOrder.Purpose, limit: Int, after delay: Duration, _ duty: BookDuty,
        copy: CopyTerms? = nil, willSend: (@Sendable () -> Bool)? = nil,
        completion: @escaping @Sendable (isolated FeedLoop, BookDuty, SnapshotOutcome) -> Void
    ) {
        let book = duty.book
        duty.venue.source.submit(
            SnapshotOrder(
                purpose: purpose, book: ObjectIdentifier(book), market: book.id.market, limit: limit,
                notBefore: clock.now + delay, copy: copy, willSend: willSend
            ) {
                [weak self] outcome in
                self?.perform { owner in
                    guard let duty = owner.duties[book.id], duty.book === book else { return }
                    completion(owner, duty, outcome)
                }
            })
    }

    private func answered(
        _ request: SnapshotRequest, _ outcome: SnapshotOutcome, sentAt: Duration, _ duty: BookDuty
    ) {
        var action: SyncAction?
        var collectsOn = false
        switch outcome {
        case .snapshot(let snapshot, let limit):
            let lag = duty.venue.exchange.family.snapshotLag
            let mayBeOld = sentAt - duty.collectsSince < lag
            action = take(snapshot, .limit(limit), mayBeOld: mayBeOld, for: request, duty)
        case .copy(let copy):
            action = take(copy.snapshot, copy.coverage, mayBeOld: false, for: request, duty)
        case .unknownMarket(let message): return marketIsGone(duty, message)
        case .failed(let reason, let message):
            collectsOn = true
            action = duty.book.state.withLock { state in
                if !state.book.isSynchronized { state.note = KeptBook.Note(reason: reason, message: message) }
                return state.book.snapshotFailed(request)
            }
        case .status, .statuses: return
        }
        if let action { perform(action, duty, collectsOn: collectsOn) }
        report(duty)
    }

    /// The exchange does not know the market, or not any more.
    func marketIsGone(_ duty: BookDuty, _ message: String) {
        forgetDoubt(duty)
        duty.failed(now: clock.now)
        endFresh(duty, message)
        duty.book.state.withLock { state in
            state.book.fail(.unknownMarket)
            state.note = KeptBook.Note(reason: .unknownMarket, message: message)
        }
        report(duty)
    }

    /// Gives the book its snapshot; nobody reads it in between if it is not to be believed yet.
    private func take(
        _ snapshot: BookSnapshot, _ coverage: SnapshotCoverage, mayBeOld: Bool, for request: SnapshotRequest,
        _ duty: BookDuty
    ) -> SyncAction? {
        let arrival = Arrival(instant: .now, wallMilliseconds: WallClock.milliseconds)
        let (isStalled, isDoubted) = (duty.isStalled, duty.isMute || duty.lateness.fault != nil)
        let newestID = duty.newestID
        let (action, began, isOld) = duty.book.state.withLock { state in
            let wasFollowing = state.book.isFollowing
            let waiting = state.book.bufferedEvents
            if !wasFollowing { state.book.resume() }
            let action = state.book.receive(snapshot, for: request, coverage: coverage, at: arrival)
            // What came since the book began to collect shows whether the snapshot leads to it, unless a late connection has
            // brought what another one had told before.
            let isBehind = state.book.followedID.map { $0 < newestID } ?? false
            let isOld = mayBeOld && (waiting == 0 || isBehind)
            if state.book.isSynchronized { state.note = nil }
            let began =
                wasFollowing
                ? nil : state.book.readIfSynchronized { (reach: BookReach($0), id: $0.lastID) }
            if began != nil, isDoubted || isOld { state.book.suspend(.streamSilent) }
            if !wasFollowing, isStalled { state.book.suspend(.loopStalled) }
            return (action, began, isOld)
        }
        if let began {
            let now = clock.now
            if case .limit(let limit) = coverage {
                duty.policy.began(with: ReplySize(snapshot, limit: limit), now: now)
            } else {
                duty.policy.began(from: began.reach, now: now)
            }
            duty.lastCompared = now
            duty.mayBeOld = isOld
            doubtAgain(duty, at: began.id)
            considerDepth(duty, now)
        }
        return action
    }

    /// Asks for another snapshot in place of one that may be older than the stream, as soon as that one cannot be.
    ///
    /// Not by a probe: those wait for their ration, and ids of options count all markets, so that it would show a newer one.
    func replaceOldSnapshot(_ duty: BookDuty, _ now: Duration) {
        let since = duty.collectsSince
        guard now - since >= duty.venue.exchange.family.snapshotLag else { return }
        let hasHeardNothing = duty.book.state.withLock { $0.book.bufferedEvents == 0 }
        invalidate(duty, .snapshotTooOld)
        // Starting over has dropped no event then that is newer than `since`.
        if hasHeardNothing { duty.collectsSince = since }
    }

    func statusAnswered(_ outcome: SnapshotOutcome, _ duty: BookDuty) {
        // The exchange may list a contract for a while after its end.
        guard !duty.hasEnded else { return }
        var isTrading = false
        switch outcome {
        case .status(let trades): isTrading = trades
        case .unknownMarket: isTrading = false
        case .snapshot, .copy, .statuses, .failed:
            // Not known: ask again later, and until then the book stays as it is.
            duty.nextRevival = clock.now + .seconds(5)
            return
        }
        let market = duty.book.id.market
        let action = duty.book.state.withLock { state in
            let action = state.book.marketStatus(isTrading: isTrading)
            if isTrading {
                state.note = nil
            } else if state.note == nil {
                state.note = KeptBook.Note(
                    reason: .marketNotTrading, message: "the exchange lists \(market) as not trading")
            }
            return action
        }
        if isTrading {
            (duty.nextRevival, duty.failedAt, duty.marketReading) = (nil, nil, MarketReading())
        } else {
            duty.failed(now: clock.now)
        }
        if let action { perform(action, duty) }
        report(duty)
    }
}

extension ExchangeFamily {
    /// So old may the book be that the exchange answers with: that of options comes from a cache.
    var snapshotLag: Duration { self == .options ? .seconds(30) : .zero }
}

/// When an order was sent, which may be long after it was given; until then when it was given.
final class SendingTime: Sendable {
    private let clock: WorkerClock
    private let sentAt: Guarded<Duration>

    init(_ clock: WorkerClock) {
        self.clock = clock
        sentAt = Guarded(clock.now)
    }

    var time: Duration { sentAt.withLock { $0 } }

    /// Called just before the request goes out.
    @Sendable func note() -> Bool {
        let now = clock.now
        sentAt.withLock { $0 = now }
        return true
    }
}
