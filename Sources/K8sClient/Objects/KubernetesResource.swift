/// Where a kind lives in the API.
package struct APIResource: Hashable, Sendable {
    package var group: String
    package var version: String
    package var plural: String
    package var kind: String
    package var isNamespaced: Bool

    package init(group: String, version: String, plural: String, kind: String, isNamespaced: Bool = true) {
        self.group = group
        self.version = version
        self.plural = plural
        self.kind = kind
        self.isNamespaced = isNamespaced
    }

    package var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }
}

/// A typed object of the Kubernetes API.
package protocol KubernetesResource: Codable, Sendable {
    static var resource: APIResource { get }
    var metadata: ObjectMeta { get set }
}

extension KubernetesResource {
    package var key: ObjectKey { metadata.key }

    /// The object as it is sent: with `apiVersion` and `kind`.
    package func json() throws(JSONError) -> JSONValue {
        var value = try JSONValue(encoding: self)
        value["apiVersion"] = .string(Self.resource.apiVersion)
        value["kind"] = .string(Self.resource.kind)
        return value
    }
}

/// One answer to a list request.
package struct KubernetesList<Item: Codable & Sendable>: Codable, Sendable {
    package struct Metadata: Codable, Sendable {
        package var resourceVersion: String?
        package var `continue`: String?
    }

    package var metadata: Metadata
    package var items: [Item]
}

/// `Status` of the API: how it says that something failed.
package struct Status: Codable, Equatable, Sendable {
    package struct Cause: Codable, Equatable, Sendable {
        package var reason: String?
        package var message: String?
        package var field: String?
    }

    package struct Details: Codable, Equatable, Sendable {
        package var name: String?
        package var kind: String?
        package var retryAfterSeconds: Int?
        package var causes: [Cause]?
    }

    package var status: String?
    package var message: String?
    package var reason: String?
    package var code: Int?
    package var details: Details?

    package init(code: Int, reason: String? = nil, message: String? = nil) {
        status = "Failure"
        self.code = code
        self.reason = reason
        self.message = message
    }
}
