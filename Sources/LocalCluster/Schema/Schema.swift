import K8sClient

/// A structural OpenAPI v3 schema, as a CustomResourceDefinition carries it.
final class Schema: Sendable {
    /// How a list's items are told apart when writers meet.
    enum ListType: Equatable, Sendable {
        case atomic
        case set
        case map(keys: [String])
    }

    let raw: JSONValue
    let type: String
    let properties: [String: Schema]
    let additionalProperties: Schema?
    let allowsAdditional: Bool
    let items: Schema?
    let required: [String]
    let preservesUnknown: Bool
    let isIntOrString: Bool
    let isNullable: Bool
    let isEmbeddedResource: Bool
    let listType: ListType
    let isAtomicMap: Bool
    let rules: [ValidationRule]
    let defaultValue: JSONValue?

    /// Reads a schema and everything below it; throws what is not supported, with its path.
    init(_ raw: JSONValue, path: String = "openAPIV3Schema") throws(SchemaError) {
        self.raw = raw
        guard raw.fields != nil else { throw SchemaError(path, "must be an object") }
        for key in ["$ref", "not", "anyOf", "oneOf", "allOf"] where raw[key] != nil {
            let isIntOrString = raw["x-kubernetes-int-or-string"] == true
            guard key == "anyOf" || key == "allOf", isIntOrString else {
                throw SchemaError("\(path).\(key)", "is not supported by this API server")
            }
        }
        type = raw["type"]?.text ?? ""
        isIntOrString = raw["x-kubernetes-int-or-string"] == true
        preservesUnknown = raw["x-kubernetes-preserve-unknown-fields"] == true
        isNullable = raw["nullable"] == true
        isEmbeddedResource = raw["x-kubernetes-embedded-resource"] == true
        isAtomicMap = raw["x-kubernetes-map-type"] == "atomic"
        required = raw["required"]?.elements?.compactMap(\.text) ?? []
        defaultValue = raw["default"]
        guard !type.isEmpty || isIntOrString || preservesUnknown else {
            throw SchemaError("\(path).type", "must not be empty for specified object fields")
        }
        guard ["", "object", "array", "string", "integer", "number", "boolean"].contains(type) else {
            throw SchemaError("\(path).type", "has the unknown value \"\(type)\"")
        }
        var properties: [String: Schema] = [:]
        for (name, value) in raw["properties"]?.fields ?? [:] {
            properties[name] = try Schema(value, path: "\(path).properties[\(name)]")
        }
        self.properties = properties
        if let additional = raw["additionalProperties"], additional.fields != nil {
            additionalProperties = try Schema(additional, path: "\(path).additionalProperties")
            allowsAdditional = true
        } else {
            additionalProperties = nil
            allowsAdditional = raw["additionalProperties"] == true
        }
        items = try raw["items"].map { (value) throws(SchemaError) in try Schema(value, path: "\(path).items")
        }
        if type == "array", items == nil { throw SchemaError("\(path).items", "must be specified") }
        switch raw["x-kubernetes-list-type"]?.text {
        case "set": listType = .set
        case "map":
            guard !(raw["x-kubernetes-list-map-keys"]?.elements ?? []).isEmpty else {
                throw SchemaError(
                    "\(path).x-kubernetes-list-map-keys", "must be given if x-kubernetes-list-type is map")
            }
            listType = .map(keys: raw["x-kubernetes-list-map-keys"]?.elements?.compactMap(\.text) ?? [])
        default: listType = .atomic
        }
        var rules: [ValidationRule] = []
        for (index, rule) in (raw["x-kubernetes-validations"]?.elements ?? []).enumerated() {
            rules.append(
                try ValidationRule(rule, path: "\(path).x-kubernetes-validations[\(index)].rule"))
        }
        self.rules = rules
        if let pattern = raw["pattern"]?.text, (try? Regex(pattern)) == nil {
            throw SchemaError("\(path).pattern", "must be a valid regular expression, was \"\(pattern)\"")
        }
        if let defaultValue, let fault = faults(in: defaultValue, old: nil, path: "\(path).default").first {
            throw SchemaError(fault.field, fault.message)
        }
    }

    /// The schema of a field; nil where anything goes or nothing is known.
    func child(_ name: String) -> Schema? { properties[name] ?? additionalProperties }

    // MARK: Defaulting and pruning

    /// Fills in defaults of absent fields, from the outside in.
    func addingDefaults(to value: JSONValue) -> JSONValue {
        if var fields = value.fields {
            for (name, schema) in properties {
                if let present = fields[name],
                    !(present == .null && !schema.isNullable && schema.defaultValue != nil)
                {
                    fields[name] = schema.addingDefaults(to: present)
                } else if let defaultValue = schema.defaultValue {
                    fields[name] = schema.addingDefaults(to: defaultValue)
                }
            }
            if let additionalProperties {
                for (name, present) in fields where properties[name] == nil {
                    fields[name] = additionalProperties.addingDefaults(to: present)
                }
            }
            return .object(fields)
        }
        if let elements = value.elements, let items {
            return .array(elements.map { items.addingDefaults(to: $0) })
        }
        return value
    }

    /// Drops what the schema does not name; `unknown` collects the paths of what was dropped.
    func pruning(_ value: JSONValue, path: String, isRoot: Bool, unknown: inout [String]) -> JSONValue {
        if let fields = value.fields {
            guard type == "object" || type.isEmpty else { return value }
            var kept: [String: JSONValue] = [:]
            for (name, child) in fields.sorted(by: { $0.key < $1.key }) {
                let childPath = path.isEmpty ? name : "\(path).\(name)"
                if (isRoot || isEmbeddedResource) && ["apiVersion", "kind", "metadata"].contains(name) {
                    kept[name] = child
                } else if let schema = self.child(name) {
                    kept[name] = schema.pruning(child, path: childPath, isRoot: false, unknown: &unknown)
                } else if preservesUnknown || allowsAdditional {
                    kept[name] = child
                } else {
                    unknown.append(childPath)
                }
            }
            return .object(kept)
        }
        if let elements = value.elements, let items {
            var kept: [JSONValue] = []
            for (index, element) in elements.enumerated() {
                kept.append(
                    items.pruning(element, path: "\(path)[\(index)]", isRoot: false, unknown: &unknown))
            }
            return .array(kept)
        }
        return value
    }
}

/// Why a schema is refused, and where.
struct SchemaError: Error, Equatable {
    var path: String
    var message: String

    init(_ path: String, _ message: String) {
        self.path = path
        self.message = message
    }
}
