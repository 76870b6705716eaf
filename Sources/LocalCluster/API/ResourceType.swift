import K8sClient

/// A column of the table that `kubectl get` prints.
struct PrinterColumn: Sendable {
    var name: String
    var type: String = "string"
    var format: String = ""
    var description: String = ""
    /// Above 0 only `-o wide` shows it.
    var priority: Int = 0
    var value: @Sendable (JSONValue, _ now: Int64) -> JSONValue
}

/// Where the scale subresource finds its numbers, as dotted paths.
struct ScalePaths: Sendable {
    var specReplicas: [String]
    var statusReplicas: [String]
    var labelSelector: [String]?
}

/// One resource in one version: everything the request handling needs to know about it.
struct ResourceType: Sendable {
    enum NameRule: Sendable { case subdomain, label, pathSegment }

    var group: String
    var version: String
    var plural: String
    var kind: String
    var singular: String
    var shortNames: [String] = []
    var categories: [String] = []
    var isNamespaced: Bool
    var hasStatus = false
    var scale: ScalePaths?
    /// Only for custom resources; builtin kinds are checked by their own few rules.
    var schema: Schema?
    var columns: [PrinterColumn] = []
    var isCustom = false
    var nameRule = NameRule.subdomain
    var verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    /// Field selectors beside metadata.name and metadata.namespace.
    var selectableFields: [String] = []
    /// Top-level fields of a builtin kind; others are unknown to `fieldValidation`.
    var topFields: Set<String> = []
    /// Where objects are stored, if not under the resource's own name (events of both groups share one place).
    var storedAs: String?
    /// Whether changes of anything but metadata and status count as a new generation.
    var countsGenerations = false

    var storageKey: String { storedAs ?? "\(group)/\(plural)" }
    var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }
    var qualifiedPlural: String { group.isEmpty ? plural : "\(plural).\(group)" }
    var listKind: String { kind + "List" }

    /// The entry for the discovery documents.
    var discovery: [JSONValue] {
        var entry: JSONValue = [
            "name": .string(plural), "singularName": .string(singular), "namespaced": .bool(isNamespaced),
            "kind": .string(kind), "verbs": .strings(verbs),
        ]
        if !shortNames.isEmpty { entry["shortNames"] = .strings(shortNames) }
        if !categories.isEmpty { entry["categories"] = .strings(categories) }
        var entries = [entry]
        if hasStatus {
            entries.append([
                "name": .string("\(plural)/status"), "singularName": "", "namespaced": .bool(isNamespaced),
                "kind": .string(kind), "verbs": ["get", "patch", "update"],
            ])
        }
        if scale != nil {
            entries.append([
                "name": .string("\(plural)/scale"), "singularName": "", "namespaced": .bool(isNamespaced),
                "group": "autoscaling", "version": "v1", "kind": "Scale",
                "verbs": ["get", "patch", "update"],
            ])
        }
        if plural == "serviceaccounts" {
            entries.append([
                "name": "serviceaccounts/token", "singularName": "", "namespaced": true,
                "group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest",
                "verbs": ["create"],
            ])
        }
        return entries
    }
}
