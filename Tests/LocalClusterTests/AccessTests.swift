import K8sClient
import Testing

@testable import LocalCluster

/// What the conformance suite checks over the wire, told apart here in its smallest steps.
@Suite struct `access to the embedded API` {
    let fixture: CoreFixture

    init() throws { fixture = try CoreFixture() }

    private static let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles"
    private static let bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings"

    private func token(of account: String) throws -> String {
        let accounts = "/api/v1/namespaces/default/serviceaccounts"
        try fixture.call(
            "POST", accounts,
            ["apiVersion": "v1", "kind": "ServiceAccount", "metadata": ["name": .string(account)]])
        let answer = try fixture.call(
            "POST", "\(accounts)/\(account)/token",
            ["apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": [:]])
        return try #require(answer.body.at("status", "token")?.text)
    }

    private func grant(_ name: String, to account: String, _ rules: JSONValue) throws {
        let role: JSONValue = [
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": ["name": .string(name)],
            "rules": rules,
        ]
        #expect(try fixture.call("POST", Self.roles, role).code == 201)
        let binding: JSONValue = [
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": ["name": .string(name)],
            "roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": .string(name)],
            "subjects": [["kind": "ServiceAccount", "name": .string(account), "namespace": "default"]],
        ]
        #expect(try fixture.call("POST", Self.bindings, binding).code == 201)
    }

    @Test func `an account may do what its Role says and nothing else`() throws {
        let token = try token(of: "a")
        let secrets = "/api/v1/namespaces/default/secrets"
        #expect(try fixture.call("GET", secrets + "/one", token: token).code == 403)
        try grant(
            "r", to: "a",
            [
                [
                    "apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"],
                    "resourceNames": ["one"],
                ]
            ])
        #expect(try fixture.call("GET", secrets + "/one", token: token).code == 404)
        #expect(try fixture.call("GET", secrets + "/two", token: token).code == 403)
        #expect(try fixture.call("GET", secrets, token: token).code == 403)
        #expect(
            try fixture.call("GET", secrets + "?fieldSelector=metadata.name%3Done", token: token).code == 200)
        #expect(
            try fixture.call("GET", secrets + "?fieldSelector=metadata.name!%3Done", token: token).code == 403
        )
        #expect(
            try fixture.call("GET", "/api/v1/namespaces/kube-system/secrets/one", token: token).code == 403)
    }

    @Test func `nobody grants more than they hold, unless they may escalate`() throws {
        let token = try token(of: "a")
        try grant(
            "keeper", to: "a",
            [
                [
                    "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"],
                    "verbs": ["create", "patch"],
                ],
                ["apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["mine"]],
            ])
        func role(_ name: String) -> JSONValue {
            [
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                "metadata": ["name": .string(name)],
                "rules": [
                    [
                        "apiGroups": [""], "resources": ["secrets"], "verbs": ["get"],
                        "resourceNames": [.string(name)],
                    ]
                ],
            ]
        }
        #expect(try fixture.call("POST", Self.roles, role("mine"), token: token).code == 201)
        let refused = try fixture.call("POST", Self.roles, role("yours"), token: token)
        #expect(refused.code == 403)
        #expect(refused.body["message"]?.text?.contains("not currently held") ?? false)
        try grant(
            "escalator", to: "a",
            [
                [
                    "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["escalate"],
                    "resourceNames": ["mine"],
                ]
            ])
        let wider: JSONValue = ["rules": [["apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]]]]
        let path = Self.roles + "/mine"
        #expect(
            try fixture.call("PATCH", path, wider, type: "application/merge-patch+json", token: token).code
                == 200)
    }

    @Test(arguments: [
        ("create", "coordination.k8s.io", "leases", nil as String?, true),
        ("update", "coordination.k8s.io", "leases", "fathom-controller", true),
        ("update", "coordination.k8s.io", "leases", "fathom-worker-0", false),
        ("delete", "coordination.k8s.io", "leases", "fathom-controller", false),
        ("list", "fathom.dev", "depthcaches", nil, true),
        ("delete", "fathom.dev", "depthcaches", "a", false),
        ("patch", "", "configmaps", "fathom-markets-binance-com", true),
        ("patch", "", "configmaps", "another", false), ("list", "", "configmaps", nil, false),
        ("patch", "rbac.authorization.k8s.io", "roles", "fathom-worker-credentials", true),
        ("patch", "rbac.authorization.k8s.io", "roles", "another", false),
        ("create", "rbac.authorization.k8s.io", "rolebindings", nil, false),
        ("get", "apiextensions.k8s.io", "customresourcedefinitions", "a", false),
    ])
    func `the controller may do what its Role in the chart allows`(
        _ verb: String, _ group: String, _ plural: String, _ name: String?, _ expected: Bool
    ) {
        #expect(APIRole.controller.mayDo(verb, group, plural, subresource: nil, name: name) == expected)
    }

    @Test func `a token ends with its account, its time and any change of its letters`() throws {
        let token = try token(of: "a")
        let path = "/api/v1/namespaces/default/configmaps"
        #expect(try fixture.call("GET", path, token: token).code == 403)
        #expect(try fixture.call("GET", path, token: token + "0").code == 401)
        #expect(try fixture.call("GET", path, token: nil).code == 403)
        let tokens = ServiceAccountTokens(key: [1, 2, 3])
        let claims = ServiceAccountTokens.Claims(namespace: "n", name: "a", uid: "u", expires: 100)
        #expect(tokens.verify(tokens.issue(claims), now: 99) == claims)
        #expect(tokens.verify(tokens.issue(claims), now: 100) == nil)
        #expect(ServiceAccountTokens(key: [1, 2, 4]).verify(tokens.issue(claims), now: 99) == nil)
        try fixture.call("DELETE", "/api/v1/namespaces/default/serviceaccounts/a")
        #expect(try fixture.call("GET", path, token: token).code == 401)
    }

    @Test(arguments: [
        (["*"], ["*"], ["*"], [] as [String], true), (["get"], [""], ["pods/status"], [], true),
        (["get"], [""], ["*/status"], [], true), (["get"], [""], ["pods"], [], false),
        (["list"], [""], ["pods/status"], [], false), (["get"], ["apps"], ["pods/status"], [], false),
        (["get"], [""], ["pods/status"], ["p"], true), (["get"], [""], ["pods/status"], ["q"], false),
        (["get"], [""], ["*/log"], [], false),
    ])
    func `rules match by verb, group, resource and name`(
        _ verbs: [String], _ groups: [String], _ resources: [String], _ names: [String], _ expected: Bool
    ) {
        let rule = PolicyRule(verbs: verbs, groups: groups, resources: resources, names: names)
        let question = AccessQuestion("get", "", "pods", subresource: "status", name: "p", in: "n")
        #expect(rule.allows(question) == expected)
    }

    @Test(arguments: [
        ("app=x,tier!=1", 2), ("app in (a, b),!c", 2), ("a=", 1), ("a==b", 1), ("", 0), ("a notin (b)", 1),
    ])
    func `label selectors are read`(_ text: String, _ count: Int) throws {
        #expect(try LabelSelectorParser.requirements(text).count == count)
    }

    @Test(arguments: [
        "app in x", "a b", "=x", "app=has space", "app in (x", "!app=x", "app===x", "a,", "a>1",
    ])
    func `malformed label selectors are refused`(_ text: String) {
        #expect(throws: StatusError.self) { try LabelSelectorParser.requirements(text) }
    }

    @Test func `pages of a list are of one revision`() throws {
        for name in ["a", "b", "c"] {
            try fixture.call("POST", CoreFixture.configMaps, fixture.configMap(name))
        }
        let first = try fixture.call("GET", CoreFixture.configMaps + "?limit=1").body
        let token = try #require(first.at("metadata", "continue")?.text)
        try fixture.call("POST", CoreFixture.configMaps, fixture.configMap("aa"))
        try fixture.call("DELETE", CoreFixture.configMaps + "/c")
        let rest = try fixture.call("GET", CoreFixture.configMaps + "?continue=\(token)").body
        #expect(rest["items"]?.elements?.compactMap { $0.at("metadata", "name")?.text } == ["b", "c"])
        #expect(rest.at("metadata", "resourceVersion") == first.at("metadata", "resourceVersion"))
    }

    @Test func `the removal of the last finalizer is told as a deletion and nothing else`() throws {
        var object = fixture.configMap("a")
        object.setMetadata("finalizers", ["example.com/hold"])
        try fixture.call("POST", CoreFixture.configMaps, object)
        try fixture.call("DELETE", CoreFixture.configMaps + "/a")
        let list = try fixture.call("GET", CoreFixture.configMaps).body
        let version = try #require(list.at("metadata", "resourceVersion")?.text)
        let watch = try #require(try fixture.watch(CoreFixture.configMaps + "?resourceVersion=\(version)"))
        let patch: JSONValue = ["metadata": ["finalizers": .null]]
        try fixture.call("PATCH", CoreFixture.configMaps + "/a", patch, type: "application/merge-patch+json")
        #expect(watch.summary == ["DELETED a"])
    }

    @Test func `a definition that describes metadata is refused`() throws {
        var definition = CoreFixture.widgetDefinition
        var version = try #require(definition.at("spec", "versions")?.elements?.first)
        version["schema"]?["openAPIV3Schema"]?["properties"]?["metadata"] = [
            "type": "object", "description": "The usual.",
        ]
        definition["spec"]?["versions"] = [version]
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        #expect(try fixture.call("POST", path, definition).code == 422)
    }
}
