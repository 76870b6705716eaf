internal import DepthCacheAPI

/// All that the placement planner may look at, as plain values.
struct PlacementState: Equatable, Sendable {
    var caches: [Cache] = []
    var replicas: [Replica] = []
    var workers: [Worker] = []

    /// A DepthCache that wants to be placed.
    struct Cache: Equatable, Sendable {
        var uid: String
        var name: String
        var market: MarketKey
        /// creationTimestamp; RFC 3339 sorts as text.
        var created: String
        var replicas: Int
        /// What one copy costs its worker; see `ReplicaLoad`.
        var load = ReplicaLoad.least
        /// A spec that cannot be kept: what there is stays, nothing is added.
        var isHeld = false
        var isDeleting = false
    }

    /// A DepthCacheReplica that exists.
    struct Replica: Equatable, Sendable {
        var name: String
        var uid = ""
        var cacheUID: String
        var workerUID: String
        /// Synchronised, as said by the running incarnation of a live worker.
        var isReady = false
        /// Failed, as said by it: it will not become ready by waiting.
        var isFailed = false
        var isDeleting = false
        /// The copy that goes once this one is ready.
        var replaces: Reference?
        /// It was made to take another's place and has not become ready in time.
        var isOverdue = false

        var reference: Reference { Reference(name: name, uid: uid) }
    }

    /// One copy and no other: a later copy of the same cache on the same worker has the same name.
    struct Reference: Equatable, Sendable {
        var name: String
        var uid: String
    }

    /// A worker that has a Lease.
    struct Worker: Equatable, Sendable {
        var uid: String
        var name: String
        var node: String
        var zone = ""
        var standing = Standing.live
        /// Live for long enough that copies are moved to it from others.
        var isSettled = true
        /// A copy that was moved to it has not become ready lately: others are not, for a while.
        var isAvoided = false
    }

    /// What may be expected of a worker.
    enum Standing: Equatable, Sendable {
        /// Renews its Lease: may get replicas.
        case live
        /// Not yet seen renewing since this controller looks on: keeps what it has, gets nothing.
        case unproven
        /// Hands over before it ends: keeps what it has until others are ready.
        case draining
        /// Its Lease expired, or its pod is gone.
        case lost
    }
}

/// What a copy costs its worker: tenths of messages per second, and one message per second for being there.
enum ReplicaLoad {
    static let least = 10
    /// Nothing is known of a market yet: half of what its feed can send at most.
    static func estimate(intervalMilliseconds: Int) -> Int {
        least + 10 * 500 / max(1, intervalMilliseconds)
    }
    static func of(messagesPerSecond rate: Double) -> Int { least + Int((rate * 10).rounded()) }

    /// A measured load counts once it differs from the one in use by a quarter: noise moves nothing.
    static func settled(_ measured: Int, inUse: Int?) -> Int {
        guard let inUse else { return measured }
        return abs(measured - inUse) * 4 > max(inUse, measured) ? measured : inUse
    }
}

/// What has to be written so that the state becomes the wanted one.
struct PlacementPlan: Equatable, Sendable {
    var creates: [Creation] = []
    var deletes: [Deletion] = []
    /// For each cache that is not placed at all: which one keeps its market.
    var duplicates: [String: String] = [:]
    /// For each cache with fewer live copies than desired after the creates: how many are missing.
    var missing: [String: Int] = [:]

    struct Creation: Equatable, Sendable {
        var cacheUID: String
        var workerUID: String
        /// The copy that goes once this one is ready: a move.
        var replaces: PlacementState.Reference?
    }

    struct Deletion: Equatable, Sendable {
        var name: String
        var cacheUID: String
        var why: DeletionCause
    }

    /// Why a replica is deleted, in the words of the Event about it.
    enum DeletionCause: String, Equatable, Sendable {
        case cacheGone = "its DepthCache is gone"
        case duplicateMarket = "another DepthCache keeps the market"
        case duplicateWorker = "the worker has another copy"
        case surplus = "fewer copies are wanted"
        case replaced = "other workers have ready copies"
        case moved = "the copy that takes its place is ready"
        case workerGone = "its worker is gone"
        case moveAbandoned = "it did not become ready in time, so the move is given up"
    }
}
