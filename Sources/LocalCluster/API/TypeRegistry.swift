import K8sClient

/// Which resources the API serves at the moment: the builtin ones and those of the installed definitions.
struct TypeRegistry {
    private(set) var types: [ResourceType] = BuiltinTypes.all
    private var definitions: [String: [ResourceType]] = [:]

    func type(group: String, version: String, plural: String) -> ResourceType? {
        types.first { $0.group == group && $0.version == version && $0.plural == plural }
    }

    /// The type that objects under a storage key belong to.
    func type(storedUnder key: String) -> ResourceType? {
        types.first { $0.storageKey == key && $0.storedAs == nil }
    }

    func builtin(_ plural: String, group: String = "") -> ResourceType {
        types.first { $0.group == group && $0.plural == plural } ?? BuiltinTypes.all[0]
    }

    /// Groups with their versions, the core group first, in a stable order.
    var groups: [(group: String, versions: [String])] {
        var result: [(group: String, versions: [String])] = []
        for type in types + [Self.accessReviews] {
            if let index = result.firstIndex(where: { $0.group == type.group }) {
                if !result[index].versions.contains(type.version) {
                    result[index].versions.append(type.version)
                }
            } else {
                result.append((type.group, [type.version]))
            }
        }
        return result
    }

    func types(group: String, version: String) -> [ResourceType] {
        (types + [Self.accessReviews]).filter { $0.group == group && $0.version == version }
    }

    /// Only ever created, never stored: it is a question.
    static let accessReviews: ResourceType = {
        var type = ResourceType(
            group: "authorization.k8s.io", version: "v1", plural: "selfsubjectaccessreviews",
            kind: "SelfSubjectAccessReview", singular: "selfsubjectaccessreview", isNamespaced: false)
        type.verbs = ["create"]
        return type
    }()

    mutating func install(_ name: String, _ newTypes: [ResourceType]) {
        definitions[name] = newTypes
        rebuild()
    }

    mutating func uninstall(_ name: String) {
        definitions[name] = nil
        rebuild()
    }

    private mutating func rebuild() {
        types = BuiltinTypes.all + definitions.sorted { $0.key < $1.key }.flatMap(\.value)
    }
}

/// Reads a CustomResourceDefinition into resource types.
enum CustomTypes {
    /// The served types of a definition, or what is wrong with it.
    static func types(of definition: JSONValue) throws(StatusError) -> [ResourceType] {
        let crd = TypeRegistry().builtin("customresourcedefinitions", group: "apiextensions.k8s.io")
        let name = definition.at("metadata", "name")?.text ?? ""
        var faults: [FieldFault] = []
        func text(_ path: String...) -> String {
            guard let value = definition.at(["spec"] + path)?.text, !value.isEmpty else {
                faults.append(
                    FieldFault(
                        field: "spec." + path.joined(separator: "."), reason: "FieldValueRequired"))
                return ""
            }
            return value
        }
        let group = text("group")
        let plural = text("names", "plural")
        let kind = text("names", "kind")
        let scope = text("scope")
        let versions = definition.at("spec", "versions")?.elements ?? []
        if name != "\(plural).\(group)" {
            faults.append(
                FieldFault(
                    field: "metadata.name", reason: "FieldValueInvalid", value: "\"\(name)\"",
                    detail: "must be spec.names.plural+\".\"+spec.group"))
        }
        if versions.count(where: { $0["storage"] == true }) != 1 {
            faults.append(
                FieldFault(
                    field: "spec.versions", reason: "FieldValueInvalid", value: "\(versions.count) versions",
                    detail: "must have exactly one version marked as storage version"))
        }
        var types: [ResourceType] = []
        for (index, version) in versions.enumerated() {
            var type = ResourceType(
                group: group, version: version["name"]?.text ?? "", plural: plural, kind: kind,
                singular: definition.at("spec", "names", "singular")?.text ?? kind.lowercased(),
                isNamespaced: scope == "Namespaced")
            type.isCustom = true
            type.countsGenerations = true
            type.shortNames = definition.at("spec", "names", "shortNames")?.elements?.compactMap(\.text) ?? []
            type.categories = definition.at("spec", "names", "categories")?.elements?.compactMap(\.text) ?? []
            do {
                try fill(&type, from: version, path: "spec.versions[\(index)]")
            } catch {
                faults.append(
                    FieldFault(
                        field: error.path, reason: "FieldValueInvalid", value: "schema", detail: error.message
                    ))
            }
            if version["served"] == true { types.append(type) }
        }
        guard faults.isEmpty else { throw StatusError.invalid(crd, name, faults) }
        return types
    }

    private static func fill(
        _ type: inout ResourceType, from version: JSONValue, path: String
    ) throws(SchemaError) {
        guard let raw = version.at("schema", "openAPIV3Schema") else {
            throw SchemaError("\(path).schema.openAPIV3Schema", "schemas are required")
        }
        type.schema = try Schema(raw, path: "\(path).schema.openAPIV3Schema")
        // Even a description counts: what metadata is, is not for a definition to say.
        var metadata = raw.at("properties", "metadata")
        metadata?["properties"] = nil
        guard metadata == nil || metadata == ["type": "object"] else {
            throw SchemaError(
                "\(path).schema.openAPIV3Schema.properties[metadata]",
                "must not specify anything other than name and generateName, but metadata is implicitly specified"
            )
        }
        type.hasStatus = version.at("subresources", "status") != nil
        if let scale = version.at("subresources", "scale") {
            type.scale = ScalePaths(
                specReplicas: dotted(scale["specReplicasPath"]?.text ?? ".spec.replicas"),
                statusReplicas: dotted(scale["statusReplicasPath"]?.text ?? ".status.replicas"),
                labelSelector: scale["labelSelectorPath"]?.text.map(dotted))
        }
        type.selectableFields = (version["selectableFields"]?.elements ?? []).compactMap {
            $0["jsonPath"]?.text.map { String($0.drop { $0 == "." }) }
        }
        let columns = version["additionalPrinterColumns"]?.elements ?? []
        type.columns = [BuiltinTypes.name] + columns.map(column)
        if columns.isEmpty { type.columns.append(BuiltinTypes.age) }
    }

    private static func dotted(_ path: String) -> [String] { path.split(separator: ".").map(String.init) }

    private static func column(_ definition: JSONValue) -> PrinterColumn {
        let type = definition["type"]?.text ?? "string"
        let path = JSONPath(definition["jsonPath"]?.text ?? "")
        return PrinterColumn(
            name: definition["name"]?.text ?? "", type: type, format: definition["format"]?.text ?? "",
            description: definition["description"]?.text ?? "", priority: definition["priority"]?.whole ?? 0
        ) { object, now in
            guard let value = path.value(in: object) else { return type == "string" ? "" : .null }
            if type == "date", let text = value.text {
                return .string(Clock.age(text, now: now))
            }
            if type == "string", value.text == nil { return .string(value.jsonText) }
            return value
        }
    }
}

/// The JSONPath forms that printer columns use: fields, `['a.b']`, `[0]`, `[*]` and `[?(@.type=="Ready")]`.
struct JSONPath: Sendable {
    private enum Step: Sendable {
        case field(String)
        case index(Int)
        case any
        case filter([String], String)
    }

    private var steps: [Step] = []

    init(_ text: String) {
        var rest = Substring(text)
        while let first = rest.first {
            rest.removeFirst()
            if first == "." { continue }
            guard first == "[" else {
                let name = String(first) + rest.prefix { $0 != "." && $0 != "[" }
                rest = rest.dropFirst(name.count - 1)
                steps.append(.field(name.replacing("\\", with: "")))
                continue
            }
            let inner = rest.prefix { $0 != "]" }
            rest = rest.dropFirst(inner.count + 1)
            if let index = Int(inner) {
                steps.append(.index(index))
            } else if inner == "*" {
                steps.append(.any)
            } else if inner.hasPrefix("?(@.") {
                let parts = inner.dropFirst(4).split(separator: "==").map { part in
                    String(part.filter { !"\"' )".contains($0) })
                }
                if parts.count == 2 {
                    steps.append(.filter(parts[0].split(separator: ".").map(String.init), parts[1]))
                }
            } else {
                steps.append(.field(String(inner.filter { $0 != "'" && $0 != "\"" })))
            }
        }
    }

    /// The first value that the path meets.
    func value(in object: JSONValue) -> JSONValue? {
        var current = object
        for step in steps {
            let next: JSONValue? =
                switch step {
                case .field(let name): current[name]
                case .index(let index):
                    current.elements.flatMap { $0.indices.contains(index) ? $0[index] : nil }
                case .any: current.elements?.first
                case .filter(let path, let wanted): current.elements?.first { $0.at(path)?.text == wanted }
                }
            guard let next else { return nil }
            current = next
        }
        return current
    }
}
