/// `v1` Pod, as far as Fathom reads it.
package struct Pod: KubernetesResource, Equatable {
    package struct Spec: Codable, Equatable, Sendable {
        package var nodeName: String?
    }

    package struct PodCondition: Codable, Equatable, Sendable {
        package var type: String
        package var status: String
    }

    package struct Status: Codable, Equatable, Sendable {
        package var phase: String?
        package var podIP: String?
        @OrEmpty package var conditions: [PodCondition] = []
    }

    package static var resource: APIResource {
        APIResource(group: "", version: "v1", plural: "pods", kind: "Pod")
    }
    package var metadata: ObjectMeta
    package var spec: Spec?
    package var status: Status?

    package init(metadata: ObjectMeta, nodeName: String? = nil) {
        self.metadata = metadata
        spec = Spec(nodeName: nodeName)
    }

    package var isReady: Bool {
        status?.conditions.contains { $0.type == "Ready" && $0.status == "True" } ?? false
    }
}

/// `v1` ConfigMap.
package struct ConfigMap: KubernetesResource, Equatable {
    package static var resource: APIResource {
        APIResource(group: "", version: "v1", plural: "configmaps", kind: "ConfigMap")
    }
    package var metadata: ObjectMeta
    @OrEmpty package var data: [String: String] = [:]

    package init(metadata: ObjectMeta, data: [String: String] = [:]) {
        self.metadata = metadata
        self.data = data
    }
}

/// `v1` Node: Fathom reads labels only.
package struct Node: KubernetesResource, Equatable {
    package static var resource: APIResource {
        APIResource(group: "", version: "v1", plural: "nodes", kind: "Node", isNamespaced: false)
    }
    package var metadata: ObjectMeta

    package init(metadata: ObjectMeta) { self.metadata = metadata }
}

/// `v1` Namespace.
package struct Namespace: KubernetesResource, Equatable {
    package static var resource: APIResource {
        APIResource(group: "", version: "v1", plural: "namespaces", kind: "Namespace", isNamespaced: false)
    }
    package var metadata: ObjectMeta

    package init(metadata: ObjectMeta) { self.metadata = metadata }
}

/// `rbac.authorization.k8s.io/v1` Role.
package struct Role: KubernetesResource, Equatable {
    package struct Rule: Codable, Equatable, Sendable {
        package var apiGroups: [String]
        package var resources: [String]
        package var verbs: [String]
        @OrEmpty package var resourceNames: [String] = []

        package init(apiGroups: [String], resources: [String], verbs: [String], resourceNames: [String] = [])
        {
            self.apiGroups = apiGroups
            self.resources = resources
            self.verbs = verbs
            self.resourceNames = resourceNames
        }
    }

    package static var resource: APIResource {
        APIResource(group: "rbac.authorization.k8s.io", version: "v1", plural: "roles", kind: "Role")
    }
    package var metadata: ObjectMeta
    @OrEmpty package var rules: [Rule] = []

    package init(metadata: ObjectMeta, rules: [Rule]) {
        self.metadata = metadata
        self.rules = rules
    }
}
