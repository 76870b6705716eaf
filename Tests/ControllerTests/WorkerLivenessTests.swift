import DepthCacheAPI
import K8sClient
import Testing

@testable import Controller

@Suite struct WorkerLivenessTests {
    func lease(_ name: String, version: Int, holder: String = "i1") -> (ObjectKey, Lease) {
        var lease = WorkerRecord(name: name, uid: "u", incarnation: holder, endpoint: nil)
            .lease(namespace: "default", renewed: MicroTimestamp(microsecondsSinceEpoch: 0))
        lease.metadata.resourceVersion = "\(version)"
        return (lease.key, lease)
    }

    @Test func `a Lease found at the first look is unproven until it moves, and lost when it does not`() {
        var liveness = WorkerLiveness(duration: .seconds(9))
        let start = ContinuousClock.now
        func look(_ versions: [String: Int], _ seconds: Int) -> [String: WorkerLiveness.Verdict] {
            let leases = Dictionary(uniqueKeysWithValues: versions.map { lease($0.key, version: $0.value) })
            liveness.observe(leases, epoch: 1, isLive: true, at: start + .seconds(seconds))
            return liveness.verdicts(at: start + .seconds(seconds))
        }
        #expect(look(["a": 1, "b": 1, "c": 1], 0) == ["a": .unproven, "b": .unproven, "c": .unproven])
        #expect(look(["a": 2, "b": 2, "c": 1], 3) == ["a": .live, "b": .live, "c": .unproven])
        #expect(look(["a": 3, "b": 3, "c": 1, "d": 1], 6)["d"] == .live)
        #expect(look(["a": 4, "b": 4, "c": 1, "d": 2], 9)["c"] == .lost)
        #expect(look(["a": 5, "b": 5, "c": 2, "d": 3], 12)["c"] == .live)
    }

    @Test func `the pod outweighs the Lease`() {
        let (_, own) = lease("a", version: 1)
        var pod = Pod(metadata: ObjectMeta(name: "a"))
        pod.metadata.uid = "u"
        func standing(_ pods: [Pod]) -> PlacementState.Standing? {
            Observation.workers(leases: [own], pods: pods, verdicts: ["a": .live]).first?.standing
        }
        #expect(standing([]) == .live, "a worker started by hand has no pod")
        #expect(standing([pod]) == .live)
        pod.metadata.deletionTimestamp = Timestamp(secondsSinceEpoch: 1)
        #expect(standing([pod]) == .draining)
        pod.metadata.uid = "another"
        #expect(standing([pod]) == .lost)
    }
}
