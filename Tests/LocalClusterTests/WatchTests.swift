import K8sClient
import Testing

@testable import LocalCluster

@Suite struct `watches and history` {
    @Test func `a watch tells of everything after its version, in order`() throws {
        let fixture = try CoreFixture()
        let start =
            try fixture.call("GET", CoreFixture.configMaps).body.at("metadata", "resourceVersion")?.text ?? ""
        try fixture.call("POST", CoreFixture.configMaps, fixture.configMap("a"))
        let watch = try #require(try fixture.watch(CoreFixture.configMaps + "?resourceVersion=\(start)"))
        try fixture.call(
            "PATCH", CoreFixture.configMaps + "/a", ["data": ["k": "v"]], type: "application/merge-patch+json"
        )
        try fixture.call("DELETE", CoreFixture.configMaps + "/a")
        #expect(watch.summary == ["ADDED a", "MODIFIED a", "DELETED a"])
    }

    @Test func `entering and leaving a selection are an addition and a deletion`() throws {
        let fixture = try CoreFixture()
        let watch = try #require(try fixture.watch(CoreFixture.configMaps + "?labelSelector=x%3D1"))
        try fixture.call("POST", CoreFixture.configMaps, fixture.configMap("a"))
        let path = CoreFixture.configMaps + "/a"
        for value in ["1", "2"] as [JSONValue] {
            try fixture.call(
                "PATCH", path, ["metadata": ["labels": ["x": value]]], type: "application/merge-patch+json")
        }
        #expect(watch.summary == ["ADDED a", "DELETED a"])
    }

    @Test func `a version that is forgotten or from another database is gone`() throws {
        let fixture = try CoreFixture(keptRevisions: 10)
        for index in 0..<30 {
            try fixture.call("POST", CoreFixture.configMaps, fixture.configMap("c\(index)"))
        }
        for version in ["2", "999999"] {
            let answer = try fixture.call(
                "GET", CoreFixture.configMaps + "?watch=true&resourceVersion=\(version)")
            #expect(answer.code == 410 && answer.body["reason"] == "Expired")
        }
    }

    @Test func `initial events end with a marked bookmark`() throws {
        let fixture = try CoreFixture()
        try fixture.call("POST", CoreFixture.configMaps, fixture.configMap("a"))
        let watch = try #require(
            try fixture.watch(CoreFixture.configMaps + "?sendInitialEvents=true&allowWatchBookmarks=true"))
        #expect(watch.summary == ["ADDED a", "BOOKMARK "])
        #expect(
            watch.lines.last?.at("object", "metadata", "annotations", "k8s.io/initial-events-end") == "true")
    }

    @Test func `a removed definition ends its watches`() throws {
        let fixture = try CoreFixture()
        try fixture.installWidgets()
        try fixture.call("POST", CoreFixture.widgets, fixture.widget("w", ["color": "red"]))
        let watch = try #require(try fixture.watch(CoreFixture.widgets))
        try fixture.call(
            "DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com")
        #expect(watch.hasEnded && watch.summary == ["ADDED w", "DELETED w"])
        #expect(try fixture.call("GET", CoreFixture.widgets).code == 404)
    }

    @Test func `everything is there again after a restart`() throws {
        let folder = TemporaryFolder()
        func open() throws -> ObjectStore {
            try ObjectStore(path: folder.path + "/db", keptRevisions: 100, identity: "x")
        }
        let key = ObjectKey(resource: "/configmaps", namespace: "default", name: "a")
        var revision: Int64 = 0
        do {
            let store = try open()
            revision = try store.put(key, ["metadata": ["name": "a"]]).revision
        }
        let store = try open()
        #expect(store.revision == revision)
        #expect(store.object(key)?.at("metadata", "resourceVersion")?.text == String(revision))
        #expect(try store.changes(of: "/configmaps", after: 1)?.count == 1)
    }

    @Test func `a database that is none is refused`() throws {
        let folder = TemporaryFolder()
        try Files.write([UInt8](repeating: 7, count: 8192), to: folder.path + "/db")
        let error = #expect(throws: DatabaseError.self) {
            try ObjectStore(path: folder.path + "/db", keptRevisions: 100, identity: "x")
        }
        #expect(error?.isCorruption ?? false)
    }

    @Test func `a database in use is refused`() throws {
        let folder = TemporaryFolder()
        let first = try ObjectStore(path: folder.path + "/db", keptRevisions: 100, identity: "x")
        let error = #expect(throws: DatabaseError.self) {
            try ObjectStore(path: folder.path + "/db", keptRevisions: 100, identity: "x")
        }
        #expect(error?.isBusy ?? false)
        #expect(first.revision == 1)
    }
}
