/// All that the planner of credentials may look at, as plain values.
struct CredentialState: Equatable, Sendable {
    var secrets: [Secret] = []
    var replicas: [Replica] = []

    /// A Secret of ours: it has the label of an account group.
    struct Secret: Equatable, Sendable {
        var name: String
        var group: String
        /// Whether a worker may use it.
        var isUsable = true
    }

    /// A DepthCacheReplica that exists.
    struct Replica: Equatable, Sendable {
        var name: String
        var workerUID: String
        /// Which credentials fit its exchange.
        var group: String
        /// What it says now.
        var secret: String?
    }
}

/// Who uses which credentials.
struct CredentialPlan: Equatable, Sendable {
    /// One worker's use of one account group.
    struct Seat: Hashable, Comparable, Sendable {
        var workerUID: String
        var group: String

        static func < (one: Self, other: Self) -> Bool {
            (one.workerUID, one.group) < (other.workerUID, other.group)
        }
    }

    /// What a replica has to say instead.
    struct Change: Equatable, Sendable {
        var replica: String
        /// Nil withdraws what it says: one Secret never takes the place of another in one step.
        var secret: String?
    }

    var assignments: [Seat: String] = [:]
    var changes: [Change] = []
    /// The Secrets that workers have to be able to read, sorted: those in use before and after the changes, and no others.
    var readable: [String] = []

    /// The workers of each Secret, sorted.
    var workers: [String: [String]] {
        Dictionary(grouping: assignments.keys.sorted()) { assignments[$0] ?? "" }
            .mapValues { $0.map(\.workerUID) }
    }
}

/// Deals the Secrets of each account group to the workers that need one: pure, deterministic, and content with what is dealt.
///
/// A worker keeps what it has for as long as that is usable; else it gets the one with the fewest workers, by name.
enum CredentialPlanner {
    static func plan(_ state: CredentialState) -> CredentialPlan {
        var usable: [String: [String]] = [:]
        for secret in state.secrets where secret.isUsable {
            usable[secret.group, default: []].append(secret.name)
        }
        let seats = Dictionary(grouping: state.replicas) {
            CredentialPlan.Seat(workerUID: $0.workerUID, group: $0.group)
        }
        var plan = CredentialPlan()
        for (seat, replicas) in seats {
            plan.assignments[seat] = kept(replicas, of: Set(usable[seat.group] ?? []))
        }
        var load: [String: Int] = [:]
        for name in plan.assignments.values { load[name, default: 0] += 1 }
        for seat in seats.keys.sorted() where plan.assignments[seat] == nil {
            let best = (usable[seat.group] ?? []).min { (load[$0] ?? 0, $0) < (load[$1] ?? 0, $1) }
            guard let best else { continue }
            plan.assignments[seat] = best
            load[best, default: 0] += 1
        }
        for replica in state.replicas.sorted(by: { $0.name < $1.name }) {
            let seat = CredentialPlan.Seat(workerUID: replica.workerUID, group: replica.group)
            let wanted = plan.assignments[seat]
            guard replica.secret != wanted else { continue }
            plan.changes.append(.init(replica: replica.name, secret: replica.secret == nil ? wanted : nil))
        }
        // A name in a replica opens nothing by itself: whoever may write replicas must not choose what workers can read.
        let ours = Set(state.secrets.map(\.name))
        let inUse = Set(state.replicas.compactMap(\.secret)).intersection(ours)
        plan.readable = inUse.union(plan.assignments.values).sorted()
        return plan
    }

    /// What most replicas of the seat say and may go on saying.
    private static func kept(_ replicas: [CredentialState.Replica], of usable: Set<String>) -> String? {
        let counts = Dictionary(
            replicas.compactMap { $0.secret.map { ($0, 1) } }.filter { usable.contains($0.0) },
            uniquingKeysWith: +)
        return counts.min { (-$0.value, $0.key) < (-$1.value, $1.key) }?.key
    }
}
