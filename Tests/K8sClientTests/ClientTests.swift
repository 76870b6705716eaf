import K8sClient
import Telemetry
import TestSupport
import Testing
import Transport

@Suite struct ClientTests {
    @Test func `objects are made, read, changed and deleted`() async throws {
        let api = try FakeAPI()
        defer { api.stop() }
        let client = api.client()
        let made = try await client.create(
            Lease(metadata: ObjectMeta(name: "a"), spec: .init(holderIdentity: "x")))
        #expect(made.metadata.namespace == "d" && made.metadata.resourceVersion == "101")
        let found = try await client.find(Lease.self, "a")
        #expect(found == made)
        #expect(try await client.find(Lease.self, "b") == nil)
        try await client.patch(Lease.self, "a", .merge, ["spec": ["holderIdentity": "y"]])
        #expect(api.seen.last?.contentType == "application/merge-patch+json")
        var stale = made
        stale.spec.holderIdentity = "z"
        let copy = stale
        await #expect {
            try await client.update(copy)
        } throws: {
            ($0 as? APIError)?.isConflict == true
        }
        #expect(try await client.delete(Lease.self, "a", uid: "u"))
        #expect(api.seen.last?.body?.at("preconditions", "uid") == "u")
        #expect(try await client.delete(Lease.self, "a") == false)
    }

    @Test func `a failure carries the Status and how long to stay away`() async throws {
        let api = try FakeAPI { _ in
            FakeAPI.Answer(
                status: 429, body: ["kind": "Status", "code": 429, "message": "slow down"],
                headers: [HTTPHeader("retry-after", "7")])
        }
        defer { api.stop() }
        let client = api.client()
        await #expect {
            try await client.get(Pod.self, "x")
        } throws: {
            let error = $0 as? APIError
            return error?.code == 429 && error?.status?.message == "slow down"
                && error?.retryAfter == .seconds(7)
        }
    }

    @Test func `all pages of a list are read`() async throws {
        let api = try FakeAPI { seen in
            let isLast = seen.target.contains("continue=next%2Fpage")
            return FakeAPI.Answer(
                status: 200,
                body: [
                    "metadata": ["resourceVersion": "7", "continue": isLast ? "" : "next/page"],
                    "items": [["metadata": ["name": isLast ? "b" : "a"]]],
                ])
        }
        defer { api.stop() }
        let list = try await api.client().list(Pod.self)
        #expect(list.items.map(\.metadata.name) == ["a", "b"])
        #expect(api.seen.count == 2)
    }

    @Test func `a token file is read again at each request`() async throws {
        let api = try FakeAPI()
        defer { api.stop() }
        let folder = try TemporaryDirectory()
        let file = try folder.write("token", "first\n")
        let client = api.client(.tokenFile(file))
        _ = try await client.find(Pod.self, "a")
        try folder.write("token", "second\n")
        _ = try await client.find(Pod.self, "a")
        #expect(api.seen.map(\.authorization) == ["Bearer first", "Bearer second"])
        await #expect(throws: APIError.self) {
            try await api.client(.tokenFile(folder.path + "/none")).get(Pod.self, "a")
        }
    }

    @Test func `a server that is not there is an error that says so`() async throws {
        let port = try freePort()
        let client = KubernetesClient(
            configuration: KubernetesConfiguration(server: "http://127.0.0.1:\(port)"), http: try HTTPClient()
        )
        await #expect {
            try await client.get(Pod.self, "x")
        } throws: {
            $0 is APIError && "\($0)".contains("cannot be reached")
        }
    }

    @Test func `equal events are counted and others are new`() async throws {
        let api = try FakeAPI()
        defer { api.stop() }
        let recorder = EventRecorder(client: api.client(), component: "c", instance: "i")
        let run = Task { await recorder.run() }
        let object = ObjectReference(apiVersion: "v1", kind: "Pod", name: "p", namespace: "d", uid: "u")
        for _ in 0..<3 { recorder.record(object, .normal, reason: "Synced", message: "m") }
        recorder.record(object, .warning, reason: "Lost", message: "n")
        try await eventually { api.seen.count == 4 }
        run.cancel()
        #expect(api.seen.map(\.method) == ["POST", "PATCH", "PATCH", "POST"])
        #expect(api.seen[2].body?["count"] == 3)
        #expect(api.seen[3].body?.at("involvedObject", "name") == "p")
    }
}
