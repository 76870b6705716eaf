import K8sClient

/// The Kubernetes kinds that the embedded API serves beside the custom ones.
enum BuiltinTypes {
    static let all: [ResourceType] = [
        core("namespaces", "Namespace", ["ns"], namespaced: false, status: true, ["spec", "status"]) {
            $0.columns = [name, column("Status", "status.phase"), age]
            $0.nameRule = .label
            $0.selectableFields = ["status.phase"]
            $0.verbs.removeAll { $0 == "deletecollection" }
        },
        core("pods", "Pod", ["po"], status: true, ["spec", "status"]) {
            $0.columns = PodColumns.all
            $0.categories = ["all"]
            $0.selectableFields = [
                "spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "status.phase",
                "status.podIP",
            ]
        },
        core("configmaps", "ConfigMap", ["cm"], ["data", "binaryData", "immutable"]) {
            $0.columns = [name, PrinterColumn(name: "Data") { object, _ in .string(dataCount(object)) }, age]
        },
        core("secrets", "Secret", [], ["data", "stringData", "type", "immutable"]) {
            $0.columns = [
                name, column("Type", "type"),
                PrinterColumn(name: "Data") { object, _ in .string(dataCount(object)) }, age,
            ]
            $0.selectableFields = ["type"]
        },
        core("services", "Service", ["svc"], status: true, ["spec", "status"]) {
            $0.columns = ServiceColumns.all
            $0.categories = ["all"]
            $0.nameRule = .label
        },
        core("serviceaccounts", "ServiceAccount", ["sa"], serviceAccountFields) {
            $0.columns = [name, PrinterColumn(name: "Secrets") { $0.count(of: "secrets", now: $1) }, age]
        },
        core("nodes", "Node", ["no"], namespaced: false, status: true, ["spec", "status"]) {
            $0.columns = NodeColumns.all
            $0.selectableFields = ["spec.unschedulable"]
        },
        core("events", "Event", ["ev"], eventFields) {
            $0.columns = EventColumns.all
            $0.selectableFields = eventSelectors
        },
        type("events.k8s.io", "v1", "events", "Event", ["ev"], newEventFields) {
            $0.columns = EventColumns.all
            $0.storedAs = "/events"
            $0.selectableFields = eventSelectors
        },
        type("coordination.k8s.io", "v1", "leases", "Lease", [], ["spec"]) {
            $0.columns = [name, column("Holder", "spec.holderIdentity"), age]
        },
        role("roles", "Role", namespaced: true), role("clusterroles", "ClusterRole", namespaced: false),
        binding("rolebindings", "RoleBinding", namespaced: true),
        binding("clusterrolebindings", "ClusterRoleBinding", namespaced: false),
        type(
            "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition",
            ["crd", "crds"], ["spec", "status"], namespaced: false
        ) {
            $0.hasStatus = true
            $0.categories = ["api-extensions"]
            $0.columns = [name, created]
            $0.countsGenerations = true
        },
    ]

    private static let serviceAccountFields = ["secrets", "imagePullSecrets", "automountServiceAccountToken"]
    private static let eventFields = [
        "involvedObject", "reason", "message", "source", "firstTimestamp", "lastTimestamp", "count", "type",
        "eventTime", "series", "action", "related", "reportingComponent", "reportingInstance",
    ]
    private static let newEventFields = [
        "eventTime", "series", "reportingController", "reportingInstance", "action", "reason", "regarding",
        "related", "note", "type", "deprecatedSource", "deprecatedFirstTimestamp", "deprecatedLastTimestamp",
        "deprecatedCount",
    ]
    private static let eventSelectors = [
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
        "reportingComponent", "source", "type",
    ]

    static let name = PrinterColumn(
        name: "Name", format: "name", description: "Name must be unique within a namespace."
    ) { object, _ in object.at("metadata", "name") ?? "" }
    static let age = PrinterColumn(name: "Age", description: "Time since creation.") { object, now in
        .string(Clock.age(object.at("metadata", "creationTimestamp")?.text, now: now))
    }
    static let created = PrinterColumn(name: "Created At", type: "date") { object, _ in
        object.at("metadata", "creationTimestamp") ?? .null
    }

    static func column(_ name: String, _ path: String, priority: Int = 0) -> PrinterColumn {
        let keys = path.split(separator: ".").map(String.init)
        return PrinterColumn(name: name, priority: priority) { object, _ in object.at(keys) ?? "" }
    }

    private static func dataCount(_ object: JSONValue) -> String {
        String((object["data"]?.fields?.count ?? 0) + (object["binaryData"]?.fields?.count ?? 0))
    }

    private static func role(_ plural: String, _ kind: String, namespaced: Bool) -> ResourceType {
        type(
            "rbac.authorization.k8s.io", "v1", plural, kind, [], ["rules", "aggregationRule"],
            namespaced: namespaced
        ) {
            $0.columns = [name, created]
            $0.nameRule = .pathSegment
        }
    }

    private static func binding(_ plural: String, _ kind: String, namespaced: Bool) -> ResourceType {
        type(
            "rbac.authorization.k8s.io", "v1", plural, kind, [], ["roleRef", "subjects"],
            namespaced: namespaced
        ) {
            let role = PrinterColumn(name: "Role") { object, _ in
                .string(
                    (object.at("roleRef", "kind")?.text ?? "") + "/"
                        + (object.at("roleRef", "name")?.text ?? ""))
            }
            $0.columns = [name, role, age]
            $0.nameRule = .pathSegment
        }
    }

    private static func core(
        _ plural: String, _ kind: String, _ short: [String], namespaced: Bool = true, status: Bool = false,
        _ fields: [String], _ adjust: (inout ResourceType) -> Void
    ) -> ResourceType {
        type("", "v1", plural, kind, short, fields, namespaced: namespaced) {
            $0.hasStatus = status
            adjust(&$0)
        }
    }

    private static func type(
        _ group: String, _ version: String, _ plural: String, _ kind: String, _ short: [String],
        _ fields: [String], namespaced: Bool = true, _ adjust: (inout ResourceType) -> Void
    ) -> ResourceType {
        var type = ResourceType(
            group: group, version: version, plural: plural, kind: kind, singular: kind.lowercased(),
            shortNames: short, isNamespaced: namespaced)
        type.topFields = Set(fields + ["apiVersion", "kind", "metadata"])
        adjust(&type)
        return type
    }
}
