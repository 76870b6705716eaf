import Glibc
import K8sClient
import TestSupport
import Telemetry
import Testing

@testable import LocalCluster

@Suite struct `the door of a running cluster` {
    let folder = TemporaryFolder()

    private func control(_ directory: String) -> LocalControl {
        LocalControl(directory: directory, facts: [:])
    }

    @Test func `an order is answered with its progress and its end, however long the path is`() async throws {
        let directory = folder.path + "/" + String(repeating: "deep-", count: 30)
        try Files.makeDirectory(directory)
        let door = try ControlSocket.open(in: directory) { order, reply in
            reply(["say": "begins"])
            reply(["done": true, "workers": .array([order["order"] ?? .null])])
        }
        defer { door.close() }
        let (said, say) = AsyncStream.makeStream(of: String.self)
        let answer = try await control(directory).send(["order": "add"]) { say.yield($0) }
        #expect(answer["workers"] == ["add"])
        say.finish()
        #expect(await said.reduce(into: []) { $0.append($1) } == ["begins"])
        var status = stat()
        let found = unsafe stat(directory + "/up.sock", &status)
        #expect(found == 0)
        #expect(status.st_mode & 0o777 == 0o600)
    }

    @Test func `a refusal, a cluster that ends meanwhile and none at all are errors in words`() async throws {
        let door = try ControlSocket.open(in: folder.path) { order, reply in
            if order["order"] == "refuse" { reply(["error": "there is no worker 'x'"]) }
        }
        let refusal = await #expect(throws: LocalClusterError.self) {
            _ = try await control(folder.path).send(["order": "refuse"]) { _ in }
        }
        #expect(refusal?.description == "there is no worker 'x'")
        let error = await #expect(throws: LocalClusterError.self) {
            _ = try await control(folder.path).send(["order": "vanish"]) { _ in }
        }
        #expect(error?.description.contains("has ended") == true)
        door.close()
        let gone = await #expect(throws: LocalClusterError.self) {
            _ = try await control(folder.path).send(["order": "add"]) { _ in }
        }
        #expect(gone?.description.contains("up.sock") == true)
    }

    @Test func `what is no JSON is refused, and the next order is answered all the same`() async throws {
        let door = try ControlSocket.open(in: folder.path) { _, reply in reply(["done": true]) }
        defer { door.close() }
        let raw = try unsafe UnixSocket.named("up.sock", in: folder.path) { unsafe connect($0, $1, $2) == 0 }
        #expect(Files.writeAll(Array("hello\n".utf8), to: raw))
        var lines = LineReader(descriptor: raw)
        #expect(lines.next() == #"{"error":"expected a line of JSON"}"#)
        #expect(lines.next() == nil)
        close(raw)
        #expect(try await control(folder.path).send(["order": "add"]) { _ in }["done"] == true)
    }

    @Test func `only a running fathom up counts as a cluster`() throws {
        #expect(LocalControl.find(in: folder.path) == nil)
        // The tests' own process is none.
        try Files.write(JSONValue.object(["pid": .from(Int(getpid()))]).bytes, to: folder.path + "/up.json")
        #expect(LocalControl.find(in: folder.path) == nil)
    }
}

@Suite struct `the workers of a local cluster` {
    private func team(_ count: Int) -> WorkerTeam {
        WorkerTeam(Array(1...count)) { name, port in
            KeptChild(
                name: name, component: "worker", program: "/bin/true", port: port, readyURL: nil
            ) { _ in [] }
        }
    }

    @Test func `a new one gets the first name that is free, and is handed out to be kept once`() throws {
        let team = team(3)
        #expect(team.takeNewcomers().isEmpty)
        let second = try #require(team.find("fathom-worker-1"))
        team.remove(second)
        let new = try team.add { index in 100 + index }
        #expect((new.name, new.port) == ("fathom-worker-1", 101))
        #expect(try team.add { index in 100 + index }.name == "fathom-worker-3")
        #expect(team.takeNewcomers().map(\.name) == ["fathom-worker-1", "fathom-worker-3"])
        #expect(team.takeNewcomers().isEmpty)
        #expect(team.members.count == 4)
    }

    @Test func `one is found by its name or its pod's uid`() throws {
        let team = team(2)
        team.members[1].state.withLock { $0.podUID = "u-1" }
        #expect(team.find("u-1")?.name == "fathom-worker-1")
        #expect(team.find("") == nil)
        #expect(team.find("fathom-worker-2") == nil)
    }
}
