import Binance
import Books
import DepthCacheAPI
import Telemetry

/// Which connections bring which book: a book has one line on each lane, and lives as long as one of them does.
extension FeedLoop {
    func keep(_ book: KeptBook, depth: Int, venue: Venue) {
        if let old = duties[book.id] { letGo(old.book) }
        let duty = BookDuty(book: book, depth: depth, venue: venue)
        duties[book.id] = duty
        for lane in 0..<laneCount { feedWithRoom(venue, lane: lane).add(duty) }
        report(duty)
    }

    func changeDepth(_ book: KeptBook, to depth: Int) {
        if let duty = duties[book.id], duty.book === book { duty.depth = depth }
    }

    func letGo(_ book: KeptBook) {
        if let duty = duties[book.id], duty.book === book {
            duties[book.id] = nil
            for line in duty.lines { line.feed.remove(line) }
        }
        book.state.withLock { state in
            state.trust.feeds = []
            state.spare = nil
            state.book.streamClosed(.disconnected)
        }
    }

    private func feedWithRoom(_ venue: Venue, lane: Int) -> Feed {
        if let feed = feeds.first(where: { $0.venue === venue && $0.lane == lane && $0.hasRoom }) {
            return feed
        }
        let feed = Feed(venue: venue, lane: lane, pulse: pulse)
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
        line.lastEvent = now
        guard isFirst else { return countLines(duty) }
        forgetDoubt(duty)
        duty.lastEvent = now
        duty.awaited = nil
        duty.isStalled = false
        let instant = clock.instant(now)
        let action = duty.book.state.withLock { state in
            state.follow(duty.lines)
            state.spare = nil
            if state.book.phase != .failed { state.note = nil }
            return state.book.streamOpened(at: instant)
        }
        if let action { perform(action, duty, isSpare: false) }
        report(duty)
    }

    /// The line brings nothing any more; without its last line a book is out of sync, for `cause` and in the words of `note`.
    func close(_ line: BookLine, _ cause: OutOfSyncReason, _ note: KeptBook.Note?) {
        let duty = line.duty
        line.isOpen = false
        guard !duty.isOpen else { return countLines(duty) }
        forgetDoubt(duty)
        duty.awaited = nil
        duty.isStalled = false
        duty.book.state.withLock { state in
            state.follow(duty.lines)
            state.spare = nil
            state.book.streamClosed(cause)
            if let note, state.book.phase != .failed { state.note = note }
        }
        report(duty)
    }

    private func countLines(_ duty: BookDuty) {
        duty.book.state.withLock { $0.follow(duty.lines) }
    }

    /// Nothing of this connection is believed from here on; books that it alone has brought wait for the next one.
    func drop(_ feed: Feed, reason: String, delay: Duration?) {
        let wasOpen = feed.machine.isOpen
        feed.trust.set(false)
        feed.forgetPings()
        feed.socket = nil
        feed.generation = 0
        feed.machine.closed(now: clock.now, delay: delay)
        guard !feed.lines.isEmpty else { return }
        let address = feed.venue.exchange.streamURL
        Self.log.warning(
            "Feed is down", ["exchange": feed.venue.exchange.name, "url": address, "reason": reason])
        let note = KeptBook.Note(
            reason: wasOpen ? .disconnected : .exchangeUnreachable,
            message: "\(address): \(reason); trying again with waits of up to 30 s")
        let cause: OutOfSyncReason = reason.hasPrefix("nothing received") ? .connectionSilent : .disconnected
        for line in feed.lines.values { close(line, cause, note) }
    }
}

extension KeptBook.State {
    /// Only connections that bring the book's stream now may vouch for it.
    mutating func follow(_ lines: [BookLine]) {
        trust.feeds = lines.filter(\.isOpen).map(\.feed.trust)
    }
}
