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
        /// A spec that cannot be kept: what there is stays, nothing is added.
        var isHeld = false
        var isDeleting = false
    }

    /// A DepthCacheReplica that exists.
    struct Replica: Equatable, Sendable {
        var name: String
        var cacheUID: String
        var workerUID: String
        /// Synchronised, as said by the running incarnation of a live worker.
        var isReady = false
        var isDeleting = false
    }

    /// A worker that has a Lease.
    struct Worker: Equatable, Sendable {
        var uid: String
        var name: String
        var node: String
        var standing = Standing.live
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
        case workerGone = "its worker is gone"
    }
}
