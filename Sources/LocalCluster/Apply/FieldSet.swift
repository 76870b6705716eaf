import K8sClient

/// One step of a path into an object, in the notation of `managedFields`.
enum FieldStep: Hashable, Sendable {
    case field(String)
    case key([String: JSONValue])
    case value(JSONValue)

    init?(_ text: String) {
        if let name = text.wholeSuffix(after: "f:") {
            self = .field(name)
        } else if let keys = text.wholeSuffix(after: "k:"), let fields = JSONValue(text: keys)?.fields {
            self = .key(fields)
        } else if let value = text.wholeSuffix(after: "v:").flatMap({ JSONValue(text: $0) }) {
            self = .value(value)
        } else {
            return nil
        }
    }

    var text: String {
        switch self {
        case .field(let name): "f:\(name)"
        case .key(let keys): "k:\(JSONValue.object(keys).jsonText)"
        case .value(let value): "v:\(value.jsonText)"
        }
    }
}

/// A set of paths into an object: which fields a manager owns.
struct FieldSet: Equatable, Sendable {
    /// Whether the place itself is in the set (a leaf, or `.` beside children).
    var isMember = false
    var children: [FieldStep: FieldSet] = [:]

    var isEmpty: Bool { !isMember && children.isEmpty }

    /// Reads `fieldsV1`.
    init(fieldsV1: JSONValue) {
        for (name, value) in fieldsV1.fields ?? [:] {
            if name == "." {
                isMember = true
            } else if let step = FieldStep(name) {
                var child = FieldSet(fieldsV1: value)
                if child.isEmpty { child.isMember = true }
                children[step] = child
            }
        }
    }

    init(isMember: Bool = false, children: [FieldStep: FieldSet] = [:]) {
        self.isMember = isMember
        self.children = children
    }

    var fieldsV1: JSONValue {
        var fields: [String: JSONValue] = [:]
        if isMember && !children.isEmpty { fields["."] = .object([:]) }
        for (step, child) in children { fields[step.text] = child.fieldsV1 }
        return .object(fields)
    }

    /// All fields of a value: leaves, atomic parts as one, and the items of keyed lists.
    init(of value: JSONValue, _ shape: MergeShape) {
        if let fields = value.fields, !shape.isAtomicMap {
            for (name, child) in fields { children[.field(name)] = FieldSet(of: child, shape.child(name)) }
            isMember = fields.isEmpty
            return
        }
        guard let elements = value.elements, shape.listType != .atomic else {
            isMember = true
            return
        }
        isMember = elements.isEmpty
        for element in elements {
            let step = shape.step(for: element)
            switch step {
            case .key:
                var child = FieldSet(of: element, shape.element)
                child.isMember = true
                children[step] = child
            default: children[step] = FieldSet(isMember: true)
            }
        }
    }

    func contains(_ path: ArraySlice<FieldStep>) -> Bool {
        guard let first = path.first else { return !isEmpty }
        return children[first]?.contains(path.dropFirst()) ?? false
    }

    func union(_ other: FieldSet) -> FieldSet {
        FieldSet(
            isMember: isMember || other.isMember,
            children: children.merging(other.children) { $0.union($1) })
    }

    func intersection(_ other: FieldSet) -> FieldSet {
        var result = FieldSet(isMember: isMember && other.isMember)
        for (step, child) in children {
            guard let counterpart = other.children[step] else { continue }
            let common = child.intersection(counterpart)
            if !common.isEmpty { result.children[step] = common }
        }
        return result
    }

    func subtracting(_ other: FieldSet) -> FieldSet {
        var result = FieldSet(isMember: isMember && !other.isMember)
        for (step, child) in children {
            let rest = other.children[step].map { child.subtracting($0) } ?? child
            if !rest.isEmpty { result.children[step] = rest }
        }
        return result
    }

    /// Without everything at or below the members of `other`.
    func removing(under other: FieldSet) -> FieldSet {
        var result = FieldSet(isMember: isMember)
        for (step, child) in children {
            guard let counterpart = other.children[step] else {
                result.children[step] = child
                continue
            }
            if counterpart.isMember { continue }
            let rest = child.removing(under: counterpart)
            if !rest.isEmpty { result.children[step] = rest }
        }
        return result
    }

    /// Every member's path.
    var paths: [[FieldStep]] {
        (isMember ? [[]] : []) + children.flatMap { step, child in child.paths.map { [step] + $0 } }
    }
}

extension MergeShape {
    /// How an item of a keyed list or a set is named.
    func step(for element: JSONValue) -> FieldStep {
        guard case .map(let keys) = listType else { return .value(element) }
        var named: [String: JSONValue] = [:]
        for key in keys { named[key] = element[key] ?? (key == "protocol" ? "TCP" : .none) }
        return .key(named)
    }
}

/// Paths as they are shown to people: `.spec.replicas`, `.status.conditions[type="Ready"]`.
func shown(_ path: [FieldStep]) -> String {
    path.map { step in
        switch step {
        case .field(let name): "." + name
        case .key(let keys):
            "["
                + keys.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.jsonText)" }.joined(
                    separator: ",")
                + "]"
        case .value(let value): "[=\(value.jsonText)]"
        }
    }.joined()
}
