import K8sClient

/// Who owns which fields of an object: `metadata.managedFields`.
struct ManagedFields: Equatable {
    struct Entry: Equatable {
        var manager: String
        var operation: String
        var apiVersion: String
        var subresource: String
        var time: String
        var fields: FieldSet

        func isSameManager(as other: Entry) -> Bool {
            (manager, operation, subresource) == (other.manager, other.operation, other.subresource)
        }
    }

    var entries: [Entry] = []

    init(_ json: JSONValue?) {
        entries = (json?.elements ?? []).compactMap { entry in
            guard let manager = entry["manager"]?.text, let operation = entry["operation"]?.text else {
                return nil
            }
            return Entry(
                manager: manager, operation: operation, apiVersion: entry["apiVersion"]?.text ?? "",
                subresource: entry["subresource"]?.text ?? "", time: entry["time"]?.text ?? "",
                fields: FieldSet(fieldsV1: entry["fieldsV1"] ?? .object([:])))
        }
    }

    var json: JSONValue {
        .array(
            entries.map { entry in
                var json: JSONValue = [
                    "manager": .string(entry.manager), "operation": .string(entry.operation),
                    "apiVersion": .string(entry.apiVersion), "time": .string(entry.time),
                    "fieldsType": "FieldsV1", "fieldsV1": entry.fields.fieldsV1,
                ]
                if !entry.subresource.isEmpty { json["subresource"] = .string(entry.subresource) }
                return json
            })
    }

    /// Takes over what `writer` changed between two states of the object by other means than apply.
    mutating func recordUpdate(_ writer: Entry, from old: JSONValue?, to new: JSONValue, _ shape: MergeShape)
    {
        let changed = FieldChanges.between(old, new, shape)
        let removed = old.map { FieldSet(of: $0, shape).subtracting(FieldSet(of: new, shape)) } ?? FieldSet()
        let own = Self.ownable(changed, subresource: writer.subresource)
        let lost = changed.union(removed)
        guard !lost.isEmpty else { return }
        var isKnown = false
        for index in entries.indices {
            if entries[index].isSameManager(as: writer) {
                isKnown = true
                let fields = entries[index].fields.removing(under: removed).union(own)
                if fields != entries[index].fields {
                    entries[index].time = writer.time
                    entries[index].apiVersion = writer.apiVersion
                }
                entries[index].fields = fields
            } else {
                entries[index].fields = entries[index].fields.removing(under: removed).subtracting(lost)
            }
        }
        if !isKnown {
            var entry = writer
            entry.fields = own
            entries.append(entry)
        }
        entries.removeAll { $0.fields.isEmpty }
    }

    /// Gives an object that nobody claims to its unknown past, so that the first apply does not overwrite it unasked.
    mutating func claimUnowned(_ live: JSONValue, _ writer: Entry, _ shape: MergeShape) {
        guard entries.isEmpty else { return }
        var past = writer
        past.manager = "before-first-apply"
        past.operation = "Update"
        past.subresource = ""
        past.fields = Self.ownable(FieldSet(of: live, shape), subresource: "")
        if !past.fields.isEmpty { entries = [past] }
    }

    /// Leaves out what the server itself sets, and what the addressed part of the object does not include.
    static func ownable(_ fields: FieldSet, subresource: String) -> FieldSet {
        var result = fields
        result.isMember = false
        for name in ["apiVersion", "kind"] { result.children[.field(name)] = nil }
        if subresource == "status" {
            result.children = result.children.filter { $0.key == .field("status") }
        } else if var metadata = result.children[.field("metadata")] {
            metadata.isMember = false
            for name in [
                "name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields",
                "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds",
            ] { metadata.children[.field(name)] = nil }
            result.children[.field("metadata")] = metadata.isEmpty ? nil : metadata
        }
        return result
    }
}

/// Finds what differs between two states of an object.
enum FieldChanges {
    /// The fields of `new` that `old` has not, or has with another value.
    static func between(_ old: JSONValue?, _ new: JSONValue, _ shape: MergeShape) -> FieldSet {
        guard let old else { return FieldSet(of: new, shape) }
        guard old != new else { return FieldSet() }
        if let fields = new.fields, let oldFields = old.fields, !shape.isAtomicMap {
            var result = FieldSet(isMember: fields.isEmpty)
            for (name, value) in fields {
                let child = between(oldFields[name], value, shape.child(name))
                if !child.isEmpty { result.children[.field(name)] = child }
            }
            return result
        }
        guard let elements = new.elements, let oldElements = old.elements, shape.listType != .atomic else {
            return FieldSet(of: new, shape)
        }
        var result = FieldSet(isMember: elements.isEmpty)
        for element in elements {
            let step = shape.step(for: element)
            let before = oldElements.first { shape.step(for: $0) == step }
            let child =
                if case .value = step {
                    FieldSet(isMember: before == nil)
                } else if let before {
                    between(before, element, shape.element)
                } else {
                    FieldSet(of: element, shape.element).union(FieldSet(isMember: true))
                }
            if !child.isEmpty { result.children[step] = child }
        }
        return result
    }

    /// The value at a path of steps.
    static func value(_ object: JSONValue, _ path: [FieldStep], _ shape: MergeShape) -> JSONValue? {
        var current = object
        var shape = shape
        for step in path {
            switch step {
            case .field(let name):
                guard let child = current[name] else { return nil }
                current = child
                shape = shape.child(name)
            default:
                guard let item = current.elements?.first(where: { shape.step(for: $0) == step }) else {
                    return nil
                }
                current = item
                shape = shape.element
            }
        }
        return current
    }
}
