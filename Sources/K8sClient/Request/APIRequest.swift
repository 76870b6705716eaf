package import Transport

/// Which objects a list or a watch is about.
package struct Selector: Hashable, Sendable {
    /// In the API's own words: `app=x,tier in (a,b)`.
    package var labels: String?
    package var fields: String?

    package init(labels: String? = nil, fields: String? = nil) {
        self.labels = labels
        self.fields = fields
    }

    /// All of these labels with these values.
    package init(labels: [String: String], name: String? = nil) {
        self.labels =
            labels.isEmpty
            ? nil : labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
        fields = name.map { "metadata.name=\($0)" }
    }

    package static var everything: Selector { Selector() }
    package static func name(_ name: String) -> Selector { Selector(fields: "metadata.name=\(name)") }
}

/// How a patch is to be understood.
package enum PatchKind: Sendable, Equatable {
    case merge
    case json

    var contentType: String {
        switch self {
        case .merge: "application/merge-patch+json"
        case .json: "application/json-patch+json"
        }
    }
}

/// What happens to the children of a deleted object.
package enum Propagation: String, Sendable {
    case background = "Background"
    case foreground = "Foreground"
    case orphan = "Orphan"
}

/// A request to the API as a value; built without sending it.
package struct APIRequest: Equatable, Sendable {
    package var method: String
    /// Percent-encoded, from the API's root.
    package var path: String
    package var query: [Parameter] = []
    package var body: JSONValue?
    package var contentType: String?
    /// Further ones, for who is asked through the API.
    package var headers: [HTTPHeader] = []

    package struct Parameter: Equatable, Sendable {
        package var name: String
        package var value: String

        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    package init(_ method: String, _ path: String, body: JSONValue? = nil, contentType: String? = nil) {
        self.method = method
        self.path = path
        self.body = body
        self.contentType = contentType ?? (body == nil ? nil : "application/json")
    }

    /// The path of a collection or of one object of it.
    package static func path(
        _ resource: APIResource, namespace: String?, name: String? = nil, subresource: String? = nil
    ) -> String {
        var path = resource.group.isEmpty ? "/api/" : "/apis/\(resource.group)/"
        path += resource.version
        if resource.isNamespaced, let namespace {
            path += "/namespaces/" + PercentEncoding.component(namespace)
        }
        path += "/" + resource.plural
        if let name { path += "/" + PercentEncoding.component(name) }
        if let subresource { path += "/" + subresource }
        return path
    }

    package mutating func select(_ selector: Selector) {
        if let labels = selector.labels { query.append(Parameter("labelSelector", labels)) }
        if let fields = selector.fields { query.append(Parameter("fieldSelector", fields)) }
    }

    /// Path and query as they go on the wire.
    package var target: String {
        guard !query.isEmpty else { return path }
        return path + "?"
            + query.map { "\($0.name)=\(PercentEncoding.component($0.value))" }.joined(separator: "&")
    }
}

/// RFC 3986.
enum PercentEncoding {
    static func component(_ text: String) -> String {
        let hex = Array("0123456789ABCDEF".utf8)
        var out: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: out.append(byte)
            default: out += [0x25, hex[Int(byte >> 4)], hex[Int(byte & 15)]]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
