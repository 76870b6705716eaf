import Binance
import Books
import DepthCacheAPI
import Telemetry

/// Markets that stop trading, whether their streams fall silent or not.
extension FeedLoop {
    /// For so long a book that has failed does not listen to answers about others, which may be older than they look.
    static let rideAlongRest: Duration = .seconds(30)

    /// Asks each exchange about the markets of its books, when it is time for one of them.
    func askStatuses(_ now: Duration) {
        var due: [ObjectIdentifier: [BookDuty]] = [:]
        for duty in duties.values {
            guard duty.marketReading.isDue(spoke: duty.lastSpoke, statusPace, now: now), duty.isOpen,
                isFollowing(duty)
            else { continue }
            due[ObjectIdentifier(duty.venue), default: []].append(duty)
        }
        for books in due.values { askStatuses(of: books, now) }
    }

    /// Whether the book has what a market that trades would show; it may be withdrawn for a doubt.
    private func isFollowing(_ duty: BookDuty) -> Bool { duty.book.state.withLock { $0.book.isFollowing } }

    private func askStatuses(of due: [BookDuty], _ now: Duration) {
        guard let venue = due.first?.venue else { return }
        let key = ObjectIdentifier(venue)
        let suspects = due.filter(\.marketReading.isDoubtful)
        guard
            statusRounds[key, default: .init()].mayAsk(hasSuspect: !suspects.isEmpty, statusPace, now: now)
        else { return }
        let names = statusRounds[key, default: .init()].ask(
            marketNames(suspects.isEmpty ? due : suspects), areSuspects: !suspects.isEmpty,
            byName: venue.exchange.listsMarketsByName, now: now)
        let sending = SendingTime(clock)
        let order = SnapshotOrder(
            purpose: .check, market: names.joined(separator: " "), names: names, notBefore: now,
            willSend: sending.note
        ) { [weak self] outcome in
            self?.perform { $0.statusesAnswered(outcome, names: names, sentAt: sending.time, venue) }
        }
        venue.desk.submit(order)
    }

    /// Their markets, each once, the one that has waited longest first.
    private func marketNames(_ duties: [BookDuty]) -> [String] {
        var readAt: [String: Duration] = [:]
        for duty in duties {
            let market = Exchange.canonicalMarket(duty.book.id.market)
            let at = duty.marketReading.at ?? .zero
            readAt[market] = min(readAt[market] ?? at, at)
        }
        return readAt.sorted { ($0.value, $0.key) < ($1.value, $1.key) }.map(\.key)
    }

    private func statusesAnswered(
        _ outcome: SnapshotOutcome, names: [String], sentAt: Duration, _ venue: Venue
    ) {
        let key = ObjectIdentifier(venue)
        var statuses: [String: MarketStatus] = [:]
        switch outcome {
        // An exchange without markets says nothing of them, unless it was asked for one.
        case .statuses(let told) where !told.isEmpty || names.count == 1: statuses = told
        case .unknownMarket where names.count == 1: break
        case .unknownMarket where !names.isEmpty:
            statusRounds[key, default: .init()].foundUnknown(among: names.count)
            return
        default:
            var isRefused = true
            if case .failed(let reason, _) = outcome { isRefused = reason == .snapshotFailed }
            statusRounds[key, default: .init()].failed(named: names.count, isRefused: isRefused)
            return
        }
        statusRounds[key, default: .init()].answered(sentAt: sentAt)
        let asked = names.isEmpty ? nil : Set(names)
        // A list of all leaves out markets for a few accounts only; asked for by their names they are told.
        let isWhole = asked != nil || !venue.exchange.listsMarketsByName
        for duty in duties.values where duty.venue === venue {
            let market = Exchange.canonicalMarket(duty.book.id.market)
            guard asked?.contains(market) ?? true else { continue }
            let status = statuses[market]
            if !isFollowing(duty) {
                // One that had failed a while before hears with the others that its market trades again.
                if let failedAt = duty.failedAt, failedAt + Self.rideAlongRest <= sentAt,
                    status?.isTrading == true
                {
                    statusAnswered(.status(isTrading: true), duty)
                }
            } else if duty.collectsSince <= sentAt {
                read(status, isWhole: isWhole, sentAt: sentAt, duty)
            }
        }
    }

    /// Takes what the exchange lists the market of a served book as; nil: the answer does not have it.
    ///
    /// An answer may be an old one, or a list of a part of the exchange: where the stream goes on, or the market is just
    /// missing, a second one has to say the same.
    private func read(_ status: MarketStatus?, isWhole: Bool, sentAt: Duration, _ duty: BookDuty) {
        let wasSuspect = duty.marketReading.isSuspect
        duty.marketReading = MarketReading(at: sentAt)
        guard status?.isTrading != true else { return }
        guard status != nil || isWhole else {
            (duty.marketReading.isSuspect, duty.marketReading.isMissing) = (wasSuspect, true)
            return
        }
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
        duty.failed(now: clock.now)
        let market = duty.book.id.market
        let words = status.map { "lists \(market) as not trading (\($0.word))" } ?? "does not list \(market)"
        duty.book.state.withLock { state in
            state.book.fail(.marketNotTrading)
            state.note = KeptBook.Note(reason: .marketNotTrading, message: "the exchange \(words)")
        }
        report(duty)
    }
}
