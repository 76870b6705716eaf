package import FoundationEssentials

/// `v1` Secret; its values never show in a description.
package struct Secret: KubernetesResource, Equatable, CustomStringConvertible {
    package static var resource: APIResource {
        APIResource(group: "", version: "v1", plural: "secrets", kind: "Secret")
    }
    package var metadata: ObjectMeta
    package var type: String?
    @OrEmpty package var data: [String: Data] = [:]

    package init(metadata: ObjectMeta, type: String? = nil, data: [String: Data] = [:]) {
        self.metadata = metadata
        self.type = type
        self.data = data
    }

    /// The text under a key, if there is one and it is UTF-8.
    package func text(_ key: String) -> String? { data[key].flatMap { String(bytes: $0, encoding: .utf8) } }

    package var description: String { "Secret \(key) with \(data.count) values" }
}
