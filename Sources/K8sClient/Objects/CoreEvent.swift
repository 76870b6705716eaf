/// What an Event is about.
package struct ObjectReference: Codable, Hashable, Sendable {
    package var apiVersion: String?
    package var kind: String?
    package var name: String?
    package var namespace: String?
    package var uid: String?

    package init(apiVersion: String?, kind: String?, name: String?, namespace: String?, uid: String?) {
        self.apiVersion = apiVersion
        self.kind = kind
        self.name = name
        self.namespace = namespace
        self.uid = uid
    }

    package init<Object: KubernetesResource>(_ object: Object) {
        self.init(
            apiVersion: Object.resource.apiVersion, kind: Object.resource.kind, name: object.metadata.name,
            namespace: object.metadata.namespace, uid: object.metadata.uid)
    }
}

/// `v1` Event.
package struct CoreEvent: KubernetesResource, Equatable {
    package enum Kind: String, Codable, Sendable {
        case normal = "Normal"
        case warning = "Warning"
    }

    package struct Source: Codable, Equatable, Sendable {
        package var component: String?
        package var host: String?
    }

    package static var resource: APIResource {
        APIResource(group: "", version: "v1", plural: "events", kind: "Event")
    }
    package var metadata: ObjectMeta
    package var involvedObject: ObjectReference
    package var type: String?
    package var reason: String?
    package var message: String?
    package var count: Int?
    package var firstTimestamp: Timestamp?
    package var lastTimestamp: Timestamp?
    package var source: Source?
    package var reportingComponent: String?
    package var reportingInstance: String?

    package init(
        metadata: ObjectMeta, about object: ObjectReference, type: Kind, reason: String, message: String,
        at time: Timestamp, component: String, instance: String
    ) {
        self.metadata = metadata
        involvedObject = object
        self.type = type.rawValue
        self.reason = reason
        self.message = message
        count = 1
        firstTimestamp = time
        lastTimestamp = time
        source = Source(component: component)
        reportingComponent = component
        reportingInstance = instance
    }
}
