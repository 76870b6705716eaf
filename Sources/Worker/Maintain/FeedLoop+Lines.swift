import Binance
import Books
import DepthCacheAPI
import Telemetry

/// Which connections bring which book: a book has one line on each lane, and lives as long as one of them does.
extension FeedLoop {
    func keep(_ book: KeptBook, demand: BookDemand, venue: Venue) {
        if let old = duties[book.id] { letGo(old.book) }
        let duty = BookDuty(book: book, demand: demand, venue: venue)
        duties[book.id] = duty
        for lane in 0..<settings.lanes {
            let feed = feedWithRoom(venue, lane: lane)
            feed.add(duty)
            feed.handover?.successor.add(duty)
        }
        report(duty)
    }

    /// Takes effect at once.
    func changeDemand(_ book: KeptBook, to demand: BookDemand) {
        guard let duty = duties[book.id], duty.book === book else { return }
        duty.policy.demand = demand
        book.state.withLock { $0.book.levelLimit = duty.policy.levelLimit }
        considerDepth(duty, clock.now)
    }

    func letGo(_ book: KeptBook) {
        if let duty = duties[book.id], duty.book === book {
            duties[book.id] = nil
            endFresh(duty, "the book was let go")
            duty.venue.source.forget(book.id)
            for line in duty.lines { line.feed.remove(line) }
        }
        book.state.withLock { state in
            state.trust.feeds = []
            state.book.streamClosed(.disconnected)
        }
    }

    private func feedWithRoom(_ venue: Venue, lane: Int) -> Feed {
        if let feed = feeds.first(where: {
            $0.venue === venue && $0.lane == lane && !$0.isStandIn && $0.hasRoom
        }) {
            return feed
        }
        let feed = Feed(venue: venue, lane: lane, pulse: pulse, lifetime: settings.lifetime)
        feeds.append(feed)
        return feed
    }

    /// The exchange has acknowledged the stream; the first line of a book makes it collect and ask for a snapshot.
    func open(_ line: BookLine, _ now: Duration) {
        guard !line.isOpen else { return }
        let duty = line.duty
        let isFirst = !duty.isOpen
        line.isOpen = true
        line.openedAt = now
        line.lastID = 0
        line.firstID = nil
        line.missingSince = nil
        guard isFirst else { return countLines(duty) }
        forgetDoubt(duty)
        duty.newestID = 0
        endFresh(duty, "the stream began anew")
        duty.lastEvent = now
        duty.lastSpoke = now
        duty.awaited = nil
        duty.isStalled = false
        let instant = clock.instant(now)
        let action = duty.book.state.withLock { state in
            state.follow(duty.lines)
            if state.book.phase != .failed { state.note = nil }
            state.book.levelLimit = duty.policy.levelLimit
            return state.book.streamOpened(at: instant)
        }
        if let action { perform(action, duty) }
        report(duty)
    }

    /// The line brings nothing any more; without its last line a book is out of sync, for `cause` and in the words of `note`.
    func close(_ line: BookLine, _ cause: OutOfSyncReason, _ note: KeptBook.Note?) {
        let duty = line.duty
        line.isOpen = false
        guard !duty.isOpen else { return countLines(duty) }
        forgetDoubt(duty)
        endFresh(duty, "the stream has ended")
        duty.awaited = nil
        duty.isStalled = false
        duty.book.state.withLock { state in
            state.follow(duty.lines)
            state.book.streamClosed(cause)
            if let note, state.book.phase != .failed { state.note = note }
        }
        report(duty)
    }

    /// Whether another connection brings the line's stream too.
    func isElsewhere(_ line: BookLine) -> Bool {
        line.duty.lines.contains { $0 !== line && $0.isOpen }
    }

    private func countLines(_ duty: BookDuty) {
        duty.book.state.withLock { $0.follow(duty.lines) }
    }

    /// Nothing of this connection is believed from here on; books that it alone has brought wait for the next one.
    func drop(_ feed: Feed, _ end: FeedEnd) {
        let wasOpen = feed.machine.isOpen
        feed.trust.set(false)
        feed.forgetPings()
        feed.socket = nil
        feed.generation = 0
        _ = feed.takeWaiting()
        feed.machine.closed(now: clock.now)
        defer { if let handover = feed.handover { promote(handover.successor, of: feed, .forced) } }
        guard !feed.lines.isEmpty else { return }
        if wasOpen { feed.venue.countLoss(end) }
        let address = feed.venue.exchange.streamURL
        Self.log.warning(
            "Feed is down",
            [
                "exchange": feed.venue.exchange.name, "url": address, "reason": end.description,
                "streams": "\(feed.lines.count)",
                "elsewhere": "\(feed.lines.values.count { isElsewhere($0) })",
            ])
        let note = KeptBook.Note(
            reason: wasOpen ? .disconnected : .exchangeUnreachable,
            message: "\(address): \(end); trying again with waits of up to 30 s")
        let cause: OutOfSyncReason = if case .silent = end { .connectionSilent } else { .disconnected }
        for line in feed.lines.values { close(line, cause, note) }
    }
}

/// How books are connected.
struct LineSettings: Sendable {
    /// On how many connections each stream is brought.
    var lanes = 1
    /// After so long a connection is replaced; the exchange would end it at 24 h.
    var lifetime: Duration = .seconds(23 * 3600 + 1800)
}

extension KeptBook.State {
    /// Only connections that bring the book's stream now may vouch for it.
    mutating func follow(_ lines: [BookLine]) {
        trust.feeds = lines.filter(\.isOpen).map(\.feed.trust)
        book.feedCount = max(1, trust.feeds.count)
        fresh?.book.feedCount = book.feedCount
    }
}
