/// Where a replica stands, written by its worker on transitions.
package struct DepthCacheReplicaStatus: Codable, Equatable, Sendable {
    package var phase: ReplicaPhase
    package var reason: Reason?
    package var message: String?
    /// When the replica entered its phase, RFC 3339.
    package var since: String?
    /// How often it had to synchronise anew since its worker started.
    package var restarts: Int?
    /// Which start of the worker wrote this.
    package var incarnation: String?
    /// Feed speed in use.
    package var updateIntervalMilliseconds: Int?

    package init(
        phase: ReplicaPhase, reason: Reason? = nil, message: String? = nil, since: String? = nil,
        restarts: Int? = nil, incarnation: String? = nil, updateIntervalMilliseconds: Int? = nil
    ) {
        self.phase = phase
        self.reason = reason
        self.message = message
        self.since = since
        self.restarts = restarts
        self.incarnation = incarnation
        self.updateIntervalMilliseconds = updateIntervalMilliseconds
    }
}
