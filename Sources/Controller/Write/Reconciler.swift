internal import DepthCacheAPI
internal import K8sClient
internal import Telemetry

/// Brings the cluster from what is seen to what is planned, by levels and never by events.
///
/// The queue is the set of caches that something has touched: each is in it once, however often it was touched. A cache
/// whose write failed comes back after a wait of its own, which grows.
actor Reconciler {
    /// So many caches are worked on at once, so that a slow API does not hold up the rest.
    private static let width = 16
    /// So many in one pass; between two passes news is taken in.
    private static let most = 1000

    /// How work on one cache may end, for metrics.
    enum Verdict: String, CaseIterable { case done, again, failed }

    private enum Result {
        case done
        /// Somebody else was faster: look again soon.
        case again
        /// This write is refused, or the API is away.
        case failed(any Error)

        var verdict: Verdict {
            switch self {
            case .done: .done
            case .again: .again
            case .failed: .failed
            }
        }
    }

    private let writer: any ClusterWriter
    private let metrics: ControllerMetrics
    private let log = Log("controller")
    private var world: World
    private var waiting: [String: (due: ContinuousClock.Instant, backoff: Backoff)] = [:]
    private var lastFailure: String?

    init(writer: any ClusterWriter, check: @escaping ControlPlan.SpecCheck, metrics: ControllerMetrics) {
        self.writer = writer
        self.metrics = metrics
        world = World(check: check)
    }

    /// One pass; false when the API is away and there is no sense in going on at once.
    func pass(_ seen: Observation, at now: ContinuousClock.Instant, time: Timestamp) async -> Bool {
        let started = ContinuousClock.now
        defer { metrics.passEnded(since: started) }
        world.take(seen, at: now)
        for (uid, wait) in waiting where wait.due <= now { world.touch(uid) }
        let work = ControlPlan.work(&world)
        metrics.passed(world, waiting: work.count)
        for item in work.dropFirst(Self.most) { world.touch(item.uid) }
        var outage: String?
        var refusal: String?
        await withTaskGroup(of: (String, Result).self) { group in
            var rest = work.prefix(Self.most)[...]
            func start() {
                guard let item = rest.popFirst() else { return }
                group.addTask { (item.uid, await self.carryOut(item, at: now, time: time)) }
            }
            for _ in 0..<Self.width { start() }
            while let (uid, result) = await group.next() {
                settle(uid, result, at: now)
                if case .failed(let error) = result {
                    if Self.isOutage(error) { outage = "\(error)" } else { refusal = "\(error)" }
                }
                if outage == nil, !Task.isCancelled { start() }
            }
            for item in rest { world.touch(item.uid) }
        }
        // While a refused write still waits for its next turn, nothing works again.
        if outage != nil || refusal != nil || waiting.isEmpty { report(outage ?? refusal) }
        return outage == nil
    }

    /// Notes when the cache is to be looked at again.
    private func settle(_ uid: String, _ result: Result, at now: ContinuousClock.Instant) {
        metrics.reconciled(result.verdict)
        switch result {
        case .done: waiting[uid] = nil
        case .again: retry(uid, Backoff(initial: .milliseconds(50), maximum: .seconds(5)), at: now)
        case .failed(let error):
            metrics.writeFailures.add()
            if Self.isOutage(error) { return world.touch(uid) }
            retry(uid, Backoff(initial: .milliseconds(500), maximum: .seconds(300)), at: now)
        }
    }

    private func retry(_ uid: String, _ fresh: Backoff, at now: ContinuousClock.Instant) {
        var backoff = waiting[uid]?.backoff ?? fresh
        let wait = backoff.next()
        waiting[uid] = (now + wait, backoff)
    }

    /// Whether an error concerns all writes and not this one.
    private static func isOutage(_ error: any Error) -> Bool {
        guard let code = (error as? APIError)?.code else { return true }
        return code >= 500 || code == 429 || code == 408
    }

    private func report(_ failure: String?) {
        guard failure != lastFailure else { return }
        if let failure {
            log.warning("Writing to the Kubernetes API failed, will be repeated", ["error": failure])
        } else {
            log.info("Writing to the Kubernetes API works again")
        }
        lastFailure = failure
    }

    // MARK: One cache

    private func carryOut(_ work: CacheWork, at now: ContinuousClock.Instant, time: Timestamp) async -> Result
    {
        var result = Result.done
        var undone = work.count
        do {
            for creation in work.creates {
                if try await carryOut(creation, at: now) { undone -= 1 } else { result = .again }
            }
            for deletion in work.deletes {
                if try await carryOut(deletion, at: now) { undone -= 1 } else { result = .again }
            }
            for (replica, spec) in ControlPlan.updates(work.uid, in: world) {
                metrics.writes.add()
                switch try await writer.update(replica, spec: spec) {
                case .done(let updated): world.didUpdate(updated)
                case .conflict: result = .again
                case .gone: break
                }
            }
        } catch {
            if Self.isOutage(error) { return .failed(error) }
            result = .failed(error)
        }
        guard !Task.isCancelled else { return .done }
        do {
            if try await writeStatus(work.uid, undone: undone, at: now, time: time) { return result }
        } catch { return .failed(error) }
        if case .done = result { return .again }
        return result
    }

    private func carryOut(_ creation: PlacementPlan.Creation, at now: ContinuousClock.Instant) async throws
        -> Bool
    {
        guard !Task.isCancelled, let replica = ControlPlan.replica(creation, in: world),
            let cache = world.caches[creation.cacheUID]
        else { return true }
        metrics.writes.add()
        guard case .done(let created) = try await writer.create(replica) else { return false }
        world.didCreate(created, at: now)
        let name = replica.metadata.name ?? ""
        let place = creation.replaces.map { ", where it takes the place of \($0.name)" } ?? ""
        await tell(cache, .replicaCreated, "Placed copy \(name) on worker \(replica.spec.workerName)\(place)")
        return true
    }

    private func carryOut(_ deletion: PlacementPlan.Deletion, at now: ContinuousClock.Instant) async throws
        -> Bool
    {
        guard !Task.isCancelled, let replica = ControlPlan.victim(deletion, in: world) else { return true }
        metrics.writes.add()
        let outcome = try await writer.delete(replica)
        if case .conflict = outcome { return false }
        world.didDelete(replica, at: now)
        guard case .done = outcome, let cache = world.caches[deletion.cacheUID] else { return true }
        let words =
            "Removed copy \(deletion.name) from worker \(replica.spec.workerName): \(deletion.why.rawValue)"
        guard deletion.why == .moveAbandoned else {
            await tell(cache, .replicaDeleted, words)
            return true
        }
        metrics.movesAbandoned.add()
        await tell(cache, PlannedEvent(isWarning: true, reason: .moveAbandoned, message: words))
        return true
    }

    /// False if the cache has changed meanwhile.
    private func writeStatus(
        _ uid: String, undone: Int, at now: ContinuousClock.Instant, time: Timestamp
    ) async throws -> Bool {
        guard let (cache, status, events) = ControlPlan.status(uid, in: world, undone: undone, now: time)
        else {
            return true
        }
        metrics.writes.add()
        switch try await writer.writeStatus(of: cache, status) {
        case .conflict: return false
        case .gone: return true
        case .done(let written):
            world.didWrite(status: written, at: now)
            for event in events { await tell(cache, event) }
            return true
        }
    }

    private func tell(_ cache: DepthCache, _ reason: Reason, _ message: String) async {
        await tell(cache, PlannedEvent(isWarning: false, reason: reason, message: message))
    }

    private func tell(_ cache: DepthCache, _ event: PlannedEvent) async {
        log.info(
            "DepthCache changed",
            [
                "name": cache.metadata.name ?? "", "reason": event.reason.rawValue, "message": event.message,
            ])
        await writer.record(event, about: cache)
    }
}
