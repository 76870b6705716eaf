import Binance
import Books
import DepthCacheAPI
import Telemetry

/// Markets that stop trading, whether their streams fall silent or not.
extension FeedLoop {
    /// Asks each exchange about the markets of its books, when it is time for one of them.
    func askStatuses(_ now: Duration) {
        var due: [ObjectIdentifier: [BookDuty]] = [:]
        for duty in duties.values {
            let isDue = duty.marketReading.isDue(
                began: duty.collectsSince, spoke: duty.lastSpoke, statusPace, now: now)
            guard isDue, duty.isOpen, isFollowing(duty) else { continue }
            due[ObjectIdentifier(duty.venue), default: []].append(duty)
        }
        for duties in due.values { askStatuses(of: duties, now) }
    }

    /// Whether the book has what a market that trades would show; it may be withdrawn for a doubt.
    private func isFollowing(_ duty: BookDuty) -> Bool { duty.book.state.withLock { $0.book.isFollowing } }

    private func askStatuses(of due: [BookDuty], _ now: Duration) {
        guard let venue = due.first?.venue else { return }
        let key = ObjectIdentifier(venue)
        var round = statusRounds[key] ?? StatusRound()
        let hasSuspect = due.contains(where: \.marketReading.isSuspect)
        guard round.mayAsk(hasSuspect: hasSuspect, statusPace, now: now) else { return }
        let names = round.ask(
            Set(due.map { Exchange.canonicalMarket($0.book.id.market) }),
            byName: venue.exchange.listsMarketsByName, now: now)
        statusRounds[key] = round
        let sending = SendingTime(clock)
        let order = SnapshotOrder(
            purpose: .check, market: names.first ?? "", names: names, notBefore: now, willSend: sending.note
        ) { [weak self] outcome in
            self?.perform { $0.statusesAnswered(outcome, names: names, sentAt: sending.time, venue) }
        }
        venue.desk.submit(order)
    }

    private func statusesAnswered(
        _ outcome: SnapshotOutcome, names: [String], sentAt: Duration, _ venue: Venue
    ) {
        let key = ObjectIdentifier(venue)
        var statuses: [String: MarketStatus] = [:]
        switch outcome {
        // An exchange without markets says nothing of them.
        case .statuses(let told) where !told.isEmpty: statuses = told
        case .unknownMarket where names.count == 1: break
        case .unknownMarket:
            return statusRounds[key, default: .init()].failed(named: names.count, isUnknownMarket: true)
        default: return statusRounds[key, default: .init()].failed(named: names.count, isUnknownMarket: false)
        }
        statusRounds[key, default: .init()].answered()
        let asked = names.isEmpty ? nil : Set(names)
        for duty in duties.values where duty.venue === venue && isFollowing(duty) {
            let market = Exchange.canonicalMarket(duty.book.id.market)
            guard asked?.contains(market) ?? true, duty.collectsSince <= sentAt else { continue }
            read(statuses[market], sentAt: sentAt, duty)
        }
    }

    /// Takes what the exchange lists the market of a served book as; nil: it lists none of that name.
    ///
    /// An answer may be an old one, or a list of a part of the exchange: where the stream goes on, or the market is just
    /// missing, a second one has to say the same.
    private func read(_ status: MarketStatus?, sentAt: Duration, _ duty: BookDuty) {
        let wasSuspect = duty.marketReading.isSuspect
        duty.marketReading = MarketReading(at: sentAt)
        guard status?.isTrading != true else { return }
        let isSilent = clock.now - duty.lastSpoke >= Self.silenceBeforeProbe
        guard wasSuspect || isSilent && status != nil else {
            duty.marketReading.isSuspect = true
            return
        }
        closed(duty, status)
    }

    private func closed(_ duty: BookDuty, _ status: MarketStatus?) {
        endFresh(duty, "the market does not trade")
        forgetDoubt(duty)
        duty.nextRevival = clock.now + .seconds(60)
        let market = duty.book.id.market
        let words = status.map { "lists \(market) as not trading (\($0.word))" } ?? "does not list \(market)"
        duty.book.state.withLock { state in
            state.book.fail(.marketNotTrading)
            state.note = KeptBook.Note(reason: .marketNotTrading, message: "the exchange \(words)")
        }
        report(duty)
    }
}
