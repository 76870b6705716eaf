import FoundationEssentials
import K8sClient
import LocalCluster
import Telemetry
import TestSupport
import Testing
import Transport

/// The client's parts against the embedded API, over TLS with its token, as the programs use them.
@Suite struct ClientAgainstAPITests {
    let folder: TemporaryDirectory
    let api: EmbeddedAPIServer
    let client: KubernetesClient

    init() throws {
        folder = try TemporaryDirectory()
        var configuration = ApiServerConfiguration()
        configuration.dataDirectory = folder.path
        configuration.port = 0
        api = try EmbeddedAPIServer(configuration)
        client = KubernetesClient(
            configuration: try KubernetesConfiguration.load(kubeconfig: api.kubeconfig),
            http: try HTTPClient())
    }

    @Test func `calls, patches, conflicts and preconditions`() async throws {
        let made = try await client.create(
            Lease(metadata: ObjectMeta(name: "a", labels: ["x": "y"]), spec: .init(holderIdentity: "me")))
        let patched = try await client.patch(Lease.self, "a", .merge, ["spec": ["holderIdentity": "you"]])
        #expect(patched.holder == "you" && patched.metadata.resourceVersion != made.metadata.resourceVersion)
        await #expect {
            try await client.update(made)
        } throws: {
            ($0 as? APIError)?.isConflict == true
        }
        await #expect {
            try await client.create(Lease(metadata: ObjectMeta(name: "a")))
        } throws: {
            ($0 as? APIError)?.isAlreadyExists == true
        }
        let map = ConfigMap(metadata: ObjectMeta(name: "m"), data: ["k": "v"])
        #expect(try await client.create(map).data == ["k": "v"])
        #expect(try await client.list(Lease.self, Selector(labels: ["x": "y"])).items.count == 1)
        #expect(try await client.list(Lease.self, Selector(labels: ["x": "z"])).items.isEmpty)
        await #expect(throws: APIError.self) { try await client.delete(Lease.self, "a", uid: "another") }
        #expect(try await client.delete(Lease.self, "a", uid: made.metadata.uid))
        var secret = Secret(metadata: ObjectMeta(name: "s"), type: "Opaque")
        secret.data["k"] = Data("v".utf8)
        #expect(try await client.create(secret).text("k") == "v")
        await api.stop()
    }

    @Test func `an informer follows what happens`() async throws {
        var paged = client
        paged.pageSize = 2
        for name in ["a", "b", "c"] { try await client.create(ConfigMap(metadata: ObjectMeta(name: name))) }
        let informer = Informer(ConfigMap.self, client: paged)
        let run = Task { await informer.run() }
        try await informer.waitUntilSynced()
        #expect(informer["c"] != nil)
        try await eventually { informer.state.isLive }
        try await client.patch(ConfigMap.self, "a", .merge, ["data": ["k": "v"]])
        try await client.delete(ConfigMap.self, "b")
        try await eventually { informer["a"]?.data == ["k": "v"] && informer["b"] == nil }
        #expect(informer.state.epoch == 1)
        run.cancel()
        await run.value
        await api.stop()
    }

    @Test func `leadership, a worker's Lease and events`() async throws {
        let leads = Guarded(false)
        let election = LeaderElection(client: client, name: "leader", identity: "me")
        let leader = Task {
            try await election.run {
                leads.withLock { $0 = true }
                try await Task.sleep(for: .seconds(600))
            }
        }
        try await eventually { leads.withLock { $0 } }
        leader.cancel()
        _ = await leader.result
        #expect(try await client.get(Lease.self, "leader").holder == nil)

        let renewer = LeaseRenewer(
            client: client,
            lease: Lease(
                metadata: ObjectMeta(name: "w"), spec: .init(holderIdentity: "i", leaseDurationSeconds: 9)))
        let renewing = Task { try await renewer.run() }
        try await eventually { try await client.find(Lease.self, "w")?.holder == "i" }
        await renewer.annotate("fathom.dev/endpoint", "127.0.0.1:1")
        try await eventually {
            try await client.get(Lease.self, "w").metadata.annotations["fathom.dev/endpoint"] == "127.0.0.1:1"
        }
        renewing.cancel()
        _ = await renewing.result

        let recorder = EventRecorder(client: client, component: "c", instance: "i")
        let recording = Task { await recorder.run() }
        for _ in 0..<2 {
            recorder.record(try await client.get(Lease.self, "w"), .normal, reason: "R", message: "m")
        }
        try await eventually { try await client.list(CoreEvent.self).items.first?.count == 2 }
        recording.cancel()
        await api.stop()
    }
}
