/// Who a bearer token stands for, and what that role may do.
///
/// The table follows the roles of the chart: what works here is allowed in a cluster, and what a cluster forbids fails
/// here too, but for what docs/conformance.md names. What Role objects grant to the same user comes on top.
enum APIRole: String, CaseIterable, Sendable {
    case admin
    case controller
    case worker
    case gateway

    var user: String { self == .admin ? "fathom-admin" : "system:serviceaccount:default:fathom-\(rawValue)" }

    func mayDo(_ verb: String, _ group: String, _ plural: String, subresource: String?, name: String?) -> Bool
    {
        if self == .admin { return true }
        let resource = subresource.map { "\(plural)/\($0)" } ?? plural
        return Self.rules[self, default: []].contains { rule in
            rule.groups.contains(group) && rule.resources.contains(resource) && rule.verbs.contains(verb)
                && (rule.namePrefix.isEmpty || name == nil || name?.hasPrefix(rule.namePrefix) ?? true)
                && (rule.names.isEmpty || name.map(rule.names.contains) ?? (verb == "create"))
        }
    }

    /// The table's rules in the form of a Role's, as far as they can be said so: a prefix of names cannot.
    var policyRules: [PolicyRule] {
        Self.rules[self, default: []].filter(\.namePrefix.isEmpty).map {
            PolicyRule(verbs: $0.verbs, groups: $0.groups, resources: $0.resources, names: $0.names)
        }
    }

    private struct Rule: Sendable {
        var groups: [String]
        var resources: [String]
        var verbs: [String]
        var namePrefix = ""
        /// Of `create` the name is not known before.
        var names: [String] = []
    }

    private static let read = ["get", "list", "watch"]
    private static let change = ["create", "update", "patch", "delete"]
    private static let events = Rule(
        groups: ["", "events.k8s.io"], resources: ["events"], verbs: ["create", "patch"])

    private static let linkKey = Rule(
        groups: [""], resources: ["secrets"], verbs: read, names: ["fathom-link"])

    private static let rules: [APIRole: [Rule]] = [
        .controller: [
            Rule(groups: ["fathom.dev"], resources: ["depthcaches"], verbs: read),
            Rule(
                groups: ["fathom.dev"], resources: ["depthcaches/status"], verbs: ["get", "update", "patch"]),
            Rule(groups: ["fathom.dev"], resources: ["depthcaches/finalizers"], verbs: ["update"]),
            Rule(groups: ["fathom.dev"], resources: ["depthcachereplicas"], verbs: read + change),
            Rule(groups: [""], resources: ["secrets", "pods", "nodes"], verbs: read),
            Rule(groups: ["coordination.k8s.io"], resources: ["leases"], verbs: read + ["create"]),
            Rule(
                groups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["update", "patch"],
                names: ["fathom-controller"]),
            Rule(groups: [""], resources: ["configmaps"], verbs: ["create"]),
            Rule(
                groups: [""], resources: ["configmaps"], verbs: ["get", "update", "patch"],
                names: ["fathom-credentials"]),
            // The chart names the map of each exchange.
            Rule(
                groups: [""], resources: ["configmaps"], verbs: ["get", "update", "patch"],
                namePrefix: "fathom-markets-"),
            Rule(
                groups: [""], resources: ["secrets"], verbs: ["create", "update", "patch"],
                names: ["fathom-link"]),
            Rule(
                groups: ["rbac.authorization.k8s.io"], resources: ["roles"],
                verbs: ["get", "update", "patch"], names: ["fathom-worker-credentials"]),
            events,
        ],
        .worker: [
            Rule(groups: ["fathom.dev"], resources: ["depthcaches", "depthcachereplicas"], verbs: read),
            Rule(
                groups: ["fathom.dev"], resources: ["depthcachereplicas/status"],
                verbs: ["get", "update", "patch"]),
            Rule(groups: ["coordination.k8s.io"], resources: ["leases"], verbs: read + change),
            // Credentials by name only, through the Role that the controller keeps: RBAC cannot narrow a list by label.
            linkKey,
            events,
        ],
        .gateway: [
            Rule(
                groups: ["fathom.dev"], resources: ["depthcaches"],
                verbs: read + ["create", "patch", "delete"]),
            Rule(groups: ["fathom.dev"], resources: ["depthcachereplicas"], verbs: read),
            Rule(groups: [""], resources: ["configmaps", "pods"], verbs: read),
            linkKey,
            // Tokens of its clients, by the name that the chart gives them.
            Rule(groups: [""], resources: ["secrets"], verbs: read, names: ["fathom-tokens"]),
            Rule(
                groups: [""], resources: ["secrets"], verbs: ["create", "delete"],
                namePrefix: "fathom-credentials-"),
            Rule(groups: ["coordination.k8s.io"], resources: ["leases"], verbs: read),
        ],
    ]
}
