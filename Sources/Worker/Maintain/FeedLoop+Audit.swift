import Books
import DepthCacheAPI

/// The continuous audit, and the one on demand.
extension FeedLoop {
    /// So long may somebody wait for an audit.
    static let auditLimit: Duration = .seconds(60)

    /// Orders the audit of the book whose last comparison, or try at one, is longest ago, one at a time for each exchange.
    ///
    /// The desk sends it when nothing more urgent waits, and rations the weight of all audits. A book that cannot be compared
    /// goes to the end like any other, so that it does not keep the others waiting.
    func auditNext(_ now: Duration) {
        var chosen: [ObjectIdentifier: BookDuty] = [:]
        var busy: Set<ObjectIdentifier> = []
        for duty in duties.values {
            let venue = ObjectIdentifier(duty.venue)
            if duty.freshOrder?.purpose == .audit { busy.insert(venue) }
            guard duty.freshOrder == nil, now - duty.lastLookedAt >= auditRest,
                duty.lastLookedAt < chosen[venue]?.lastLookedAt ?? .seconds(Int64.max), duty.book.reach != nil
            else { continue }
            chosen[venue] = duty
        }
        for (venue, duty) in chosen where !busy.contains(venue) {
            duty.lastAudited = now
            orderFresh(.audit, limit: duty.policy.targetLimit, duty)
        }
    }

    /// Compares one book with the exchange's own as soon as its request weight allows; `completion` is called once.
    ///
    /// A comparison that is under way for another purpose will do.
    func audit(_ book: KeptBook, completion: @escaping @Sendable (AuditOutcome) -> Void) {
        guard let duty = duties[book.id], duty.book === book else { return completion(.notHere) }
        guard duty.book.reach != nil else {
            let report = duty.book.report
            return completion(.unavailable("\(report.reason): the book is not in sync"))
        }
        duty.auditWaiters.append(AuditWaiter(until: clock.now + Self.auditLimit, answer: completion))
        if duty.freshOrder.map({ $0.purpose == .audit && $0.answeredAt == nil }) ?? true {
            // Not rationed as the continuous one is: somebody asks.
            orderFresh(.refresh, limit: duty.policy.targetLimit, duty)
        }
    }

    func answerWaiters(_ duty: BookDuty, _ outcome: AuditOutcome) {
        let waiters = duty.auditWaiters
        duty.auditWaiters = []
        for waiter in waiters { waiter.answer(outcome) }
    }

    /// Nobody waits for ever.
    func dismissWaiters(_ duty: BookDuty, _ now: Duration) {
        guard duty.auditWaiters.contains(where: { $0.until <= now }) else { return }
        let overdue = duty.auditWaiters.filter { $0.until <= now }
        duty.auditWaiters.removeAll { $0.until <= now }
        for waiter in overdue {
            waiter.answer(.unavailable("the exchange's book could not be fetched within a minute"))
        }
    }
}

/// Somebody who waits for the next comparison of a book.
struct AuditWaiter: Sendable {
    var until: Duration
    var answer: @Sendable (AuditOutcome) -> Void
}

extension BookDuty {
    fileprivate var lastLookedAt: Duration { max(lastCompared, lastAudited) }
}
