import K8sClient

/// What somebody wants to do.
struct AccessQuestion: Sendable {
    var verb: String
    var group: String
    /// With the subresource, as in `pods/status`.
    var resource: String
    var name: String?
    /// Nil at the cluster scope.
    var namespace: String?

    init(
        _ verb: String, _ group: String, _ plural: String, subresource: String? = nil, name: String?,
        in namespace: String?
    ) {
        self.verb = verb
        self.group = group
        resource = subresource.map { "\(plural)/\($0)" } ?? plural
        self.name = name
        self.namespace = namespace
    }
}

/// One rule of a Role.
struct PolicyRule: Equatable, Sendable {
    var verbs: [String]
    var groups: [String]
    var resources: [String]
    var names: [String]

    init(verbs: [String], groups: [String], resources: [String], names: [String] = []) {
        self.verbs = verbs
        self.groups = groups
        self.resources = resources
        self.names = names
    }

    init(_ json: JSONValue) {
        func texts(_ name: String) -> [String] { json[name]?.elements?.compactMap(\.text) ?? [] }
        self.init(
            verbs: texts("verbs"), groups: texts("apiGroups"), resources: texts("resources"),
            names: texts("resourceNames"))
    }

    static func rules(of role: JSONValue?) -> [PolicyRule] {
        (role?["rules"]?.elements ?? []).map(PolicyRule.init)
    }

    func allows(_ question: AccessQuestion) -> Bool {
        (verbs.contains("*") || verbs.contains(question.verb))
            && (groups.contains("*") || groups.contains(question.group))
            && resources.contains { Self.resource($0, covers: question.resource) }
            && (names.isEmpty || question.name.map(names.contains) ?? false)
    }

    /// `*` is everything, `*/scale` that subresource of everything.
    private static func resource(_ rule: String, covers wanted: String) -> Bool {
        if rule == "*" || rule == wanted { return true }
        guard rule.hasPrefix("*/"), let slash = wanted.firstIndex(of: "/") else { return false }
        return wanted[slash...] == rule.dropFirst()
    }

    /// The rule taken apart into rules of one verb, group, resource and name each.
    var parts: [PolicyRule] {
        let single: [[String]] = names.isEmpty ? [[]] : names.map { [$0] }
        var result: [PolicyRule] = []
        for verb in verbs {
            for group in groups {
                for resource in resources {
                    for name in single {
                        result.append(
                            PolicyRule(verbs: [verb], groups: [group], resources: [resource], names: name))
                    }
                }
            }
        }
        return result
    }

    /// Whether holding this rule means holding `part`, which is of one verb, group and resource.
    func covers(_ part: PolicyRule) -> Bool {
        func includes(_ own: [String], _ wanted: [String]) -> Bool {
            own.contains("*") || wanted.allSatisfy(own.contains)
        }
        return includes(verbs, part.verbs) && includes(groups, part.groups)
            && part.resources.allSatisfy { wanted in resources.contains { Self.resource($0, covers: wanted) }
            }
            && (names.isEmpty || (!part.names.isEmpty && part.names.allSatisfy(names.contains)))
    }

    /// The rule in the words of a refusal.
    var shown: String {
        func list(_ texts: [String]) -> String {
            "[" + texts.map { "\"\($0)\"" }.joined(separator: " ") + "]"
        }
        return "{APIGroups:\(list(groups)), Resources:\(list(resources))"
            + (names.isEmpty ? "" : ", ResourceNames:\(list(names))") + ", Verbs:\(list(verbs))}"
    }
}
