internal import Telemetry

/// How many attempts besides the first of each query a loop may make: one for two of its queries of late, and ten a second
/// more.
///
/// Without it, when many copies fail or are slow at once, each query would be asked of all of them, and workers that are slow
/// because they are asked too much would be asked even more.
struct RetryBudget {
    /// For loops that are asked little: so many at once, and half of it every time that counts are halved.
    static let reserve = 100
    /// A worker that fails every time beside one that never does costs at most one attempt for two queries.
    static let queriesPerRetry = 2
    /// How often both counts are halved: what was long ago counts little.
    private static let halving = Duration.seconds(5)
    private var queries = 0
    private var retries = 0
    private var nextHalving: ContinuousClock.Instant

    init(now: ContinuousClock.Instant) { nextHalving = now + Self.halving }

    /// Counts a query, which widens the budget.
    mutating func count(at now: ContinuousClock.Instant) {
        age(to: now)
        queries += 1
    }

    /// Takes one retry; false if the budget is used up.
    mutating func take(at now: ContinuousClock.Instant) -> Bool {
        age(to: now)
        guard retries < Self.reserve + queries / Self.queriesPerRetry else { return false }
        retries += 1
        return true
    }

    private mutating func age(to now: ContinuousClock.Instant) {
        guard now >= nextHalving else { return }
        let times = 1 + Int((now - nextHalving) / Self.halving)
        queries >>= times
        retries >>= times
        nextHalving += Self.halving * times
    }
}

/// What a loop remembers of attempts that failed; bound to the loop.
final class RetryLedger {
    /// A copy that could not serve is asked last for so long, since its status may come later than that.
    private static let shunFor = Duration.seconds(1)
    /// A worker of which so many copies have failed in a row is asked last for all its copies.
    static let mostInARow = 10
    /// After so long without a failure a worker's row is over.
    private static let rowEndsAfter = Duration.seconds(60)
    private struct Row {
        var failures = 0
        var last: ContinuousClock.Instant
    }
    private var budget: RetryBudget
    /// When copies have failed, by name.
    private var copies: [String: ContinuousClock.Instant] = [:]
    /// Failures with no served book between them, by the worker's uid.
    private var workers: [String: Row] = [:]
    private let metrics: GatewayMetrics

    init(metrics: GatewayMetrics, now: ContinuousClock.Instant = .now) {
        self.metrics = metrics
        budget = RetryBudget(now: now)
    }

    /// Whether nothing has failed of late, so that no copy is shunned.
    var isClear: Bool { copies.isEmpty && workers.isEmpty }

    func countQuery(at now: ContinuousClock.Instant) { budget.count(at: now) }

    /// Whether one more copy may be asked for a query that was asked of one already.
    func mayRetry(at now: ContinuousClock.Instant) -> Bool {
        guard budget.take(at: now) else { return false }
        metrics.retries.add()
        return true
    }

    /// Notes that a query was not asked again although a copy was left.
    func countWithheld() { metrics.retriesWithheld.add() }

    func shun(_ replica: ReplicaRoute, at now: ContinuousClock.Instant) {
        let isKnown = hasFailed(replica, at: now)
        copies[replica.replica.name] = now
        // One broken copy that is asked for again and again says little about the others.
        guard !isKnown else { return }
        workers[replica.workerUID, default: Row(last: now)].failures += 1
        workers[replica.workerUID]?.last = now
    }

    func forgive(_ replica: ReplicaRoute) {
        if !copies.isEmpty { copies[replica.replica.name] = nil }
        if !workers.isEmpty { workers[replica.workerUID] = nil }
    }

    /// Whether the copy, or copy after copy of its worker, has just failed.
    func isShunned(_ replica: ReplicaRoute, at now: ContinuousClock.Instant) -> Bool {
        if hasFailed(replica, at: now) { return true }
        guard !workers.isEmpty, let row = workers[replica.workerUID], row.failures >= Self.mostInARow else {
            return false
        }
        return now - row.last < Self.shunFor
    }

    private func hasFailed(_ replica: ReplicaRoute, at now: ContinuousClock.Instant) -> Bool {
        guard !copies.isEmpty else { return false }
        return copies[replica.replica.name].map { now - $0 < Self.shunFor } ?? false
    }

    /// Forgets what is over; called from time to time.
    func tidy(_ now: ContinuousClock.Instant) {
        if !copies.isEmpty { copies = copies.filter { now - $0.value < Self.shunFor } }
        if !workers.isEmpty { workers = workers.filter { now - $0.value.last < Self.rowEndsAfter } }
    }
}
