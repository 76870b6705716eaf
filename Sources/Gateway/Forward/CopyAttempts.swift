/// A replica that was tried, or passed over, in vain.
struct ReplicaFailure: Equatable {
    var index: Int
    var detail: String
}

/// The copies that one query may be asked of, and how each stands to it; made when there is a second thing to do.
///
/// Bound to its loop. A copy is in one standing at a time; what has gone wrong with it is noted beside that, since a copy
/// that is silent is doubted and may still answer. Copies are known by their place among `replicas`, which never changes.
final class CopyAttempts {
    private enum Standing {
        /// May be asked, as soon as its link is up.
        case waiting
        case asked
        /// In sync, but before the wanted id; asked again until it has caught up.
        case behind
        /// It has failed, or there is no way to it.
        case over
    }

    private struct Copy {
        let replica: ReplicaRoute
        let link: (any WorkerLink)?
        var standing: Standing
    }

    /// All that were found, also those that a later look at the routes has brought.
    private var copies: [Copy]
    var replicas: [ReplicaRoute] { copies.map(\.replica) }
    /// The places in the order in which they are to be asked; who is asked, or found behind, goes to the end.
    private var order: [Int] = []
    private(set) var failures: [ReplicaFailure] = []

    /// Nobody has been asked; those that are worth a try wait in the order of `ReplicaChoice`.
    init(
        _ replicas: [ReplicaRoute], links: [(any WorkerLink)?], turn: Int, isShunned: (ReplicaRoute) -> Bool
    ) {
        copies = zip(replicas, links).map { Copy(replica: $0, link: $1, standing: .over) }
        let candidates = zip(replicas, links).map { replica, link in
            ReplicaChoice.Candidate(
                condition: link?.condition ?? .down, isRunning: replica.isRunning,
                isShunned: isShunned(replica))
        }
        order = ReplicaChoice.order(candidates, turn: turn)
        for place in order { copies[place].standing = .waiting }
        if let passedOver = ReplicaChoice.passedOver(candidates, turn: turn) {
            note(passedOver, trouble(passedOver))
        }
    }

    /// All were well and the one whose turn it was has been asked over `link`; its answer may still come.
    init(
        _ replicas: [ReplicaRoute], links: [(any WorkerLink)?], turn: Int, asked link: (any WorkerLink)?
    ) {
        copies = zip(replicas, links).map { Copy(replica: $0, link: $1, standing: .waiting) }
        order = ReplicaChoice.rotated(replicas.count, turn)
        guard let first = order.first else { return }
        copies[first] = Copy(replica: replicas[first], link: link, standing: .asked)
        move(first, to: .asked)
    }

    private func move(_ place: Int, to standing: Standing) {
        copies[place].standing = standing
        order.removeAll { $0 == place }
        if standing != .over { order.append(place) }
    }

    // Who is to be asked

    /// Who is to be asked next, if somebody can be.
    var next: Int? { order.first { copies[$0].standing == .waiting && isReachable($0) } }

    /// Somebody waits whose link is up.
    var hasHealthyOther: Bool {
        order.contains { copies[$0].standing == .waiting && copies[$0].link?.condition == .up }
    }

    /// Somebody waits for a link that is being made.
    var isConnecting: Bool {
        order.contains { copies[$0].standing == .waiting && copies[$0].link?.condition == .connecting }
    }

    /// The copy is being asked, over the link that is returned.
    func ask(_ place: Int) -> (any WorkerLink)? {
        move(place, to: .asked)
        return copies[place].link
    }

    /// Takes copies that were made since; true if there are new ones.
    func add(_ found: [ReplicaRoute], link: (ReplicaRoute) -> (any WorkerLink)?) -> Bool {
        let new = found.filter { found in
            !copies.contains { $0.replica.replica.name == found.replica.name }
        }
        for replica in new {
            let link = link(replica)
            copies.append(Copy(replica: replica, link: link, standing: .over))
            if link != nil { move(copies.count - 1, to: .waiting) }
        }
        return !new.isEmpty
    }

    // What has become of those that were

    /// Somebody was asked and has not answered.
    var isAnswerDue: Bool { copies.contains { $0.standing == .asked } }

    /// Who was asked last of those that have not answered.
    var latest: Int? { order.last { copies[$0].standing == .asked } }

    func isSuspect(_ place: Int) -> Bool { copies[place].link?.condition == .suspect }

    /// It has not what was asked for, and is asked no more.
    func fail(_ place: Int, _ detail: String) {
        move(place, to: .over)
        note(place, detail)
    }

    /// It stands before the wanted id.
    func fallBehind(_ place: Int) { move(place, to: .behind) }

    var isSomeoneBehind: Bool { copies.contains { $0.standing == .behind } }

    /// Those that were behind may be asked again.
    func askAgain() {
        for place in copies.indices where copies[place].standing == .behind {
            copies[place].standing = .waiting
        }
    }

    /// Notes what is wrong with a copy; of several things the last.
    func note(_ place: Int, _ detail: String) {
        if let known = failures.firstIndex(where: { $0.index == place }) {
            failures[known].detail = detail
        } else {
            failures.append(ReplicaFailure(index: place, detail: detail))
        }
    }

    /// Notes why those of which nothing is noted yet gave no answer; `spared` says it of those that could have been asked.
    func conclude(silentFor milliseconds: Int, spared: String?) {
        for place in copies.indices where !failures.contains(where: { $0.index == place }) {
            let isSpared = copies[place].standing == .waiting && isReachable(place)
            note(
                place,
                copies[place].standing == .asked
                    ? "no answer within \(milliseconds) ms"
                    : (isSpared ? spared : nil) ?? trouble(place))
        }
    }

    /// How many could be asked and were not.
    var spareCount: Int { order.count { copies[$0].standing == .waiting && isReachable($0) } }

    private func isReachable(_ place: Int) -> Bool {
        guard let condition = copies[place].link?.condition else { return false }
        return condition == .up || condition == .suspect
    }

    private func trouble(_ place: Int) -> String {
        copies[place].link?.trouble ?? "its worker has no Lease with an endpoint"
    }
}
