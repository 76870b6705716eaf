internal import DepthCacheAPI
internal import K8sClient

/// Writes through the Kubernetes API.
struct KubernetesWriter: ClusterWriter {
    let client: KubernetesClient
    let events: EventRecorder

    func create(_ replica: DepthCacheReplica) async throws -> DepthCacheReplica? {
        do { return try await client.create(replica) } catch let error as APIError where error.isAlreadyExists
        {
            return nil
        }
    }

    func update(_ replica: DepthCacheReplica, spec: DepthCacheReplicaSpec) async throws -> WriteOutcome {
        func value(_ number: Int?) -> JSONValue { number.map { .int(Int64($0)) } ?? .null }
        let patch: JSONValue = [
            "spec": [
                "depth": value(spec.depth),
                "updateIntervalMilliseconds": value(spec.updateIntervalMilliseconds),
                "refreshIntervalSeconds": value(spec.refreshIntervalSeconds),
            ]
        ]
        return try await outcome {
            try await client.patch(DepthCacheReplica.self, replica.metadata.name ?? "", .merge, patch)
        }
    }

    func delete(_ replica: DepthCacheReplica) async throws -> WriteOutcome {
        do {
            let existed = try await client.delete(
                DepthCacheReplica.self, replica.metadata.name ?? "", uid: replica.metadata.uid)
            return existed ? .done : .gone
        } catch let error as APIError where error.isConflict { return .conflict }
    }

    func writeStatus(of cache: DepthCache, _ status: DepthCacheStatus) async throws -> WriteOutcome {
        // The uid keeps the status from landing on a namesake made meanwhile.
        let patch: JSONValue = [
            "metadata": ["uid": .string(cache.metadata.uid ?? "")], "status": try JSONValue(encoding: status),
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

    private func outcome<Object>(_ write: () async throws -> Object) async throws -> WriteOutcome {
        do {
            _ = try await write()
            return .done
        } catch let error as APIError where error.isNotFound {
            return .gone
        } catch let error as APIError where error.isConflict { return .conflict }
    }
}
