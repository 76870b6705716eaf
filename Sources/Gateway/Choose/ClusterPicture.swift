/// What a gateway knows of the cluster at one moment, as plain values: the input of a `RoutingTable`.
struct ClusterPicture: Sendable {
    var caches: [CachePicture] = []
    var replicas: [ReplicaPicture] = []
    var workers: [WorkerPicture] = []
    var pods: [PodPicture] = []
    /// The masked list, the oldest first.
    var credentials: [CredentialPicture] = []
}

/// A DepthCache, as far as clients and routes need it.
struct CachePicture: Sendable, Equatable {
    var name: String
    var uid: String
    var exchange: String
    var market: String
    var replicas = 1
    var updateInterval: Int?
    var refreshInterval: Int?
    /// Unix seconds.
    var created = 0.0
    var depth = 0
    var standing = Standing()
    /// The controller places nothing for it: its spec is invalid.
    var isHeld = false

    /// What the controller says in the condition `Ready`.
    struct Standing: Sendable, Equatable {
        var isReady = false
        var reason = ""
        var message = ""
    }
}

/// A DepthCacheReplica.
struct ReplicaPicture: Sendable, Equatable {
    var name: String
    var cacheUID: String
    var workerUID: String
    var workerName: String
    var created = 0.0
    var isSynchronized = false
    /// The incarnation that wrote the status; another one's words do not count.
    var incarnation = ""
    var restarts = 0
    /// Unix seconds of the last transition.
    var since = 0.0
}

/// A worker's Lease.
struct WorkerPicture: Sendable, Equatable {
    var uid: String
    var name: String
    var node = ""
    var address: String
    var port: Int
    var incarnation: String
    /// Unix seconds of the last renewal.
    var lastSeen = 0.0
}

/// A pod of a worker or a gateway.
struct PodPicture: Sendable, Equatable {
    enum Role: String, Sendable {
        case gateway = "ubdcc-restapi"
        case worker = "ubdcc-dcn"
    }
    var name: String
    var uid: String
    var node: String
    var role: Role
    var address: String
    var port: Int
    var isReady: Bool
}
