/// `metadata` of every object, as far as Fathom uses it.
package struct ObjectMeta: Codable, Equatable, Sendable {
    package var name: String?
    package var generateName: String?
    package var namespace: String?
    package var uid: String?
    package var resourceVersion: String?
    package var generation: Int64?
    package var creationTimestamp: Timestamp?
    package var deletionTimestamp: Timestamp?
    @OrEmpty package var labels: [String: String] = [:]
    @OrEmpty package var annotations: [String: String] = [:]
    @OrEmpty package var ownerReferences: [OwnerReference] = []
    @OrEmpty package var finalizers: [String] = []

    package init(
        name: String? = nil, namespace: String? = nil, labels: [String: String] = [:],
        annotations: [String: String] = [:], ownerReferences: [OwnerReference] = []
    ) {
        self.name = name
        self.namespace = namespace
        self.labels = labels
        self.annotations = annotations
        self.ownerReferences = ownerReferences
    }

    package var key: ObjectKey { ObjectKey(namespace: namespace, name: name ?? "") }
    package var isBeingDeleted: Bool { deletionTimestamp != nil }
    package var controller: OwnerReference? { ownerReferences.first { $0.controller == true } }
}

/// One entry of `metadata.ownerReferences`.
package struct OwnerReference: Codable, Hashable, Sendable {
    package var apiVersion: String
    package var kind: String
    package var name: String
    package var uid: String
    package var controller: Bool?
    package var blockOwnerDeletion: Bool?

    package init(
        apiVersion: String, kind: String, name: String, uid: String, controller: Bool? = true,
        blockOwnerDeletion: Bool? = true
    ) {
        self.apiVersion = apiVersion
        self.kind = kind
        self.name = name
        self.uid = uid
        self.controller = controller
        self.blockOwnerDeletion = blockOwnerDeletion
    }

    /// The reference that makes `owner` the controller of a child; nil before it has a name and a uid.
    package init?<Owner: KubernetesResource>(controlledBy owner: Owner) {
        guard let name = owner.metadata.name, let uid = owner.metadata.uid else { return nil }
        self.init(
            apiVersion: Owner.resource.apiVersion, kind: Owner.resource.kind, name: name, uid: uid)
    }
}

/// Namespace and name: how a store and a queue know an object.
package struct ObjectKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var namespace: String?
    package var name: String

    package init(namespace: String? = nil, name: String) {
        self.namespace = namespace
        self.name = name
    }

    package var description: String { namespace.map { "\($0)/\(name)" } ?? name }
    package static func < (one: Self, other: Self) -> Bool {
        (one.namespace ?? "", one.name) < (other.namespace ?? "", other.name)
    }
}
