import Binance
import Books
import DepthCacheAPI
import Telemetry
import Transport

/// Make before break: another connection brings the same streams before the old one goes; and lines watch each other.
extension FeedLoop {
    static let handoverLimit: Duration = .seconds(60)
    static let handoverPause: Duration = .seconds(2)
    /// A stream without events counts as brought so long after it was acknowledged, if a pong has come since.
    static let settlePeriod: Duration = .seconds(3)
    /// So long may a line miss what others bring.
    static let lineSilenceLimit: Duration = .seconds(10)
    static let longestRenewalWait: Duration = .seconds(600)

    /// Brings up a connection with all streams of `old`.
    ///
    /// Of planned ones a venue has one at a time, and they leave most of the connection attempts to accidents; the old
    /// connection's machine asks again.
    func beginHandover(_ old: Feed, _ cause: FeedEnd, _ now: Duration) {
        guard old.handover == nil, !old.isStandIn, !old.lines.isEmpty else { return }
        let isBusy = feeds.contains { $0.venue === old.venue && $0.handover != nil }
        let reserve = cause == .lifetime ? 40 : 20
        guard old.venue.mayConnect(now: now, reserve: reserve), cause != .lifetime || !isBusy else {
            return old.machine.postponeReplacement(
                by: Self.handoverPause * Double.random(in: 1...2), now: now)
        }
        let new = Feed(venue: old.venue, lane: old.lane, pulse: pulse, lifetime: settings.lifetime)
        new.isStandIn = true
        for line in old.lines.values { new.add(line.duty) }
        old.handover = Handover(successor: new, cause: cause, deadline: now + Self.handoverLimit)
        feeds.append(new)
        Self.log.info(
            "Feed is being replaced",
            [
                "exchange": old.venue.exchange.name, "reason": cause.description,
                "streams": "\(old.lines.count)",
            ])
    }

    func tickHandovers(now: Duration) {
        for old in feeds {
            guard let handover = old.handover else { continue }
            let new = handover.successor
            if old.lines.values.allSatisfy({ isSettled($0, new, now) }) {
                let socket = old.socket
                promote(new, of: old, .completed)
                socket?.close(reason: "\(handover.cause)")
            } else if handover.deadline <= now {
                Self.log.warning(
                    "Feed could not be replaced in time",
                    ["exchange": old.venue.exchange.name, "reason": handover.cause.description])
                old.venue.countHandover(handover.cause, .abandoned)
                old.handover = nil
                let socket = new.socket
                retire(new)
                socket?.abort("the old connection stays")
            }
        }
    }

    /// Whether the book loses nothing if `line` ends now, because `new` brings its stream without a hole.
    private func isSettled(_ line: BookLine, _ new: Feed, _ now: Duration) -> Bool {
        let duty = line.duty
        guard line.isOpen else { return true }
        guard let other = new.lines[duty.book.stream], other.isOpen else { return false }
        if let firstID = other.firstID {
            // Up to its first event the book lives on what the old connection still brings.
            let id = duty.book.state.withLock { $0.book.readIfSynchronized { $0.lastID } }
            return id.map { $0 >= firstID } ?? true
        }
        func hasPonged(_ feed: Feed) -> Bool { feed.pings.provenAt.map { $0 > other.openedAt } ?? false }
        return other.missingSince == nil && now - other.openedAt >= Self.settlePeriod && hasPonged(new)
            && hasPonged(line.feed)
    }

    /// `new` carries on alone: with all streams of `old`, or with those that are acknowledged already.
    func promote(_ new: Feed, of old: Feed, _ outcome: Handover.Outcome) {
        if let cause = old.handover?.cause { old.venue.countHandover(cause, outcome) }
        old.handover = nil
        new.isStandIn = false
        Self.log.info(
            "Feed has been replaced",
            [
                "exchange": new.venue.exchange.name,
                "streams": "\(new.lines.values.count { $0.isOpen }) of \(new.lines.count)",
            ])
        retire(old)
    }

    /// Takes a connection out of use; what only it has brought is out of sync.
    private func retire(_ feed: Feed) {
        feed.trust.set(false)
        feed.socket = nil
        feed.generation = 0
        for line in feed.lines.values {
            if line.isOpen { close(line, .disconnected, nil) }
            feed.remove(line)
        }
        feed.machine.closed(now: clock.now)
        feeds.removeAll { $0 === feed }
    }

    /// The line has brought an event that ends with `id`; the others are expected to bring it too, or have done so already.
    ///
    /// Returns whether it is the first of them to come so far, so that the book has the event from it.
    func hear(_ line: BookLine, _ id: Int64, _ now: Duration) -> Bool {
        line.missingSince = nil
        if line.firstID == nil { line.firstID = id }
        // An exchange that begins its ids anew makes those that others have brought mean nothing.
        let isAnew = id < line.lastID
        line.lastID = id
        let duty = line.duty
        duty.newestID = isAnew ? id : max(duty.newestID, id)
        guard line.duty.lines.count > 1 else { return true }
        var isFirst = true
        for other in line.duty.lines where other !== line && other.isOpen {
            if isAnew { other.lastID = 0 }
            if other.lastID >= id {
                isFirst = false
            } else if other.missingSince == nil {
                other.missingSince = now
            }
        }
        return isFirst
    }

    /// A line that is acknowledged and misses what others bring is asked for anew; the book loses nothing.
    func watchLines(now: Duration) {
        for duty in duties.values where duty.lines.count > 1 {
            for line in duty.lines where line.isOpen {
                let patience = min(
                    Self.longestRenewalWait, Self.lineSilenceLimit * (1 << min(line.renewals, 8)))
                guard let since = line.missingSince, now - since >= patience, isElsewhere(line) else {
                    continue
                }
                line.renewals += 1
                renew(line, .streamSilent)
            }
        }
    }

    /// Asks for the stream anew on the line's connection, while others bring it.
    func renew(_ line: BookLine, _ reason: OutOfSyncReason) {
        let (venue, book) = (line.feed.venue, line.duty.book)
        Self.log.warning(
            "Stream is asked for anew on one connection",
            ["book": book.id.description, "reason": reason.rawValue, "lane": "\(line.feed.lane)"])
        venue.countRenewal(Reason(rawValue: reason.rawValue))
        line.feed.machine.renew(book.stream)
        close(line, reason, nil)
    }
}
