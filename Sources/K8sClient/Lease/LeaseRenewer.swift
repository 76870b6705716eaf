import Telemetry

/// Somebody else holds the Lease that was ours: a later incarnation has taken our place.
package struct LeaseTaken: Error, Equatable, Sendable {
    package var holder: String

    package init(holder: String) { self.holder = holder }
}

/// Keeps one Lease alive and carries its annotations, as a worker does.
package actor LeaseRenewer {
    private let client: KubernetesClient
    private let interval: Duration
    private let log = Log("lease")
    private var wanted: Lease
    private var held: Lease?
    private var wakeUp: CheckedContinuation<Void, Never>?
    private var mustHurry = false
    private var problem: String?
    /// When the last renewal that went well was sent.
    package private(set) var lastRenewal: ContinuousClock.Instant?

    /// Wants a Lease with this
    /// name, labels, annotations, holder and duration; whoever holds it now is replaced.
    package init(client: KubernetesClient, lease: Lease, interval: Duration = .seconds(3)) {
        self.client = client
        self.interval = interval
        wanted = lease
    }

    /// Sets or removes an annotation, and says so at once.
    package func annotate(_ name: String, _ value: String?) {
        guard wanted.metadata.annotations[name] != value else { return }
        wanted.metadata.annotations[name] = value
        if value == nil { held?.metadata.annotations[name] = nil }
        hurry()
    }

    /// Renews until cancelled; throws `LeaseTaken` when another incarnation has taken the Lease.
    package func run() async throws {
        while !Task.isCancelled {
            mustHurry = false
            let started = ContinuousClock.now
            do {
                held = try await renewed()
                lastRenewal = started
                if problem != nil { log.info("Renewing the Lease again", ["lease": name]) }
                problem = nil
            } catch let taken as LeaseTaken {
                throw taken
            } catch {
                if Task.isCancelled { return }
                if problem == nil {
                    log.warning("Cannot renew the Lease", ["lease": name, "reason": "\(error)"])
                }
                problem = "\(error)"
            }
            await pause(problem == nil ? interval : interval / 3)
        }
    }

    /// Gives the Lease back, so that nobody waits for its end; or removes it, where its name does not come again.
    ///
    /// Call it after `run` has ended. Where it may not be removed, it is given back.
    package func end(removing: Bool) async {
        guard removing, let lease = held else { return await release() }
        var client = client
        client.timeout = .seconds(2)
        let (caller, name) = (client, name)
        let isRemoved = await Task {
            do {
                try await caller.delete(
                    Lease.self, name, namespace: lease.metadata.namespace, uid: lease.metadata.uid)
                return true
            } catch { return false }
        }.value
        if !isRemoved { await release() }
    }

    /// Gives the Lease back, so that nobody waits for its end.
    ///
    /// Call it after `run` has ended.
    package func release() async {
        guard var lease = held else { return }
        var client = client
        client.timeout = .seconds(2)
        lease.spec.holderIdentity = ""
        lease.spec.renewTime = .now
        let (caller, log, released, name) = (client, log, lease, name)
        await Task {
            do { try await caller.update(released) } catch {
                log.warning("Cannot release the Lease", ["lease": name, "reason": "\(error)"])
            }
        }.value
    }

    private var name: String { wanted.metadata.name ?? "" }

    private func renewed() async throws -> Lease {
        var client = client
        client.timeout = min(client.timeout, interval * 2)
        for _ in 0..<3 {
            do {
                guard let current = held else { return try await taken(client) }
                return try await client.update(merged(into: current))
            } catch let error as APIError where error.isNotFound {
                held = nil
            } catch let error as APIError where error.isConflict && held != nil {
                let current = try await client.get(Lease.self, name, namespace: wanted.metadata.namespace)
                if let holder = current.holder, holder != wanted.spec.holderIdentity {
                    throw LeaseTaken(holder: holder)
                }
                held = current
            } catch let error as APIError where error.isConflict || error.isAlreadyExists {
                continue
            }
        }
        throw APIError.status(
            Status(code: 409, reason: "Conflict", message: "the Lease changes all the time"))
    }

    /// The first write: whoever was there before us is gone.
    private func taken(_ client: KubernetesClient) async throws -> Lease {
        guard
            let current = try await client.find(Lease.self, name, namespace: wanted.metadata.namespace)
        else {
            var fresh = wanted
            fresh.spec.acquireTime = .now
            fresh.spec.renewTime = .now
            return try await client.create(fresh)
        }
        var next = merged(into: current)
        next.spec.acquireTime = .now
        next.spec.leaseTransitions = (current.spec.leaseTransitions ?? 0) + 1
        return try await client.update(next)
    }

    private func merged(into current: Lease) -> Lease {
        var next = current
        next.metadata.labels.merge(wanted.metadata.labels) { $1 }
        next.metadata.annotations.merge(wanted.metadata.annotations) { $1 }
        if !wanted.metadata.ownerReferences.isEmpty {
            next.metadata.ownerReferences = wanted.metadata.ownerReferences
        }
        next.spec.holderIdentity = wanted.spec.holderIdentity
        next.spec.leaseDurationSeconds = wanted.spec.leaseDurationSeconds
        next.spec.renewTime = .now
        return next
    }

    private func hurry() {
        mustHurry = true
        wakeUp?.resume()
        wakeUp = nil
    }

    private func pause(_ length: Duration) async {
        if mustHurry { return }
        let timer = Task {
            do { try await Task.sleep(for: length) } catch { return }
            self.hurry()
        }
        defer { timer.cancel() }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if Task.isCancelled || mustHurry { continuation.resume() } else { wakeUp = continuation }
            }
        } onCancel: {
            Task { await self.hurry() }
        }
    }
}
