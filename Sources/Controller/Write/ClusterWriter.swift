internal import DepthCacheAPI
internal import K8sClient

/// How a write went that did not fail.
enum WriteOutcome<Object: Sendable>: Sendable {
    case done(Object)
    /// The object exists already, or it changed since we looked: look again.
    case conflict
    /// There is no such object.
    case gone
}

/// Everything that the controller writes; the real one speaks to the Kubernetes API.
///
/// Each write counts only if the object still is what we decided upon: neither another controller nor a user is overwritten.
protocol ClusterWriter: Sendable {
    func create(_ replica: DepthCacheReplica) async throws -> WriteOutcome<DepthCacheReplica>
    func update(
        _ replica: DepthCacheReplica, spec: DepthCacheReplicaSpec
    ) async throws -> WriteOutcome<DepthCacheReplica>
    func delete(_ replica: DepthCacheReplica) async throws -> WriteOutcome<Void>
    func writeStatus(of cache: DepthCache, _ status: DepthCacheStatus) async throws -> WriteOutcome<
        DepthCache
    >
    func record(_ event: PlannedEvent, about cache: DepthCache) async
}
