import K8sClient
import Telemetry
import TestSupport
import Testing
import Transport

@Suite struct InformerTests {
    static let pods = "/api/v1/namespaces/d/pods"

    static func pod(_ name: String, version: String) -> JSONValue {
        ["metadata": ["name": .string(name), "namespace": "d", "resourceVersion": .string(version)]]
    }

    static func line(_ type: String, _ object: JSONValue) -> [UInt8] {
        JSONValue.object(["type": .string(type), "object": object]).bytes + [0x0A]
    }

    /// Runs an informer of pods with short waits against an API.
    func watching(
        _ api: FakeAPI, idle: Duration = .seconds(70),
        _ body: (Informer<Pod>) async throws -> Void
    ) async throws {
        var settings = InformerSettings()
        settings.backoff = Backoff(initial: .milliseconds(5), maximum: .milliseconds(20))
        settings.idleTimeout = idle
        let informer = Informer(Pod.self, client: api.client(), settings: settings)
        let run = Task { await informer.run() }
        do { try await body(informer) } catch {
            run.cancel()
            api.stop()
            throw error
        }
        run.cancel()
        await run.value
        #expect(!informer.state.isLive)
        api.stop()
    }

    func names(_ informer: Informer<Pod>) -> [String] { informer.objects.keys.map(\.name).sorted() }

    @Test func `a list and cut chunks of a watch fill the store`() async throws {
        let api = try FakeAPI()
        api.put(Self.pods + "/a", Self.pod("a", version: ""))
        try await watching(api) { informer in
            try await informer.waitUntilSynced()
            #expect(names(informer) == ["a"])
            try await eventually { api.watchCount == 1 }
            #expect(api.seen.last?.target.contains("resourceVersion=101") == true)
            #expect(api.seen.last?.target.contains("allowWatchBookmarks=true") == true)
            let bytes =
                Self.line("ADDED", Self.pod("b", version: "102"))
                + Self.line("DELETED", Self.pod("a", version: "103"))
            for start in stride(from: 0, to: bytes.count, by: 7) {
                api.send(0, Array(bytes[start..<min(start + 7, bytes.count)]))
            }
            try await eventually { names(informer) == ["b"] }
            #expect(informer.state.isLive)
        }
    }

    @Test func `an ended watch goes on from the last version, bookmarks included`() async throws {
        let api = try FakeAPI()
        try await watching(api) { informer in
            try await eventually { api.watchCount == 1 }
            api.send(0, Self.line("ADDED", Self.pod("a", version: "200")))
            api.send(0, Self.line("BOOKMARK", ["metadata": ["resourceVersion": "250"]]))
            try await eventually { names(informer) == ["a"] }
            api.end(0)
            try await eventually { api.watchCount == 2 }
            #expect(api.seen.last?.target.contains("resourceVersion=250") == true)
            #expect(api.seen.count { !$0.isWatch() } == 1)
        }
    }

    @Test func `an expired version leads to a new list that replaces the store`() async throws {
        let api = try FakeAPI()
        api.put(Self.pods + "/a", Self.pod("a", version: ""))
        api.put(Self.pods + "/b", Self.pod("b", version: ""))
        try await watching(api) { informer in
            try await eventually { api.watchCount == 1 }
            var changes = informer.changes().makeAsyncIterator()
            #expect(await changes.next()?.count == 2)
            _ = try await api.client().delete(Pod.self, "a")
            api.send(0, Self.line("ERROR", ["kind": "Status", "code": 410, "reason": "Expired"]))
            try await eventually { api.watchCount == 2 }
            #expect(names(informer) == ["b"])
            #expect(informer.state.epoch == 2)
            #expect(await changes.next() == [ObjectKey(namespace: "d", name: "a")])
        }
    }

    @Test func `a failing API is a visible reason that goes away`() async throws {
        let isBroken = Guarded(true)
        let api = try FakeAPI { seen in
            isBroken.withLock { $0 }
                ? FakeAPI.Answer(status: 403, body: ["kind": "Status", "code": 403, "message": "not yours"])
                : nil
        }
        try await watching(api) { informer in
            try await eventually { informer.state.problem?.contains("not yours") == true }
            #expect(!informer.isSynced)
            isBroken.withLock { $0 = false }
            try await informer.waitUntilSynced()
            try await eventually { informer.state.isLive }
            #expect(informer.state.problem == nil)
        }
    }

    @Test func `a version that is refused again and again leads to a new list`() async throws {
        let refusals = Guarded(4)
        let api = try FakeAPI { seen in
            guard seen.isWatch(),
                refusals.withLock({ left in
                    left -= 1; return left >= 0
                })
            else { return nil }
            return FakeAPI.Answer(status: 504, body: ["code": 504, "message": "Too large resource version"])
        }
        try await watching(api) { informer in
            try await eventually { informer.state.isLive }
            #expect(informer.state.epoch >= 2)
            #expect(informer.state.problem == nil)
        }
    }

    @Test func `a silent watch is given up and opened again`() async throws {
        let api = try FakeAPI()
        try await watching(api, idle: .seconds(1)) { informer in
            try await eventually { api.watchCount >= 2 }
            #expect(informer.isSynced)
        }
    }

    @Test func `an object that cannot be read is named and does not hold up the others`() async throws {
        let api = try FakeAPI()
        api.put(
            Self.pods + "/bad", ["metadata": ["name": "bad", "namespace": "d"], "spec": ["nodeName": 5]])
        api.put(Self.pods + "/good", Self.pod("good", version: ""))
        try await watching(api) { informer in
            try await informer.waitUntilSynced()
            #expect(names(informer) == ["good"])
            #expect(
                informer.state.unreadable[ObjectKey(namespace: "d", name: "bad")]?.contains(".spec.nodeName")
                    == true)
        }
    }

    @Test func `changes that nobody takes are coalesced by key`() async throws {
        let api = try FakeAPI()
        try await watching(api) { informer in
            try await eventually { api.watchCount == 1 }
            var changes = informer.changes().makeAsyncIterator()
            _ = await changes.next()
            for version in 200..<300 {
                api.send(0, Self.line("MODIFIED", Self.pod("p\(version % 3)", version: "\(version)")))
            }
            try await eventually { informer["p2"]?.metadata.resourceVersion == "299" }
            var seen: Set<String> = []
            while seen.count < 3, let next = await changes.next() { seen.formUnion(next.map(\.name)) }
            #expect(seen == ["p0", "p1", "p2"])
        }
    }
}
