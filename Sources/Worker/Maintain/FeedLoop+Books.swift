import Binance
import Books
import DepthCacheAPI
import Telemetry
import Transport

/// The way of frames into books.
extension FeedLoop {
    func didOpen(_ trust: FeedTrust, _ generation: Int) {
        guard let feed = feed(trust, generation) else { return }
        let now = clock.now
        feed.machine.opened(now: now)
        feed.venue.connections.add()
        feed.forgetPings()
        feed.trust.set(true)
        Self.log.info(
            "Feed is up", ["exchange": feed.venue.exchange.name, "url": feed.venue.exchange.streamURL])
        carryOut(feed.machine.tick(now: now), feed, now)
    }

    func didPong(_ number: UInt64?, _ trust: FeedTrust, _ generation: Int) {
        guard let feed = feed(trust, generation) else { return }
        deliverWaiting(feed)
        feed.machine.received(now: clock.now)
        feed.ponged(number)
        guard hasCaughtUp(feed) else { return }
        feed.trust.set(true)
        for line in feed.lines.values where line.isOpen && line.duty.isStalled {
            let duty = line.duty
            duty.isStalled = false
            resume(duty)
            report(duty)
        }
    }

    func didReceive(_ frame: UnsafeRawBufferPointer, _ trust: FeedTrust, _ generation: Int) {
        guard let feed = feed(trust, generation) else { return }
        let instant = ContinuousClock.now
        let now = clock.since(instant)
        feed.machine.received(now: now)
        feed.venue.frames.add()
        feed.venue.bytes.add(frame.count)
        do throws(WireError) {
            switch unsafe try feed.parse(frame) {
            case .depth(let stream, _):
                guard let line = unsafe feed.line(frame, stream) else { return }
                line.duty.prefetch()
                deliverWaiting(feed)
                guard feed.generation == generation else { return }
                feed.putOff(line, Arrival(instant: instant, wallMilliseconds: WallClock.milliseconds), now)
            case .reply(let reply):
                deliverWaiting(feed)
                guard let id = reply.id else { return }
                let error = reply.errorCode.map { (code: Int($0), message: reply.message ?? "") }
                carryOut(feed.machine.replied(id: id, error: error, now: now), feed, now)
            case .serverShutdown:
                deliverWaiting(feed)
                feed.machine.mustBeReplaced(.serverShutdown, now: now)
                carryOut(feed.machine.tick(now: now), feed, now)
            case .other: return
            }
        } catch {
            deliverWaiting(feed)
            unsafe broken(frame, feed, error)
        }
    }

    func didReceiveAll(_ trust: FeedTrust, _ generation: Int) {
        guard let feed = feed(trust, generation) else { return }
        deliverWaiting(feed)
    }

    private func deliverWaiting(_ feed: Feed) {
        guard let waiting = feed.takeWaiting() else { return }
        deliver(feed.waitingEvent, waiting.line, waiting.arrival, waiting.now)
    }

    func deliver(_ event: DepthEvent, _ line: BookLine, _ arrival: Arrival, _ now: Duration) {
        // What comes before the acknowledgement may lie far ahead, and the book does not wait for it.
        guard line.isOpen else { return }
        let duty = line.duty
        duty.lastEvent = now
        duty.lastSpoke = now
        let isFirst = hear(line, event.last, now)
        let eventTime = event.eventTime
        if eventTime > 0 {
            duty.venue.lag.observe(Double(max(0, arrival.wallMilliseconds - eventTime)) / 1000)
            // What another connection has brought before harms no book, however late it is.
            if isFirst { watchLateness(duty, eventTime: eventTime, arrival) }
        }
        let reaction = duty.book.receive(event, from: line.feed.generation, at: arrival)
        if let action = reaction.action { perform(action, duty) }
        if let action = reaction.freshAction { freshAsks(action, duty) }
        if let meeting = reaction.meeting { met(meeting, duty) }
        if duty.unprovenSince != nil || duty.waitsForEvent { spoke(duty) }
        if reaction.isChanged { report(duty) }
    }

    /// A frame that cannot be read harms the book of the stream it names; one that names none of ours may have
    /// carried an event of any: all start over.
    private func broken(_ frame: UnsafeRawBufferPointer, _ feed: Feed, _ error: WireError) {
        feed.venue.malformed.add()
        Self.log.warning("Frame cannot be read", ["exchange": feed.venue.exchange.name, "error": "\(error)"])
        if let line = unsafe feed.namedLine(frame) { return lost(line) }
        for line in feed.lines.values { lost(line) }
    }

    /// An event of the line may be lost: another line has it too, without one the book starts over.
    private func lost(_ line: BookLine) {
        guard line.isOpen else { return }
        guard isElsewhere(line) else { return invalidate(line.duty, .malformedData) }
        renew(line, .malformedData)
    }

    func invalidate(_ duty: BookDuty, _ reason: OutOfSyncReason) {
        forgetDoubt(duty)
        let action = duty.book.state.withLock { $0.book.invalidate(reason) }
        if let action { perform(action, duty) }
        report(duty)
    }

    func note(_ duty: BookDuty, _ reason: Reason, _ message: String) {
        duty.book.state.withLock { $0.note = KeptBook.Note(reason: reason, message: message) }
        report(duty)
    }

    /// Tells the board when phase, reason or message have changed.
    func report(_ duty: BookDuty) {
        var report = duty.book.report
        report.standings = report.phase == .synchronized ? duty.standings : [:]
        report.lastAudit = duty.lastAudit
        guard report != duty.lastReport else { return }
        if report.phase == .synchronized, duty.lastReport?.phase != .synchronized {
            Self.log.info("Book is in sync", ["book": duty.book.id.description])
        } else if duty.lastReport?.phase == .synchronized, report.phase != .synchronized {
            board.lost(.init(book: duty.book.id, reason: report.reason, message: report.message))
            Self.log.warning(
                "Book is out of sync",
                [
                    "book": duty.book.id.description, "reason": report.reason.rawValue,
                    "message": report.message,
                ])
        }
        duty.lastReport = report
        board.post(duty.book.id, report)
    }
}
