import DepthCacheAPI
import K8sClient
import Testing

struct ReplicaStatusTests {
    @Test func `a status that says less than the one before takes the rest away`() throws {
        let before = DepthCacheReplicaStatus(
            phase: .synchronized, reason: .shallow, message: "the best levels are served", since: "a",
            restarts: 3,
            incarnation: "one", updateIntervalMilliseconds: 100)
        let after = DepthCacheReplicaStatus(phase: .pending, reason: .starting, incarnation: "two")
        #expect(try merged(after.mergePatch(), JSONValue(encoding: before)).decode() == after)
    }

    private static func audit(_ result: ReplicaAudit.Result, dump: String? = nil) -> ReplicaAudit {
        ReplicaAudit(
            time: "t", result: result, updateID: 1, matched: 2, drifted: 3, orphaned: 4, missed: 5, dump: dump
        )
    }

    @Test func `an audit that found nothing takes away the evidence of the one before`() throws {
        let before = Self.audit(.mismatch, dump: "/tmp/evidence")
        let after = Self.audit(.match)
        let copies = [before, after].map { DepthCacheReplicaStatus(phase: .synchronized, lastAudit: $0) }
        let copy: DepthCacheReplicaStatus = try merged(
            copies[1].mergePatch(), JSONValue(encoding: copies[0])
        ).decode()
        #expect(copy.lastAudit == after)
        let caches = [before, after].map { DepthCacheStatus(replicas: 1, lastAudit: $0) }
        let cache: DepthCacheStatus = try merged(
            caches[1].mergePatch(), JSONValue(encoding: caches[0])
        ).decode()
        #expect(cache == caches[1])
    }

    @Test func `whatever a DepthCache's status no longer says is gone after the patch`() throws {
        let before = DepthCacheStatus(
            observedGeneration: 1, replicas: 2, readyReplicas: 2, selector: "s",
            updateIntervalMilliseconds: 100,
            lastAudit: Self.audit(.match), conditions: [])
        let after = DepthCacheStatus()
        #expect(try merged(after.mergePatch(), JSONValue(encoding: before)).decode() == after)
    }

    /// RFC 7386: null removes a member, objects merge, a member that is not named stays.
    private func merged(_ patch: JSONValue, _ target: JSONValue) -> JSONValue {
        guard let changes = patch.fields else { return patch }
        var fields = target.fields ?? [:]
        for (name, change) in changes {
            fields[name] = change == .null ? nil : merged(change, fields[name] ?? .null)
        }
        return .object(fields)
    }
}
