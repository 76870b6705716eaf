import K8sClient

/// How the parts of an object merge when several writers meet: whole, by field, or by key.
///
/// Custom resources say so in their schema. The builtin kinds follow the field names, which mean the same everywhere
/// in the few kinds served here.
indirect enum MergeShape {
    case schema(Schema?, isRoot: Bool)
    case builtin(field: String)

    static let objectMeta = MergeShape.builtin(field: "metadata")

    static func of(_ type: ResourceType) -> MergeShape {
        type.isCustom ? .schema(type.schema, isRoot: true) : .builtin(field: "")
    }

    func child(_ name: String) -> MergeShape {
        switch self {
        case .schema(let schema, let isRoot):
            isRoot && name == "metadata"
                ? .objectMeta : .schema(schema?.child(name), isRoot: false)
        case .builtin: .builtin(field: name)
        }
    }

    var element: MergeShape {
        switch self {
        case .schema(let schema, _): .schema(schema?.items, isRoot: false)
        case .builtin(let field): .builtin(field: field + "[]")
        }
    }

    var listType: Schema.ListType {
        switch self {
        case .schema(let schema, _): schema?.listType ?? .atomic
        case .builtin(let field): Self.builtinLists[field] ?? .atomic
        }
    }

    var isAtomicMap: Bool {
        switch self {
        case .schema(let schema, let isRoot): schema?.isAtomicMap ?? !isRoot
        case .builtin(let field): Self.builtinAtomicMaps.contains(field)
        }
    }

    private static let builtinLists: [String: Schema.ListType] = [
        "ownerReferences": .map(keys: ["uid"]), "finalizers": .set, "conditions": .map(keys: ["type"]),
        "containers": .map(keys: ["name"]), "initContainers": .map(keys: ["name"]),
        "env": .map(keys: ["name"]), "volumes": .map(keys: ["name"]),
        "imagePullSecrets": .map(keys: ["name"]),
        "secrets": .map(keys: ["name"]), "volumeMounts": .map(keys: ["mountPath"]),
        "ports": .map(keys: ["port", "protocol"]), "addresses": .map(keys: ["type"]),
        "podIPs": .map(keys: ["ip"]), "hostIPs": .map(keys: ["ip"]),
    ]
    private static let builtinAtomicMaps: Set<String> = [
        "involvedObject", "selector", "related", "regarding", "roleRef", "fieldRef", "configMapKeyRef",
    ]
}

/// Strategic merge patch for the builtin kinds: a merge patch whose lists merge by key.
enum StrategicMergePatch {
    static func apply(_ patch: JSONValue, to target: JSONValue, _ shape: MergeShape) -> JSONValue {
        guard let changes = patch.fields else { return patch }
        if changes["$patch"] == "replace" { return .object(changes.filter { $0.key != "$patch" }) }
        var fields = target.fields ?? [:]
        if let kept = changes["$retainKeys"]?.elements?.compactMap(\.text) {
            fields = fields.filter { kept.contains($0.key) }
        }
        for (name, change) in changes {
            if let list = name.wholeSuffix(after: "$deleteFromPrimitiveList/") {
                let gone = change.elements ?? []
                fields[list] = fields[list]?.elements.map { .array($0.filter { !gone.contains($0) }) }
            } else if name.hasPrefix("$") {
                continue
            } else if change == .null {
                fields[name] = nil
            } else {
                fields[name] = merge(change, fields[name], shape.child(name))
            }
        }
        return .object(fields)
    }

    private static func merge(_ change: JSONValue, _ present: JSONValue?, _ shape: MergeShape) -> JSONValue {
        if let fields = change.fields {
            if fields["$patch"] == "delete" { return .object([:]) }
            return apply(change, to: present ?? .object([:]), shape)
        }
        guard let changes = change.elements else { return change }
        switch shape.listType {
        case .atomic: return change
        case .set:
            let old = present?.elements ?? []
            return .array(old + changes.filter { !old.contains($0) })
        case .map(let keys):
            if changes.contains(where: { $0["$patch"] == "replace" }) {
                return .array(changes.filter { $0["$patch"] == nil })
            }
            // A strategic patch names an item by its first key alone.
            let keys = keys.prefix(1)
            var result = present?.elements ?? []
            for item in changes {
                let index = result.firstIndex { old in keys.allSatisfy { old[$0] == item[$0] } }
                if item["$patch"] == "delete" {
                    if let index { result.remove(at: index) }
                } else if let index {
                    result[index] = apply(item, to: result[index], shape.element)
                } else {
                    result.append(apply(item, to: .object([:]), shape.element))
                }
            }
            return .array(result)
        }
    }
}

extension String {
    /// What follows `prefix`, if the string starts with it.
    func wholeSuffix(after prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}
