internal import DepthCacheAPI
internal import K8sClient
internal import Telemetry

/// Brings the cluster from what is seen to what is planned, one pass at a time, by levels and never by events.
actor Reconciler {
    private let writer: any ClusterWriter
    private let check: ControlPlan.SpecCheck
    private let metrics: ControllerMetrics
    private let log = Log("controller")
    private var recent = RecentWrites()
    private var lastFailure: String?

    init(writer: any ClusterWriter, check: @escaping ControlPlan.SpecCheck, metrics: ControllerMetrics) {
        self.writer = writer
        self.check = check
        self.metrics = metrics
    }

    /// One pass; false when a write failed and the pass has to be repeated soon.
    func pass(_ seen: Observation, at now: ContinuousClock.Instant, time: Timestamp) async -> Bool {
        let current = recent.overlay(seen, at: now)
        let writes = ControlPlan.writes(current, check: check, now: time)
        metrics.passed(current)
        var failure: String?
        for write in writes {
            if Task.isCancelled { return true }
            do { try await carryOut(write, at: now) } catch {
                failure = "\(error)"
                metrics.writeFailures.add()
            }
        }
        if failure != lastFailure {
            if let failure {
                log.warning("Writing to the Kubernetes API failed, will be repeated", ["error": failure])
            } else {
                log.info("Writing to the Kubernetes API works again")
            }
            lastFailure = failure
        }
        return failure == nil
    }

    private func carryOut(_ write: PlannedWrite, at now: ContinuousClock.Instant) async throws {
        metrics.writes.add()
        switch write {
        case .create(let replica, let cache):
            guard let created = try await writer.create(replica) else { return }
            recent.didCreate(created, at: now)
            await tell(
                cache, .replicaCreated,
                "Placed copy \(replica.metadata.name ?? "") on worker \(replica.spec.workerName)")
        case .update(let replica, let spec):
            _ = try await writer.update(replica, spec: spec)
        case .delete(let replica, let cache, let why):
            let outcome = try await writer.delete(replica)
            guard outcome != .conflict else { return }
            recent.didDelete(replica, at: now)
            guard let cache, outcome == .done else { return }
            await tell(
                cache, .replicaDeleted,
                "Removed copy \(replica.metadata.name ?? "") from worker \(replica.spec.workerName): \(why.rawValue)"
            )
        case .status(let cache, let status, let events):
            guard try await writer.writeStatus(of: cache, status) == .done else { return }
            recent.didWrite(status, of: cache, at: now)
            for event in events {
                log.info(
                    "DepthCache changed",
                    [
                        "name": cache.metadata.name ?? "", "reason": event.reason.rawValue,
                        "message": event.message,
                    ])
                await writer.record(event, about: cache)
            }
        }
    }

    private func tell(_ cache: DepthCache, _ reason: Reason, _ message: String) async {
        log.info(
            "DepthCache changed",
            ["name": cache.metadata.name ?? "", "reason": reason.rawValue, "message": message])
        await writer.record(PlannedEvent(isWarning: false, reason: reason, message: message), about: cache)
    }
}
