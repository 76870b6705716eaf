import K8sClient
import Testing

@testable import LocalCluster

@Suite struct `objects over their life` {
    let fixture: CoreFixture

    init() throws {
        fixture = try CoreFixture()
        try fixture.installWidgets()
    }

    @Test func `a created object has identity, and is read, listed and deleted`() throws {
        let made = try fixture.call("POST", CoreFixture.configMaps, fixture.configMap("a", ["k": "v"]))
        #expect(made.code == 201)
        #expect(
            made.body.at("metadata", "uid") != nil && made.body.at("metadata", "creationTimestamp") != nil)
        #expect(
            try fixture.call("POST", CoreFixture.configMaps, fixture.configMap("a")).body["reason"]
                == "AlreadyExists")
        #expect(try fixture.call("GET", CoreFixture.configMaps + "/a").body.at("data", "k") == "v")
        #expect(try fixture.call("GET", CoreFixture.configMaps).body["items"]?.elements?.count == 1)
        #expect(try fixture.call("DELETE", CoreFixture.configMaps + "/a").body["status"] == "Success")
        let gone = try fixture.call("GET", CoreFixture.configMaps + "/a")
        #expect(gone.code == 404 && gone.body["message"] == "configmaps \"a\" not found")
    }

    @Test func `an update of an old version conflicts and changes nothing`() throws {
        var object = try fixture.call("POST", CoreFixture.configMaps, fixture.configMap("a", ["k": "1"])).body
        object["data"] = ["k": "2"]
        #expect(try fixture.call("PUT", CoreFixture.configMaps + "/a", object).code == 200)
        object["data"] = ["k": "3"]
        let late = try fixture.call("PUT", CoreFixture.configMaps + "/a", object)
        #expect(late.code == 409 && late.body["reason"] == "Conflict")
        #expect(try fixture.call("GET", CoreFixture.configMaps + "/a").body.at("data", "k") == "2")
    }

    @Test func `an update that changes nothing keeps the version`() throws {
        let made = try fixture.call("POST", CoreFixture.configMaps, fixture.configMap("a", ["k": "1"])).body
        let again = try fixture.call("PUT", CoreFixture.configMaps + "/a", made).body
        #expect(made.at("metadata", "resourceVersion") == again.at("metadata", "resourceVersion"))
    }

    @Test func `a list in pieces shows every object once`() throws {
        for index in 0..<5 {
            try fixture.call("POST", CoreFixture.configMaps, fixture.configMap("c\(index)"))
        }
        var names: [String] = []
        var token = ""
        repeat {
            let page = try fixture.call("GET", CoreFixture.configMaps + "?limit=2&continue=\(token)").body
            names += page["items"]?.elements?.compactMap { $0.at("metadata", "name")?.text } ?? []
            token = page.at("metadata", "continue")?.text ?? ""
        } while !token.isEmpty
        #expect(names == ["c0", "c1", "c2", "c3", "c4"])
    }

    @Test(arguments: [
        ("labelSelector=app%3Dx", ["a", "b"]), ("labelSelector=app%3Dx,tier!%3D1", ["b"]),
        ("labelSelector=tier%20in%20(1,2)", ["a", "b"]), ("labelSelector=!app", ["c"]),
        ("fieldSelector=metadata.name%3Dc", ["c"]), ("labelSelector=app%20notin%20(x)", ["c"]),
    ])
    func `selectors choose`(_ query: String, _ expected: [String]) throws {
        try fixture.call(
            "POST", CoreFixture.configMaps, fixture.configMap("a", labels: ["app": "x", "tier": "1"]))
        try fixture.call(
            "POST", CoreFixture.configMaps, fixture.configMap("b", labels: ["app": "x", "tier": "2"]))
        try fixture.call("POST", CoreFixture.configMaps, fixture.configMap("c"))
        let list = try fixture.call("GET", CoreFixture.configMaps + "?" + query).body
        #expect(list["items"]?.elements?.compactMap { $0.at("metadata", "name")?.text } == expected)
    }

    @Test func `status and spec are written apart, and only the spec counts generations`() throws {
        var sent = fixture.widget("w", ["color": "red"])
        sent["status"] = ["replicas": 5]
        let made = try fixture.call("POST", CoreFixture.widgets, sent).body
        #expect(
            made["status"] == nil && made.at("spec", "replicas") == 1
                && made.at("metadata", "generation") == 1)
        let path = CoreFixture.widgets + "/w"
        let patch: JSONValue = ["spec": ["replicas": 4], "status": ["replicas": 3]]
        let status = try fixture.call("PATCH", path + "/status", patch, type: "application/merge-patch+json")
            .body
        #expect(status.at("status", "replicas") == 3 && status.at("spec", "replicas") == 1)
        #expect(status.at("metadata", "generation") == 1)
        let spec = try fixture.call("PATCH", path, patch, type: "application/merge-patch+json").body
        #expect(spec.at("spec", "replicas") == 4 && spec.at("metadata", "generation") == 2)
    }

    @Test func `the scale subresource reads and writes the replicas`() throws {
        try fixture.call("POST", CoreFixture.widgets, fixture.widget("w", ["color": "red"]))
        let path = CoreFixture.widgets + "/w"
        let patch: JSONValue = ["spec": ["replicas": 7]]
        let scale = try fixture.call("PATCH", path + "/scale", patch, type: "application/merge-patch+json")
            .body
        #expect(scale["kind"] == "Scale" && scale.at("spec", "replicas") == 7)
        #expect(try fixture.call("GET", path).body.at("spec", "replicas") == 7)
        let tooMany = try fixture.call(
            "PATCH", path + "/scale", ["spec": ["replicas": 11]], type: "application/merge-patch+json")
        #expect(tooMany.code == 422)
    }

    @Test(
        arguments: [
            (["color": "red", "replicas": "x"] as JSONValue, "spec.replicas", "FieldValueTypeInvalid"),
            (["color": "red", "replicas": -1], "spec.replicas", "FieldValueInvalid"),
            (["color": "red", "replicas": 11], "spec.replicas", "FieldValueInvalid"),
            (["color": ""], "spec.color", "FieldValueInvalid"), ([:], "spec.color", "FieldValueRequired"),
            (["color": "red", "mode": "odd"], "spec.mode", "FieldValueNotSupported"),
            (
                ["color": "red", "parts": [["name": "a"], ["name": "a"]]], "spec.parts[1]",
                "FieldValueDuplicate"
            ),
        ] as [(JSONValue, String, String)])
    func `an invalid spec is refused with its cause`(_ spec: JSONValue, _ field: String, _ reason: String)
        throws
    {
        let answer = try fixture.call("POST", CoreFixture.widgets, fixture.widget("w", spec))
        #expect(answer.code == 422 && answer.body["reason"] == "Invalid")
        let cause = answer.body.at("details", "causes")?.elements?.first
        #expect(cause?["field"]?.text == field && cause?["reason"]?.text == reason)
    }

    @Test func `an immutable field is refused with its own words`() throws {
        try fixture.call("POST", CoreFixture.widgets, fixture.widget("w", ["color": "red"]))
        let answer = try fixture.call(
            "PATCH", CoreFixture.widgets + "/w", ["spec": ["color": "blue"]],
            type: "application/merge-patch+json")
        #expect(answer.code == 422)
        #expect(answer.body["message"]?.text?.contains("color is immutable") ?? false)
    }

    @Test func `unknown fields are dropped, or refused where that is asked for`() throws {
        let odd = fixture.widget("w", ["color": "red", "flavour": "sweet"])
        let strict = try fixture.call("POST", CoreFixture.widgets + "?fieldValidation=Strict", odd)
        #expect(strict.code == 400)
        #expect(strict.body["message"]?.text?.contains("unknown field \"spec.flavour\"") ?? false)
        #expect(try fixture.call("POST", CoreFixture.widgets, odd).body.at("spec", "flavour") == nil)
    }

    @Test func `a definition with a rule that cannot be checked here is refused`() throws {
        var definition = CoreFixture.widgetDefinition
        definition["metadata"] = ["name": "gadgets.example.com"]
        definition["spec"]?["names"] = ["kind": "Gadget", "plural": "gadgets"]
        var schema = CoreFixture.schema
        schema["x-kubernetes-validations"] = [["rule": "self.spec.parts.all(p, p.size > 1)"]]
        var version = try #require(definition.at("spec", "versions")?.elements?.first)
        version["schema"] = ["openAPIV3Schema": schema]
        definition["spec"]?["versions"] = [version]
        let answer = try fixture.call(
            "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
        #expect(answer.code == 422)
        #expect(answer.body["message"]?.text?.contains("x-kubernetes-validations") ?? false)
    }

    @Test func `what an object owned goes with it, unless it is orphaned`() throws {
        for policy in ["Background", "Foreground", "Orphan"] {
            let owner = try fixture.call("POST", CoreFixture.configMaps, fixture.configMap("owner")).body
            var child = fixture.configMap("child")
            child.setMetadata(
                "ownerReferences",
                [
                    [
                        "apiVersion": "v1", "kind": "ConfigMap", "name": "owner",
                        "uid": owner.at("metadata", "uid") ?? "",
                    ]
                ])
            try fixture.call("POST", CoreFixture.configMaps, child)
            try fixture.call(
                "DELETE", CoreFixture.configMaps + "/owner", ["propagationPolicy": .string(policy)])
            let left = try fixture.call("GET", CoreFixture.configMaps + "/child")
            #expect(left.code == (policy == "Orphan" ? 200 : 404), "\(policy)")
        }
    }

    @Test func `an object with a finalizer waits for its removal`() throws {
        var object = fixture.configMap("a")
        object.setMetadata("finalizers", ["example.com/hold"])
        try fixture.call("POST", CoreFixture.configMaps, object)
        let path = CoreFixture.configMaps + "/a"
        #expect(try fixture.call("DELETE", path).body.at("metadata", "deletionTimestamp") != nil)
        #expect(try fixture.call("GET", path).code == 200)
        try fixture.call(
            "PATCH", path, ["metadata": ["finalizers": .null]], type: "application/merge-patch+json")
        #expect(try fixture.call("GET", path).code == 404)
    }

    @Test func `a namespace takes its objects with it`() throws {
        try fixture.call(
            "POST", "/api/v1/namespaces",
            ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "n"]])
        #expect(
            try fixture.call("POST", "/api/v1/namespaces/n/configmaps", fixture.configMap("a")).code == 201)
        try fixture.call("DELETE", "/api/v1/namespaces/n")
        #expect(try fixture.call("GET", "/api/v1/namespaces/n").code == 404)
        #expect(
            try fixture.call("POST", "/api/v1/namespaces/n/configmaps", fixture.configMap("a")).code == 404)
    }

    @Test func `a deletion with a wrong precondition is a conflict`() throws {
        try fixture.call("POST", CoreFixture.configMaps, fixture.configMap("a"))
        let answer = try fixture.call(
            "DELETE", CoreFixture.configMaps + "/a", ["preconditions": ["uid": "other"]])
        #expect(answer.code == 409)
    }

    @Test func `events are one set of objects under two groups`() throws {
        let event: JSONValue = [
            "apiVersion": "v1", "kind": "Event", "metadata": ["name": "e"], "reason": "R", "message": "M",
            "involvedObject": ["kind": "Pod", "name": "p"], "type": "Normal",
        ]
        try fixture.call("POST", "/api/v1/namespaces/default/events", event)
        let same = try fixture.call("GET", "/apis/events.k8s.io/v1/namespaces/default/events/e").body
        #expect(same["note"] == "M" && same.at("regarding", "name") == "p")
        let query = "?fieldSelector=involvedObject.name%3Dp,involvedObject.kind%3DPod"
        let found = try fixture.call("GET", "/api/v1/namespaces/default/events" + query).body
        #expect(found["items"]?.elements?.count == 1)
    }

    @Test(arguments: [
        ("GET", "/api/v1/nothing", nil as String?, 404), ("GET", "/api/v1/pods", "wrong", 401),
        ("GET", "/api/v1/namespaces/default/secrets", "worker", 403),
        ("PUT", "/api/v1/namespaces/default/configmaps", nil, 405),
        ("GET", "/api/v1/namespaces/default/secrets/x", "worker", 403),
        ("GET", "/api/v1/namespaces/default/secrets/fathom-link", "worker", 404),
        ("DELETE", "/api/v1/namespaces/default/secrets/x", "gateway", 403),
        ("GET", "/api/v1/configmaps?fieldSelector=data.x%3D1", nil, 400),
    ])
    func `what may not or cannot be done has its code`(
        _ method: String, _ target: String, _ token: String?, _ code: Int
    ) throws {
        let answer = try fixture.call(method, target, token: token ?? "secret")
        #expect(answer.code == code && answer.body["kind"] == "Status")
    }

    @Test func `a body in an unknown form is refused as such`() throws {
        let answer = try fixture.call(
            "POST", CoreFixture.configMaps, fixture.configMap("a"),
            type: "application/vnd.kubernetes.protobuf")
        #expect(answer.code == 415)
    }
}
