import Telemetry

/// Durations of an election (design, section 5).
package struct LeaderElectionSettings: Sendable {
    package var leaseDuration: Duration = .seconds(10)
    /// Without a successful renewal for this long, leadership is over.
    package var renewDeadline: Duration = .seconds(7)
    package var retryPeriod: Duration = .seconds(2)

    package init() {}
}

/// Leadership ended although nobody asked for it: the process must stop without further writes.
package struct LeadershipLost: Error, Equatable, Sendable, CustomStringConvertible {
    package var message: String
    package var description: String { "leadership lost: \(message)" }
}

/// Lets one of many processes lead, by a Lease.
package struct LeaderElection: Sendable {
    private let client: KubernetesClient
    private let name: String
    private let identity: String
    private let settings: LeaderElectionSettings
    private let log = Log("election")
    private let standingBy: @Sendable (_ holder: String) -> Void
    /// How long the leader may act; see `KubernetesClient.fenced(by:)`.
    package let term = LeadershipTerm()

    /// `standingBy` is told who leads, each time that changes while we wait.
    package init(
        client: KubernetesClient, name: String, identity: String,
        settings: LeaderElectionSettings = LeaderElectionSettings(),
        standingBy: @escaping @Sendable (_ holder: String) -> Void = { _ in }
    ) {
        self.client = client
        self.name = name
        self.identity = identity
        self.settings = settings
        self.standingBy = standingBy
    }

    /// Waits for leadership, then runs `lead` while renewing.
    ///
    /// Returns when `lead` has returned; throws `LeadershipLost` when the Lease could not be kept. When `lead` ends on its own
    /// account or by cancellation, the Lease is given back after it has returned.
    package func run(_ lead: @escaping @Sendable () async throws -> Void) async throws {
        let held = try await acquire()
        term.renew(at: held.since, settings)
        defer { term.end() }
        log.info("Leading", ["lease": name, "identity": identity])
        let current = Guarded<Lease?>(held.lease)
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await lead() }
                group.addTask { try await renew(current, since: held.since) }
                defer { group.cancelAll() }
                try await group.next()
            }
        } catch let lost as LeadershipLost {
            log.error("Lost leadership", ["lease": name, "reason": lost.message])
            throw lost
        } catch {
            await release(current)
            throw error
        }
        await release(current)
    }

    private func acquire() async throws -> (lease: Lease, since: ContinuousClock.Instant) {
        var seen: (version: String?, at: ContinuousClock.Instant)?
        var told: String?
        var hadProblem = false
        while true {
            try Task.checkCancellation()
            var wait = settings.retryPeriod
            let started = ContinuousClock.now
            do {
                guard let lease = try await client.find(Lease.self, name) else {
                    return (
                        try await client.create(Lease(metadata: ObjectMeta(name: name), spec: spec(1))),
                        started
                    )
                }
                if seen == nil || seen?.version != lease.metadata.resourceVersion {
                    seen = (lease.metadata.resourceVersion, started)
                }
                let observation = LeaseDecision.Observation(
                    holder: lease.holder, transitions: lease.spec.leaseTransitions ?? 0,
                    duration: lease.spec.leaseDurationSeconds.map { .seconds($0) } ?? settings.leaseDuration,
                    sinceLastChange: (seen?.at ?? started).duration(to: .now))
                switch LeaseDecision.decide(me: identity, observation, retry: settings.retryPeriod) {
                case .renew: return (try await take(lease, observation.transitions), started)
                case .acquire(let transitions): return (try await take(lease, transitions), started)
                case .standBy(let recheck):
                    wait = max(recheck, .milliseconds(50))
                    if told != lease.holder {
                        told = lease.holder
                        log.info("Standing by", ["lease": name, "leader": told ?? ""])
                        standingBy(told ?? "")
                    }
                }
                hadProblem = false
            } catch let error as APIError {
                if !error.isConflict && !error.isAlreadyExists && !hadProblem {
                    hadProblem = true
                    log.warning("Cannot ask for leadership", ["lease": name, "reason": "\(error)"])
                }
            }
            try await Task.sleep(for: wait * Double.random(in: 1..<1.2))
        }
    }

    private func spec(_ transitions: Int) -> Lease.Spec {
        Lease.Spec(
            holderIdentity: identity, leaseDurationSeconds: Int(settings.leaseDuration.components.seconds),
            acquireTime: .now, renewTime: .now, leaseTransitions: transitions)
    }

    private func take(_ lease: Lease, _ transitions: Int) async throws -> Lease {
        var lease = lease
        lease.spec = spec(transitions)
        return try await client.update(lease)
    }

    /// Renews until cancelled; the deadline counts from the start of the last request that went well.
    private func renew(_ current: Guarded<Lease?>, since: ContinuousClock.Instant) async throws {
        var client = client
        var last = since
        var wait = settings.retryPeriod
        while true {
            try await Task.sleep(for: wait)
            wait = settings.retryPeriod
            let started = ContinuousClock.now
            // One that hangs must leave time for another.
            let left = settings.renewDeadline - last.duration(to: started)
            client.timeout = max(.milliseconds(100), min(left, settings.renewDeadline / 2))
            var problem = "no answer"
            do {
                guard var lease = current.withLock({ $0 }) else { throw LeadershipLost(message: "no Lease") }
                lease.spec.renewTime = .now
                let renewed = try await client.update(lease)
                current.withLock { $0 = renewed }
                last = started
                term.renew(at: started, settings)
                continue
            } catch let error as APIError {
                problem = "\(error)"
                if error.isConflict || error.isNotFound {
                    let found = try? await client.get(Lease.self, name)
                    if let found, found.holder != identity {
                        throw LeadershipLost(message: "the Lease is held by \(found.holder ?? "nobody")")
                    }
                    if let found { current.withLock { $0 = found } }
                }
            }
            // What an attempt took counts as waiting: after one that hung the next begins at once.
            wait = max(.zero, settings.retryPeriod - started.duration(to: .now))
            if last.duration(to: .now) + wait > settings.renewDeadline {
                throw LeadershipLost(message: "not renewed for \(settings.renewDeadline): \(problem)")
            }
        }
    }

    /// Gives the Lease back; in a task of its own, as ours may be cancelled already.
    private func release(_ current: Guarded<Lease?>) async {
        guard var lease = current.withLock({ $0 }) else { return }
        var client = client
        client.timeout = .seconds(2)
        lease.spec.holderIdentity = ""
        lease.spec.renewTime = .now
        lease.spec.leaseDurationSeconds = 1
        let (caller, log, released, name) = (client, log, lease, name)
        await Task {
            do {
                try await caller.update(released)
                log.info("Released leadership", ["lease": name])
            } catch { log.warning("Cannot release leadership", ["lease": name, "reason": "\(error)"]) }
        }.value
    }
}
