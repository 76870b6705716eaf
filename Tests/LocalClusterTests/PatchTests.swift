import K8sClient
import Testing

@testable import LocalCluster

@Suite struct `patches` {
    @Test(arguments: [
        (#"{"a":"b"}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"b"}"#, #"{"a":null}"#, "{}"),
        (#"{"a":["b"]}"#, #"{"a":"c"}"#, #"{"a":"c"}"#),
        (#"{"a":{"b":"c"}}"#, #"{"a":{"b":"d","c":null}}"#, #"{"a":{"b":"d"}}"#),
        (#"{"a":"foo"}"#, #"{"b":{"c":{"d":null}}}"#, #"{"a":"foo","b":{"c":{}}}"#),
        (#"[1]"#, #"{"a":1}"#, #"{"a":1}"#),
    ])
    func `merge patches follow RFC 7386`(_ target: String, _ patch: String, _ expected: String) throws {
        let result = MergePatch.apply(try parsed(patch), to: try parsed(target))
        #expect(result == (try parsed(expected)))
    }

    @Test(arguments: [
        (#"{"a":1}"#, #"[{"op":"add","path":"/b","value":2}]"#, #"{"a":1,"b":2}"#),
        (#"{"a":[1,3]}"#, #"[{"op":"add","path":"/a/1","value":2}]"#, #"{"a":[1,2,3]}"#),
        (#"{"a":[1]}"#, #"[{"op":"add","path":"/a/-","value":2}]"#, #"{"a":[1,2]}"#),
        (#"{"a":1}"#, #"[{"op":"remove","path":"/a"}]"#, "{}"),
        (#"{"x/y":{"~":1}}"#, #"[{"op":"replace","path":"/x~1y/~0","value":2}]"#, #"{"x/y":{"~":2}}"#),
        (#"{"a":{"b":1}}"#, #"[{"op":"move","from":"/a/b","path":"/c"}]"#, #"{"a":{},"c":1}"#),
        (
            #"{"a":1}"#, #"[{"op":"copy","from":"/a","path":"/b"},{"op":"test","path":"/b","value":1}]"#,
            #"{"a":1,"b":1}"#
        ),
    ])
    func `JSON patches follow RFC 6902`(_ target: String, _ patch: String, _ expected: String) throws {
        let result = try JSONPatch.apply(try parsed(patch), to: try parsed(target))
        #expect(result == (try parsed(expected)))
    }

    @Test(arguments: [
        (#"[{"op":"test","path":"/a","value":2}]"#, false), (#"[{"op":"remove","path":"/b"}]"#, false),
        (#"[{"op":"add","path":"/l/5","value":2}]"#, false), (#"{"op":"add"}"#, true),
        (#"[{"op":"fly","path":"/a"}]"#, true),
    ])
    func `a JSON patch that does not fit says whose fault it is`(_ patch: String, _ isMalformed: Bool) throws
    {
        let patch = try parsed(patch)
        let error = #expect(throws: PatchError.self) { try JSONPatch.apply(patch, to: ["a": 1, "l": []]) }
        #expect(error?.isMalformed == isMalformed)
    }

    @Test func `a strategic patch merges lists by key`() throws {
        let target = try parsed(
            #"{"spec":{"containers":[{"name":"a","image":"1"},{"name":"b","image":"1"}]},"metadata":{"finalizers":["x"]}}"#
        )
        let patch = try parsed(
            #"{"spec":{"containers":[{"name":"a","image":"2"},{"name":"b","$patch":"delete"}]},"metadata":{"finalizers":["y"]}}"#
        )
        let result = StrategicMergePatch.apply(patch, to: target, .builtin(field: ""))
        #expect(
            result
                == (try parsed(
                    #"{"spec":{"containers":[{"name":"a","image":"2"}]},"metadata":{"finalizers":["x","y"]}}"#
                )))
    }

    func parsed(_ text: String) throws -> JSONValue { try JSONValue(parsing: Array(text.utf8)) }
}

@Suite struct `server-side apply` {
    let fixture: CoreFixture

    init() throws {
        fixture = try CoreFixture()
        try fixture.installWidgets()
    }

    func apply(_ spec: JSONValue, as manager: String, force: Bool = false, status: JSONValue? = nil) throws
        -> (
            code: Int, body: JSONValue
        )
    {
        var body = fixture.widget("w", spec)
        if let status {
            body["status"] = status
            body["spec"] = nil
        }
        return try fixture.call(
            "PATCH",
            CoreFixture.widgets + "/w" + (status == nil ? "" : "/status")
                + "?fieldManager=\(manager)&force=\(force)",
            body, type: "application/apply-patch+yaml")
    }

    @Test func `creates, changes and gives up fields`() throws {
        #expect(try apply(["color": "red", "mode": "fast"], as: "one").code == 201)
        let changed = try apply(["color": "red", "replicas": 3], as: "one")
        #expect(changed.code == 200 && changed.body.at("spec", "replicas") == 3)
        #expect(changed.body.at("spec", "mode") == nil)
    }

    @Test func `a field of another manager is a conflict, and force takes it`() throws {
        _ = try apply(["color": "red", "replicas": 2], as: "one")
        let refused = try apply(["color": "red", "replicas": 3], as: "two")
        #expect(refused.code == 409)
        #expect(
            refused.body["message"]?.text?.contains(
                "conflict with \"one\" using example.com/v1: .spec.replicas") ?? false)
        #expect(
            try apply(["color": "red", "replicas": 3], as: "two", force: true).body.at("spec", "replicas")
                == 3)
        // The first one no longer owns it: leaving it out removes nothing.
        #expect(try apply(["color": "red"], as: "one").body.at("spec", "replicas") == 3)
    }

    @Test func `managers share a keyed list by items`() throws {
        _ = try apply(["color": "red", "parts": [["name": "a", "size": 1]]], as: "one")
        _ = try apply(["color": "red", "parts": [["name": "b", "size": 2]]], as: "two")
        let left = try apply(["color": "red"], as: "one").body
        #expect(left.at("spec", "parts") == [["name": "b", "size": 2]])
    }

    @Test func `status is applied apart, and repeating it changes nothing`() throws {
        _ = try apply(["color": "red"], as: "one")
        let conditions: JSONValue = ["conditions": [["type": "Ready", "status": "True"]], "replicas": 2]
        let first = try apply([:], as: "one", status: conditions).body
        #expect(first.at("status", "replicas") == 2 && first.at("spec", "color") == "red")
        let second = try apply([:], as: "one", status: conditions).body
        #expect(first.at("metadata", "resourceVersion") == second.at("metadata", "resourceVersion"))
        let third = try apply([:], as: "one", status: ["replicas": 2]).body
        #expect(third.at("status", "conditions") == nil)
    }

    @Test func `an ordinary update takes over what it changes`() throws {
        _ = try apply(["color": "red", "replicas": 2], as: "one")
        try fixture.call(
            "PATCH", CoreFixture.widgets + "/w?fieldManager=edit", ["spec": ["replicas": 5]],
            type: "application/merge-patch+json")
        let refused = try apply(["color": "red", "replicas": 2], as: "one")
        #expect(refused.code == 409)
        #expect(refused.body["message"]?.text?.contains("\"edit\"") ?? false)
    }
}
