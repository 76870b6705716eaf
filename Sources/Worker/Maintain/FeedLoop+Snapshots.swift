import Binance
import Books
import DepthCacheAPI
import Telemetry
import Transport

/// What books ask of the exchange over REST, and what becomes of the answers.
extension FeedLoop {
    func perform(_ action: SyncAction, _ duty: BookDuty) {
        // Whatever it wants, it is not served now: there is nothing that a copy could meet.
        endFresh(duty, "the book went out of sync")
        switch action {
        case .fetchSnapshot(let request):
            var delay = Duration.zero
            if request.attempt > 1 {
                var backoff = RetryBackoff(first: .milliseconds(250), attempts: request.attempt - 2)
                delay = backoff.next()
            }
            let limit = duty.policy.firstLimit
            let terms = copyTerms(request, duty)
            order(.synchronize, limit: limit, after: delay, duty, copy: terms) { owner, duty, outcome in
                owner.answered(request, outcome, duty)
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

    private func answered(_ request: SnapshotRequest, _ outcome: SnapshotOutcome, _ duty: BookDuty) {
        var action: SyncAction?
        switch outcome {
        case .snapshot(let snapshot, let limit):
            action = take(snapshot, .limit(limit), for: request, duty)
        case .copy(let copy):
            action = take(copy.snapshot, copy.coverage, for: request, duty)
        case .unknownMarket(let message): return marketIsGone(duty, message)
        case .failed(let reason, let message):
            action = duty.book.state.withLock { state in
                if !state.book.isSynchronized { state.note = KeptBook.Note(reason: reason, message: message) }
                return state.book.snapshotFailed(request)
            }
        case .status: return
        }
        if let action { perform(action, duty) }
        report(duty)
    }

    /// The exchange does not know the market, or not any more.
    func marketIsGone(_ duty: BookDuty, _ message: String) {
        forgetDoubt(duty)
        duty.nextRevival = clock.now + .seconds(60)
        endFresh(duty, message)
        duty.book.state.withLock { state in
            state.book.fail(.unknownMarket)
            state.note = KeptBook.Note(reason: .unknownMarket, message: message)
        }
        report(duty)
    }

    private func take(
        _ snapshot: BookSnapshot, _ coverage: SnapshotCoverage, for request: SnapshotRequest,
        _ duty: BookDuty
    ) -> SyncAction? {
        let arrival = Arrival(instant: .now, wallMilliseconds: WallClock.milliseconds)
        let (action, reach) = duty.book.state.withLock { state in
            let wasLive = state.book.isSynchronized
            let action = state.book.receive(snapshot, for: request, coverage: coverage, at: arrival)
            if state.book.isSynchronized { state.note = nil }
            return (action, wasLive ? nil : state.book.readIfSynchronized { BookReach($0) })
        }
        if let reach {
            let now = clock.now
            if case .limit(let limit) = coverage {
                duty.policy.began(with: ReplySize(snapshot, limit: limit), now: now)
            } else {
                duty.policy.began(from: reach, now: now)
            }
            duty.lastCompared = now
            doubtAgain(duty)
            considerDepth(duty, now)
        }
        return action
    }

    func statusAnswered(_ outcome: SnapshotOutcome, _ duty: BookDuty) {
        var isTrading = false
        switch outcome {
        case .status(let trades): isTrading = trades
        case .unknownMarket: isTrading = false
        case .snapshot, .copy, .failed:
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
        duty.nextRevival = isTrading ? nil : clock.now + .seconds(60)
        if let action { perform(action, duty) }
        report(duty)
    }
}
