internal import DepthCacheAPI
internal import K8sClient

/// Writes through the Kubernetes API, each write under the resourceVersion that the decision was based on.
struct KubernetesWriter: ClusterWriter {
    let client: KubernetesClient
    let events: EventRecorder

    func create(_ replica: DepthCacheReplica) async throws -> WriteOutcome<DepthCacheReplica> {
        try await outcome { try await client.create(replica) }
    }

    func update(
        _ replica: DepthCacheReplica, spec: DepthCacheReplicaSpec
    ) async throws -> WriteOutcome<DepthCacheReplica> {
        func value(_ number: Int?) -> JSONValue { number.map { .int(Int64($0)) } ?? .null }
        let patch: JSONValue = [
            "metadata": preconditions(replica.metadata),
            "spec": [
                "depth": value(spec.depth),
                "updateIntervalMilliseconds": value(spec.updateIntervalMilliseconds),
                "refreshIntervalSeconds": value(spec.refreshIntervalSeconds),
            ],
        ]
        return try await outcome {
            try await client.patch(DepthCacheReplica.self, replica.metadata.name ?? "", .merge, patch)
        }
    }

    func delete(_ replica: DepthCacheReplica) async throws -> WriteOutcome<Void> {
        do {
            // Not under its resourceVersion: its worker writes status all the time, and the uid says that it is the one.
            let existed = try await client.delete(
                DepthCacheReplica.self, replica.metadata.name ?? "", uid: replica.metadata.uid)
            return existed ? .done(()) : .gone
        } catch let error as APIError where error.isConflict { return .conflict }
    }

    func writeStatus(of cache: DepthCache, _ status: DepthCacheStatus) async throws -> WriteOutcome<
        DepthCache
    > {
        let patch: JSONValue = [
            "metadata": preconditions(cache.metadata), "status": try status.mergePatch(),
        ]
        return try await outcome {
            try await client.patchStatus(DepthCache.self, cache.metadata.name ?? "", .merge, patch)
        }
    }

    func record(_ event: PlannedEvent, about cache: DepthCache) async {
        events.record(
            cache, event.isWarning ? .warning : .normal, reason: event.reason.rawValue, message: event.message
        )
    }

    /// The uid keeps a write from landing on a namesake made meanwhile, the version from undoing what somebody else did.
    private func preconditions(_ metadata: ObjectMeta) -> JSONValue {
        var conditions: JSONValue = ["uid": .string(metadata.uid ?? "")]
        if let version = metadata.resourceVersion { conditions["resourceVersion"] = .string(version) }
        return conditions
    }

    private func outcome<Object: Sendable>(
        _ write: () async throws -> Object
    ) async throws -> WriteOutcome<Object> {
        do { return .done(try await write()) } catch let error as APIError where error.isNotFound {
            return .gone
        } catch let error as APIError where error.isConflict || error.isAlreadyExists {
            return .conflict
        }
    }
}
