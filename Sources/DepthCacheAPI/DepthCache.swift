package import K8sClient

/// One market of one exchange, kept in some copies.
package struct DepthCache: KubernetesResource, Equatable {
    package static var resource: APIResource {
        APIResource(
            group: Fathom.group, version: Fathom.version, plural: "depthcaches", kind: "DepthCache")
    }
    package var metadata: ObjectMeta
    package var spec: DepthCacheSpec
    package var status: DepthCacheStatus?

    package init(metadata: ObjectMeta, spec: DepthCacheSpec, status: DepthCacheStatus? = nil) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    /// The selector of the replicas of a DepthCache of this uid, as `scale` has it.
    package static func selector(uid: String) -> String { "\(LabelKey.depthCache)=\(uid)" }
}

/// What there is of a DepthCache, written by the controller.
package struct DepthCacheStatus: Codable, Equatable, Sendable {
    package var observedGeneration: Int64?
    /// Copies placed on workers.
    package var replicas: Int?
    /// Copies synchronised, as said by running incarnations.
    package var readyReplicas: Int?
    package var selector: String?
    /// Feed speed in use.
    package var updateIntervalMilliseconds: Int?
    /// The last comparison of any of its copies.
    package var lastAudit: ReplicaAudit?
    package var conditions: [Condition]?

    package init(
        observedGeneration: Int64? = nil, replicas: Int? = nil, readyReplicas: Int? = nil,
        selector: String? = nil, updateIntervalMilliseconds: Int? = nil, lastAudit: ReplicaAudit? = nil,
        conditions: [Condition]? = nil
    ) {
        self.lastAudit = lastAudit
        self.observedGeneration = observedGeneration
        self.replicas = replicas
        self.readyReplicas = readyReplicas
        self.selector = selector
        self.updateIntervalMilliseconds = updateIntervalMilliseconds
        self.conditions = conditions
    }

    /// A merge patch that leaves nothing of an earlier status.
    package func mergePatch() throws -> JSONValue {
        var patch = try JSONValue(encoding: self)
        patch["lastAudit"] = try lastAudit?.mergePatch()
        patch.removeOthers([
            "observedGeneration", "replicas", "readyReplicas", "selector", "updateIntervalMilliseconds",
            "lastAudit",
            "conditions",
        ])
        return patch
    }
}

/// One copy of a DepthCache on one worker; the controller writes the spec, the worker the status.
package struct DepthCacheReplica: KubernetesResource, Equatable {
    package static var resource: APIResource {
        APIResource(
            group: Fathom.group, version: Fathom.version, plural: "depthcachereplicas",
            kind: "DepthCacheReplica")
    }
    package var metadata: ObjectMeta
    package var spec: DepthCacheReplicaSpec
    package var status: DepthCacheReplicaStatus?

    package init(
        metadata: ObjectMeta, spec: DepthCacheReplicaSpec, status: DepthCacheReplicaStatus? = nil
    ) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    /// The copy of `cache` on a worker; nil while the cache has no name and uid.
    package init?(copyOf cache: DepthCache, workerName: String, workerUID: String) {
        guard let owner = OwnerReference(controlledBy: cache) else { return nil }
        let name = ObjectNames.replica(cacheName: owner.name, cacheUID: owner.uid, workerUID: workerUID)
        metadata = ObjectMeta(
            name: name, namespace: cache.metadata.namespace,
            labels: [LabelKey.worker: workerUID, LabelKey.depthCache: owner.uid], ownerReferences: [owner])
        spec = DepthCacheReplicaSpec(copyOf: cache.spec, on: workerName)
    }

    package var workerUID: String? { metadata.labels[LabelKey.worker] }
    package var cacheUID: String? { metadata.labels[LabelKey.depthCache] }

    /// The phase, when the running incarnation of the worker said it, else `Pending`.
    package func phase(ofIncarnation incarnation: String?) -> ReplicaPhase {
        guard let incarnation, let status, status.incarnation == incarnation else { return .pending }
        return status.phase
    }
}
