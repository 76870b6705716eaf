import Binance
import Books
import DepthCacheAPI
import Telemetry
import Transport

/// What books ask of the exchange over REST, and what becomes of the answers.
extension FeedLoop {
    func perform(_ action: SyncAction, _ duty: BookDuty, isSpare: Bool) {
        switch action {
        case .fetchSnapshot(let request):
            var delay = Duration.zero
            if request.attempt > 1 {
                var backoff = RetryBackoff(first: .milliseconds(250), attempts: request.attempt - 2)
                delay = backoff.next()
            }
            let limit = duty.venue.exchange.snapshotLimit(forDepth: duty.depth)
            let terms = copyTerms(request, duty, limit: limit, isSpare: isSpare)
            order(isSpare ? .refresh : .synchronize, limit: limit, after: delay, duty, copy: terms) {
                owner, duty, outcome in
                owner.answered(request, outcome, duty, isSpare: isSpare)
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
        copy: CopyTerms? = nil,
        _ completion: @escaping @Sendable (isolated FeedLoop, BookDuty, SnapshotOutcome) -> Void
    ) {
        let book = duty.book
        duty.venue.source.submit(
            SnapshotOrder(
                purpose: purpose, book: ObjectIdentifier(book), market: book.id.market, limit: limit,
                notBefore: clock.now + delay, copy: copy
            ) {
                [weak self] outcome in
                self?.perform { owner in
                    guard let duty = owner.duties[book.id], duty.book === book else { return }
                    completion(owner, duty, outcome)
                }
            })
    }

    private func answered(
        _ request: SnapshotRequest, _ outcome: SnapshotOutcome, _ duty: BookDuty, isSpare: Bool
    ) {
        var action: SyncAction?
        switch outcome {
        case .snapshot(let snapshot, let limit):
            action = take(snapshot, .limit(limit), for: request, duty, isSpare: isSpare)
        case .copy(let copy):
            action = take(copy.snapshot, copy.coverage, for: request, duty, isSpare: isSpare)
        case .unknownMarket(let message):
            duty.nextRevival = clock.now + .seconds(60)
            duty.book.state.withLock { state in
                state.spare = nil
                state.book.fail(.unknownMarket)
                state.note = KeptBook.Note(reason: .unknownMarket, message: message)
            }
        case .failed(let reason, let message):
            action = duty.book.state.withLock { state in
                if isSpare {
                    state.spare = nil
                    return nil
                }
                if !state.book.isSynchronized { state.note = KeptBook.Note(reason: reason, message: message) }
                return state.book.snapshotFailed(request)
            }
        case .status: return
        }
        if let action { perform(action, duty, isSpare: isSpare) }
        report(duty)
    }

    private func take(
        _ snapshot: BookSnapshot, _ coverage: SnapshotCoverage, for request: SnapshotRequest,
        _ duty: BookDuty, isSpare: Bool
    ) -> SyncAction? {
        let arrival = Arrival(instant: .now, wallMilliseconds: WallClock.milliseconds)
        duty.lastReplyLevels = min(snapshot.bids.count, snapshot.asks.count)
        return duty.book.state.withLock { state in
            guard isSpare else {
                let action = state.book.receive(snapshot, for: request, coverage: coverage, at: arrival)
                if state.book.isSynchronized { state.note = nil }
                return action
            }
            guard state.spare != nil else { return nil }
            let action = state.spare?.receive(snapshot, for: request, coverage: coverage, at: arrival)
            state.adoptSpare()
            return action ?? nil
        }
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
        if let action { perform(action, duty, isSpare: false) }
        report(duty)
    }
}
