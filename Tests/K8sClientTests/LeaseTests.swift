import K8sClient
import Testing

@Suite struct LeaseTests {
    let start = ContinuousClock.now

    func leases(_ versions: [String: Int], released: Set<String> = []) -> [ObjectKey: Lease] {
        var all: [ObjectKey: Lease] = [:]
        for (name, version) in versions {
            var lease = Lease(
                metadata: ObjectMeta(name: name, namespace: "d"),
                spec: .init(holderIdentity: released.contains(name) ? "" : "i", leaseDurationSeconds: 9))
            lease.metadata.resourceVersion = "\(version)"
            all[lease.key] = lease
        }
        return all
    }

    func expired(_ tracker: inout LeaseTracker, _ seconds: Double) -> [String] {
        tracker.judge(at: start + .seconds(seconds)).filter { $0.value == .expired }.map(\.key.name).sorted()
    }

    @Test func `one holder of three expires after its duration and not before`() {
        var tracker = LeaseTracker()
        tracker.observe(leases(["a": 1, "b": 1, "c": 1]), epoch: 1, isLive: true, at: start)
        for second in 1...8 {
            tracker.observe(
                leases(["a": 1, "b": 1 + second, "c": 1 + second]), epoch: 1, isLive: true,
                at: start + .seconds(second))
        }
        #expect(expired(&tracker, 8.999).isEmpty)
        #expect(expired(&tracker, 9) == ["a"])
        tracker.observe(leases(["a": 2, "b": 9, "c": 9]), epoch: 1, isLive: true, at: start + .seconds(10))
        #expect(expired(&tracker, 10).isEmpty)
    }

    @Test func `when more than half are late together they get one more duration`() {
        var tracker = LeaseTracker()
        tracker.observe(leases(["a": 1, "b": 1, "c": 1]), epoch: 1, isLive: true, at: start)
        tracker.observe(leases(["a": 1, "b": 1, "c": 2]), epoch: 1, isLive: true, at: start + .seconds(8))
        #expect(expired(&tracker, 9).isEmpty)
        #expect(expired(&tracker, 17.9).isEmpty)
        #expect(expired(&tracker, 18).contains("a"))
    }

    @Test func `one alone is not late together with others`() {
        var tracker = LeaseTracker()
        tracker.observe(leases(["a": 1]), epoch: 1, isLive: true, at: start)
        #expect(expired(&tracker, 8.9).isEmpty)
        #expect(expired(&tracker, 9) == ["a"])
    }

    @Test func `half of them is not more than half`() {
        var tracker = LeaseTracker()
        tracker.observe(leases(["a": 1, "b": 1]), epoch: 1, isLive: true, at: start)
        tracker.observe(leases(["a": 1, "b": 2]), epoch: 1, isLive: true, at: start + .seconds(8))
        #expect(expired(&tracker, 9) == ["a"])
    }

    @Test func `a relist and the end of a gap start the timers again`() {
        var tracker = LeaseTracker()
        let same = leases(["a": 1, "b": 1, "c": 1])
        tracker.observe(same, epoch: 1, isLive: true, at: start)
        tracker.observe(same, epoch: 2, isLive: true, at: start + .seconds(8))
        #expect(expired(&tracker, 16).isEmpty)
        tracker.observe(same, epoch: 2, isLive: false, at: start + .seconds(16))
        #expect(expired(&tracker, 100).isEmpty)
        tracker.observe(same, epoch: 2, isLive: true, at: start + .seconds(100))
        #expect(expired(&tracker, 108).isEmpty)
    }

    @Test func `a Lease given back is released at once and a deleted one is forgotten`() {
        var tracker = LeaseTracker()
        tracker.observe(leases(["a": 1, "b": 1], released: ["a"]), epoch: 1, isLive: true, at: start)
        let verdicts = tracker.judge(at: start)
        #expect(verdicts[ObjectKey(namespace: "d", name: "a")] == .released)
        #expect(verdicts[ObjectKey(namespace: "d", name: "b")] == .alive)
        tracker.observe(leases(["b": 1]), epoch: 1, isLive: true, at: start)
        #expect(tracker.judge(at: start).count == 1)
    }

    @Test(arguments: [
        ("me", 5, LeaseDecision.renew), ("you", 5, .standBy(recheckAfter: .seconds(2))),
        ("you", 9, .standBy(recheckAfter: .seconds(1))), ("you", 10, .acquire(transitions: 4)),
        ("", 0, .acquire(transitions: 4)),
    ])
    func `a candidate decides`(_ holder: String, _ since: Int, _ decision: LeaseDecision) {
        let seen = LeaseDecision.Observation(
            holder: holder, transitions: 3, duration: .seconds(10), sinceLastChange: .seconds(since))
        #expect(LeaseDecision.decide(me: "me", seen, retry: .seconds(2)) == decision)
    }
}
