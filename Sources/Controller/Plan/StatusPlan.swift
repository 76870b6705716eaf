internal import DepthCacheAPI
internal import K8sClient

/// What is known of one DepthCache when its status is written: pure input.
struct StatusInput: Sendable {
    var cache: DepthCache
    var copies: [Copy] = []
    var violations: [SpecViolation] = []
    /// The name of the DepthCache that keeps the market instead.
    var duplicateOf: String?
    /// Copies that no worker could be found for.
    var missing = 0
    /// Copies about to be created or deleted.
    var plannedWrites = 0
    /// Copies that are being moved from one worker to another.
    var moves = 0
    var liveWorkers = 0
    var unprovenWorkers = 0
    var leavingWorkers = 0

    /// A copy as the running incarnation of its worker described it.
    struct Copy: Sendable {
        var name: String
        var workerName: String
        var phase: ReplicaPhase
        var reason: Reason?
        var message: String?
        var isOnLostWorker = false
        var updateIntervalMilliseconds: Int?
        var lastAudit: ReplicaAudit?

        var isReady: Bool { phase == .synchronized && !isOnLostWorker }
    }
}

/// Writes the status of a DepthCache: pure, and in sentences that say what is wrong.
struct StatusPlan {
    private let input: StatusInput
    private let ready: Int
    private let desired: Int

    private struct Claim {
        var holds: Bool
        var reason: Reason
        var message: String
    }

    /// The status that `input` deserves; transition times move only with their condition.
    static func status(_ input: StatusInput, now: Timestamp) -> DepthCacheStatus {
        StatusPlan(input).status(now)
    }

    private init(_ input: StatusInput) {
        self.input = input
        ready = input.copies.count { $0.isReady }
        desired = input.cache.spec.replicas
    }

    private func status(_ now: Timestamp) -> DepthCacheStatus {
        let generation = input.cache.metadata.generation
        var conditions = input.cache.status?.conditions ?? []
        let claims = [
            (ConditionType.ready, readiness), (ConditionType.degraded, degradation),
            (ConditionType.progressing, progress),
        ]
        for (type, claim) in claims {
            conditions.set(
                Condition(
                    type: type, status: .init(claim.holds), reason: claim.reason.rawValue,
                    message: claim.message, observedGeneration: generation, lastTransitionTime: now))
        }
        let copies = input.copies
        return DepthCacheStatus(
            observedGeneration: generation, replicas: copies.count, readyReplicas: ready,
            selector: DepthCache.selector(uid: input.cache.metadata.uid ?? ""),
            updateIntervalMilliseconds: copies.first { $0.isReady }?.updateIntervalMilliseconds
                ?? input.cache.status?.updateIntervalMilliseconds,
            lastAudit: lastAudit,
            conditions: conditions)
    }

    /// The newest comparison of any copy.
    private var lastAudit: ReplicaAudit? {
        let all = input.copies.compactMap(\.lastAudit) + [input.cache.status?.lastAudit].compactMap(\.self)
        return all.max { $0.time < $1.time }
    }

    /// What keeps the cache from being placed at all.
    private var refusal: Claim? {
        if !input.violations.isEmpty {
            let isUnknown = input.violations.contains { $0.field == "spec.exchange" }
            return Claim(
                holds: false,
                reason: isUnknown && input.violations.count == 1 ? .unknownExchange : .invalidSpec,
                message: input.violations.map(\.description).joined(separator: "; "))
        }
        guard let other = input.duplicateOf else { return nil }
        let spec = input.cache.spec
        return Claim(
            holds: false, reason: .duplicateMarket,
            message:
                "DepthCache '\(other)' already keeps \(spec.market) of \(spec.exchange); delete one of the two"
        )
    }

    private var readiness: Claim {
        if let refusal { return refusal }
        if ready > 0 { return Claim(holds: true, reason: .synchronized, message: tally) }
        if let trouble {
            return Claim(holds: false, reason: trouble.reason, message: "\(tally): \(trouble.message)")
        }
        return Claim(holds: false, reason: unplaced.reason, message: unplaced.message)
    }

    private var degradation: Claim {
        if let refusal { return Claim(holds: true, reason: refusal.reason, message: refusal.message) }
        if ready < desired {
            if input.missing > 0 {
                guard input.liveWorkers + input.unprovenWorkers > 0 || !input.copies.isEmpty else {
                    return Claim(holds: true, reason: .noWorkers, message: unplaced.message)
                }
                return Claim(
                    holds: true, reason: .tooFewWorkers,
                    message: "\(tally): each copy needs its own worker, and \(workers(input.liveWorkers))")
            }
            let trouble = trouble ?? unplaced
            return Claim(holds: true, reason: trouble.reason, message: "\(tally): \(trouble.message)")
        }
        if let shallow = input.copies.first(where: { $0.isReady && $0.reason == .coverageBelowDepth }) {
            let message =
                shallow.message ?? "fewer than \(input.cache.spec.depth) levels per side are covered"
            return Claim(
                holds: true, reason: .coverageBelowDepth, message: "\(message) (\(place(of: shallow)))")
        }
        return Claim(holds: false, reason: .asDesired, message: tally)
    }

    private var progress: Claim {
        if let refusal { return refusal }
        if input.plannedWrites > 0 {
            return Claim(holds: true, reason: .placing, message: "copies are being placed or removed")
        }
        if input.moves > 0 {
            return Claim(
                holds: true, reason: .moving,
                message: input.moves == 1
                    ? "1 copy is being moved to another worker"
                    : "\(input.moves) copies are being moved to other workers")
        }
        let moving = input.copies.filter { !$0.isReady && $0.phase != .failed }
        if !moving.isEmpty {
            return Claim(
                holds: true, reason: .replicasPending,
                message: moving.count == 1
                    ? "1 copy is not yet synchronised" : "\(moving.count) copies are not yet synchronised")
        }
        return Claim(holds: false, reason: .settled, message: "nothing is planned")
    }

    private var tally: String {
        desired == 1
            ? (ready == 0 ? "the copy is not synchronised" : "the copy is synchronised")
            // While a copy moves there is one more.
            : "\(min(ready, desired)) of \(desired) copies are synchronised"
    }

    private func workers(_ count: Int) -> String {
        let leaving = input.leavingWorkers
        return (count == 0 ? "none is live" : count == 1 ? "only 1 is live" : "only \(count) are live")
            + (leaving == 0 ? "" : leaving == 1 ? ", 1 is about to end" : ", \(leaving) are about to end")
    }

    private func place(of copy: StatusInput.Copy) -> String { "\(copy.name) on \(copy.workerName)" }

    /// What the copies that are not ready complain of, the gravest first.
    private var trouble: (reason: Reason, message: String)? {
        func gravity(_ copy: StatusInput.Copy) -> Int {
            if copy.phase == .failed { return 0 }
            if copy.isOnLostWorker { return 3 }
            return copy.phase == .pending ? 2 : 1
        }
        let troubled = input.copies.filter { !$0.isReady }
            .sorted { (gravity($0), $0.name) < (gravity($1), $1.name) }
        guard let worst = troubled.first else { return nil }
        var sentences: [String] = []
        for copy in troubled where sentences.count < 3 {
            let sentence = "\(complaint(of: copy)) (\(place(of: copy)))"
            if !sentences.contains(sentence) { sentences.append(sentence) }
        }
        let reason: Reason = worst.isOnLostWorker ? .workerLost : worst.reason ?? .replicasPending
        return (reason, sentences.joined(separator: "; "))
    }

    private func complaint(of copy: StatusInput.Copy) -> String {
        if copy.isOnLostWorker { return "the worker stopped renewing its Lease" }
        if let message = copy.message, !message.isEmpty { return message }
        if copy.phase == .pending { return "the worker has not said anything about it yet" }
        return copy.reason.map { "\(copy.phase.rawValue), \($0.rawValue)" } ?? copy.phase.rawValue
    }

    private var unplaced: (reason: Reason, message: String) {
        if input.plannedWrites > 0 { return (.placing, "copies are being placed") }
        if input.liveWorkers == 0, input.unprovenWorkers > 0 {
            return (.placing, "waiting until the workers have renewed their Leases")
        }
        return (.noWorkers, "no worker is live; copies are placed as soon as one is")
    }
}
