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
        // RFC 7386: null removes a member, a member that is not named stays.
        var merged = try JSONValue(encoding: before)
        for (name, value) in try after.mergePatch().fields ?? [:] {
            merged[name] = value == .null ? nil : value
        }
        #expect(try merged.decode(DepthCacheReplicaStatus.self) == after)
    }
}
