import K8sClient
import Telemetry
import TestSupport
import Testing

@Suite struct ElectionTests {
    static let path = "/apis/coordination.k8s.io/v1/namespaces/d/leases/l"

    func election(_ api: FakeAPI, _ identity: String, told: Guarded<[String]> = Guarded([])) -> LeaderElection
    {
        var settings = LeaderElectionSettings()
        settings.retryPeriod = .milliseconds(30)
        return LeaderElection(client: api.client(), name: "l", identity: identity, settings: settings) {
            holder in
            told.withLock { $0.append(holder) }
        }
    }

    @Test func `one leads, the other waits and says for whom, and follows when the first lets go`()
        async throws
    {
        let api = try FakeAPI()
        defer { api.stop() }
        let leading = Guarded<[String]>([])
        let told = Guarded<[String]>([])
        func start(_ identity: String) -> Task<Void, any Error> {
            let election = election(api, identity, told: told)
            return Task {
                try await election.run {
                    leading.withLock { $0.append(identity) }
                    try await Task.sleep(for: .seconds(600))
                }
            }
        }
        let one = start("one")
        try await eventually { leading.withLock { $0 } == ["one"] }
        let two = start("two")
        try await eventually { told.withLock { $0 } == ["one"] }
        #expect(leading.withLock { $0 } == ["one"])
        one.cancel()
        await #expect(throws: CancellationError.self) { try await one.value }
        #expect(api.object(Self.path)?.at("spec", "holderIdentity") != "one")
        try await eventually { leading.withLock { $0 } == ["one", "two"] }
        #expect(api.object(Self.path)?.at("spec", "leaseTransitions") == 2)
        two.cancel()
        _ = await two.result
    }

    @Test func `a leader whose Lease was taken stops without writing`() async throws {
        let api = try FakeAPI()
        defer { api.stop() }
        let election = election(api, "one")
        let leads = Guarded(false)
        let run = Task {
            try await election.run {
                leads.withLock { $0 = true }
                try await Task.sleep(for: .seconds(600))
            }
        }
        try await eventually { leads.withLock { $0 } }
        var taken = try #require(api.object(Self.path))
        taken.set(["spec", "holderIdentity"], to: "thief")
        api.put(Self.path, taken)
        await #expect(throws: LeadershipLost.self) { try await run.value }
        #expect(api.object(Self.path)?.at("spec", "holderIdentity") == "thief")
    }

    @Test func `a renewal that hangs is given up while there is time for another`() async throws {
        let api = try FakeAPI()
        defer { api.stop() }
        var settings = LeaderElectionSettings()
        settings.retryPeriod = .milliseconds(200)
        settings.renewDeadline = .seconds(3)
        let election = LeaderElection(client: api.client(), name: "l", identity: "one", settings: settings)
        api.hang("PUT", count: 1)
        let leads = Guarded(false)
        let run = Task {
            try await election.run {
                leads.withLock { $0 = true }
                try await Task.sleep(for: .seconds(600))
            }
        }
        try await eventually { leads.withLock { $0 } }
        try await eventually("renewals after the one that hangs") {
            api.seen.filter { $0.method == "PUT" }.count >= 3
        }
        run.cancel()
        await #expect(throws: CancellationError.self) { try await run.value }
    }

    @Test func `whoever leads no more sends nothing, whatever its tasks still want`() async throws {
        let api = try FakeAPI()
        defer { api.stop() }
        let election = election(api, "one")
        let leads = Guarded(false)
        let client = api.client().fenced(by: election.term)
        await #expect(throws: LeadershipLost.self) { try await client.get(Lease.self, "l") }
        let run = Task {
            try await election.run {
                leads.withLock { $0 = true }
                try await Task.sleep(for: .seconds(600))
            }
        }
        try await eventually { leads.withLock { $0 } }
        #expect(try await client.get(Lease.self, "l").holder?.isEmpty == false)
        // A process that was stopped wakes up late: the time is past, though nobody has told it yet.
        let late = ContinuousClock.now + .seconds(8)
        #expect(throws: LeadershipLost.self) { try election.term.remaining(at: late) }
        let left = try election.term.remaining()
        #expect(left > .seconds(7) && left <= .milliseconds(9500), "it ends before another may lead")
        run.cancel()
        _ = await run.result
        await #expect(throws: LeadershipLost.self) { try await client.get(Lease.self, "l") }
    }

    @Test func `a worker's Lease is renewed, annotated at once, and given up to a later incarnation`()
        async throws
    {
        let api = try FakeAPI()
        defer { api.stop() }
        let lease = Lease(
            metadata: ObjectMeta(name: "l", labels: ["a": "b"]),
            spec: .init(holderIdentity: "one", leaseDurationSeconds: 9))
        let renewer = LeaseRenewer(client: api.client(), lease: lease, interval: .milliseconds(200))
        let run = Task { try await renewer.run() }
        try await eventually { api.object(Self.path)?.at("spec", "renewTime") != nil }
        let first = api.object(Self.path)?.at("spec", "renewTime")
        try await eventually { api.object(Self.path)?.at("spec", "renewTime") != first }
        await renewer.annotate("fathom.dev/draining", "true")
        try await eventually {
            api.object(Self.path)?.at("metadata", "annotations", "fathom.dev/draining") == "true"
        }
        var later = lease
        later.spec.holderIdentity = "two"
        let second = LeaseRenewer(client: api.client(), lease: later, interval: .milliseconds(200))
        let run2 = Task { try await second.run() }
        await #expect(throws: LeaseTaken(holder: "two")) { try await run.value }
        run2.cancel()
        _ = await run2.result
        await second.release()
        #expect(api.object(Self.path)?.at("spec", "holderIdentity") == "")
    }
}
