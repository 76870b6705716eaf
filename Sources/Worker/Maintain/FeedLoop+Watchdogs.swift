import Binance
import Books
import DepthCacheAPI
import Synchronization
import Telemetry

/// What makes a book unbelievable though its chain is whole; `docs/watchdogs.md` lists all of them.
extension FeedLoop {
    /// A feed that is late for so long is replaced, as its connection may be what is slow; then ever later.
    static let latePatience: Duration = .seconds(30)
    static let longestLatePatience: Duration = .seconds(960)

    // MARK: Late feeds and clocks

    /// Compares an event's time with the exchange's clock.
    func watchLateness(_ duty: BookDuty, eventTime: Int64, _ arrival: Arrival) {
        let offset = duty.venue.clockOffset.load(ordering: .relaxed)
        var lateness = arrival.wallMilliseconds + offset - eventTime
        if abs(lateness) > LatenessWatch.limit {
            // The exchange may have told its time since the last look. Until it has, nobody knows which clock is wrong, and a
            // book without a snapshot is not served anyway.
            let clock = duty.venue.desk.exchangeClock
            guard clock.isKnown || liveID(duty) != nil else { return }
            lateness = arrival.wallMilliseconds + clock.offsetMilliseconds - eventTime
        }
        // A market that has stopped trading has its own reason, whatever its stream goes on to bring.
        guard duty.lateness.saw(lateness), duty.book.report.phase != .failed else { return }
        if let fault = duty.lateness.fault {
            endFresh(duty, "\(fault.rawValue): the stream cannot be believed")
            suspend(duty, fault)
        } else {
            duty.book.state.withLock { $0.note = nil }
            resume(duty)
        }
        report(duty)
    }

    /// Brings up other connections for a book whose events go on being late; the book stays withdrawn meanwhile.
    func replaceLate(_ duty: BookDuty, _ now: Duration) {
        guard duty.lateness.fault == .feedLate, duty.failedAt == nil else {
            duty.lateRemedy = nil
            return
        }
        guard let remedy = duty.lateRemedy else {
            duty.lateRemedy = (now + Self.latePatience, Self.latePatience)
            return
        }
        guard remedy.due <= now else { return }
        // One that another book has had replaced meanwhile gets its own time.
        for line in duty.lines where line.isOpen && now - line.openedAt >= remedy.pause {
            line.feed.machine.mustBeReplaced(.late, now: now)
        }
        let pause = min(remedy.pause * 2, Self.longestLatePatience)
        duty.lateRemedy = (now + pause, pause)
    }

    private func suspend(_ duty: BookDuty, _ fault: OutOfSyncReason) {
        let seconds = abs(duty.lateness.lateness) / 1000
        let words =
            fault == .feedLate
            ? "events arrive \(seconds) s after the exchange says that they happened"
            : "events are \(seconds) s ahead of the exchange's own clock"
        duty.book.state.withLock { state in
            state.book.suspend(fault)
            state.note = KeptBook.Note(reason: Reason(rawValue: fault.rawValue), message: words)
        }
    }

    /// A book that has just come back, and was suspended at once, is not believed while what made it unbelievable lasts.
    func doubtAgain(_ duty: BookDuty, at id: Int64) {
        if duty.waitsForEvent {
            let now = clock.now
            duty.doubtedID = id
            duty.unprovenSince = now
            // The same cached answer once more would prove nothing.
            duty.nextProbe = max(duty.nextProbe, now + duty.venue.exchange.family.snapshotLag)
            let words =
                duty.isMute
                ? "waits for the first event of a stream that had died"
                : "waits for the first event or another snapshot, as this one may be older than the stream"
            duty.book.state.withLock { $0.note = KeptBook.Note(reason: .feedSilent, message: words) }
        }
        if let fault = duty.lateness.fault { suspend(duty, fault) }
    }

    /// The stream has brought an event, which ends the doubt, unless the book is behind what its connections have brought: it
    /// waits for one of them to close a gap, or one of them is late with what another has told before.
    func spoke(_ duty: BookDuty) {
        duty.isMute = false
        let newestID = duty.mayBeOld ? duty.newestID : 0
        let isBehind = duty.book.state.withLock { state in
            guard let id = state.book.followedID else { return false }
            return state.book.bufferedEvents > 0 || id < newestID
        }
        if !isBehind { believe(duty) }
    }

    /// Makes the book readable again, if nothing else speaks against it.
    func resume(_ duty: BookDuty) {
        guard !duty.isStalled, duty.doubtedID == nil, duty.lateness.fault == nil else { return }
        duty.book.state.withLock { $0.book.resume() }
    }

    /// Reads the exchange's clock where events can be compared with it.
    func readClocks() {
        var read: Set<ObjectIdentifier> = []
        for duty in duties.values where read.insert(ObjectIdentifier(duty.venue)).inserted {
            let offset = duty.venue.desk.exchangeClock.offsetMilliseconds
            let before = duty.venue.clockOffset.exchange(offset, ordering: .relaxed)
            tellClock(duty.venue.exchange.name, before: before, now: offset)
            duty.venue.clockOffsetGauge.set(Double(offset) / 1000)
        }
    }

    /// Events are compared with the exchange's clock, so a wrong one of ours harms no book; people want to know of it all the same.
    private func tellClock(_ exchange: String, before: Int64, now offset: Int64) {
        let (was, isWrong) = (abs(before) > Self.worthTelling, abs(offset) > Self.worthTelling)
        guard was != isWrong else { return }
        let seconds = "\(Double(offset) / 1000)"
        if isWrong {
            Log("clock").warning(
                "The exchange's clock is ahead of ours by so much; is ours wrong?",
                ["exchange": exchange, "seconds": seconds])
        } else {
            Log("clock").info(
                "Our clock agrees with the exchange's", ["exchange": exchange, "seconds": seconds])
        }
    }

    private static var worthTelling: Int64 { 2_000 }

    // MARK: Snapshots that are newer than a silent stream

    /// Whether what a probe showed is what we have, although its id is newer.
    func shows(_ snapshot: BookSnapshot, _ duty: BookDuty) -> Bool {
        duty.book.state.withLock { state in
            state.book.shows(snapshot)
        }
    }
}
