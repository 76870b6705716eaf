internal import DepthCacheAPI
internal import K8sClient

/// How a write went that did not fail.
enum WriteOutcome: Equatable, Sendable {
    case done
    /// An object of the name exists, or it changed in between: look again.
    case conflict
    /// There is no such object.
    case gone
}

/// Everything that the controller writes; the real one speaks to the Kubernetes API.
protocol ClusterWriter: Sendable {
    /// The object as it was created; nil when there is one of the name.
    func create(_ replica: DepthCacheReplica) async throws -> DepthCacheReplica?
    func update(_ replica: DepthCacheReplica, spec: DepthCacheReplicaSpec) async throws -> WriteOutcome
    func delete(_ replica: DepthCacheReplica) async throws -> WriteOutcome
    func writeStatus(of cache: DepthCache, _ status: DepthCacheStatus) async throws -> WriteOutcome
    func record(_ event: PlannedEvent, about cache: DepthCache) async
}
