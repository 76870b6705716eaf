import K8sClient

/// Fields that somebody else owns and wants otherwise.
struct ApplyConflict: Error, Equatable {
    struct Clash: Equatable {
        var manager: String
        var apiVersion: String
        var path: String
    }

    var clashes: [Clash]

    var status: StatusError {
        let count = clashes.count
        let text: String
        if count == 1, let clash = clashes.first {
            text =
                "Apply failed with 1 conflict: conflict with \"\(clash.manager)\" using \(clash.apiVersion): \(clash.path)"
        } else {
            let managers = Set(clashes.map { "\"\($0.manager)\" using \($0.apiVersion)" }).sorted()
            let lists = managers.map { manager in
                "conflicts with \(manager):\n"
                    + clashes.filter { "\"\($0.manager)\" using \($0.apiVersion)" == manager }
                    .map { "- \($0.path)" }.joined(separator: "\n")
            }
            text = "Apply failed with \(count) conflicts: " + lists.joined(separator: "\n")
        }
        let causes = clashes.map { clash -> JSONValue in
            [
                "reason": "FieldManagerConflict",
                "message": .string("conflict with \"\(clash.manager)\" using \(clash.apiVersion)"),
                "field": .string(clash.path),
            ]
        }
        return StatusError(409, "Conflict", text, details: ["causes": .array(causes)])
    }
}

/// Server-side apply: merges a manager's wishes into an object, by who owns what.
enum ServerSideApply {
    /// The object and its owners after `writer` applied `wishes` to `live` (nil: it is created).
    static func apply(
        _ wishes: JSONValue, to live: JSONValue?, managed: ManagedFields, by writer: ManagedFields.Entry,
        force: Bool, _ shape: MergeShape
    ) throws(ApplyConflict) -> (object: JSONValue, managed: ManagedFields) {
        var managed = managed
        let wanted = ManagedFields.ownable(FieldSet(of: wishes, shape), subresource: writer.subresource)
        var merged = live.map { merge(wishes, into: $0, shape) } ?? wishes
        var clashes: [ApplyConflict.Clash] = []
        for index in managed.entries.indices where !managed.entries[index].isSameManager(as: writer) {
            let other = managed.entries[index]
            for path in wanted.intersection(other.fields).paths {
                let before = live.flatMap { FieldChanges.value($0, path, shape) }
                guard before != FieldChanges.value(merged, path, shape), !isContainer(path, wanted) else {
                    continue
                }
                clashes.append(
                    ApplyConflict.Clash(
                        manager: other.manager, apiVersion: other.apiVersion, path: shown(path)))
                if force {
                    managed.entries[index].fields = managed.entries[index].fields.subtracting(single(path))
                }
            }
        }
        if !clashes.isEmpty && !force {
            throw ApplyConflict(clashes: clashes.sorted { ($0.manager, $0.path) < ($1.manager, $1.path) })
        }
        let own = managed.entries.firstIndex { $0.isSameManager(as: writer) }
        let others = managed.entries.enumerated().filter { $0.offset != own }
            .reduce(FieldSet()) { $0.union($1.element.fields) }
        if let own {
            let dropped = managed.entries[own].fields.subtracting(wanted)
            merged = prune(merged, dropped, keeping: wanted.union(others), shape)
        }
        if let own {
            if managed.entries[own].fields != wanted || merged != live {
                managed.entries[own].time = writer.time
            }
            managed.entries[own].fields = wanted
            managed.entries[own].apiVersion = writer.apiVersion
        } else {
            var entry = writer
            entry.fields = wanted
            managed.entries.append(entry)
        }
        managed.entries.removeAll { $0.fields.isEmpty }
        return (merged, managed)
    }

    /// Whether the path is an item or map that the applier fills itself: its own presence is no contest.
    private static func isContainer(_ path: [FieldStep], _ fields: FieldSet) -> Bool {
        var current = fields
        for step in path { current = current.children[step] ?? FieldSet() }
        return !current.children.isEmpty
    }

    private static func single(_ path: [FieldStep]) -> FieldSet {
        path.reversed().reduce(FieldSet(isMember: true)) { FieldSet(children: [$1: $0]) }
    }

    private static func merge(_ wishes: JSONValue, into live: JSONValue, _ shape: MergeShape) -> JSONValue {
        if let fields = wishes.fields, var result = live.fields, !shape.isAtomicMap {
            for (name, value) in fields {
                result[name] = result[name].map { merge(value, into: $0, shape.child(name)) } ?? value
            }
            return .object(result)
        }
        guard let elements = wishes.elements, var result = live.elements, shape.listType != .atomic else {
            return wishes
        }
        for element in elements {
            let step = shape.step(for: element)
            if let index = result.firstIndex(where: { shape.step(for: $0) == step }) {
                result[index] = merge(element, into: result[index], shape.element)
            } else {
                result.append(element)
            }
        }
        return .array(result)
    }

    /// Removes what the manager gave up and nobody else holds.
    private static func prune(
        _ value: JSONValue, _ dropped: FieldSet, keeping kept: FieldSet, _ shape: MergeShape
    ) -> JSONValue {
        if var fields = value.fields {
            for (step, below) in dropped.children {
                guard case .field(let name) = step, let child = fields[name] else { continue }
                fields[name] = rest(child, below, kept.children[step] ?? FieldSet(), shape.child(name))
            }
            return .object(fields)
        }
        guard let elements = value.elements else { return value }
        return .array(
            elements.compactMap { element in
                let step = shape.step(for: element)
                guard let below = dropped.children[step] else { return element }
                return rest(element, below, kept.children[step] ?? FieldSet(), shape.element)
            })
    }

    private static func rest(
        _ child: JSONValue, _ dropped: FieldSet, _ kept: FieldSet, _ shape: MergeShape
    ) -> JSONValue? {
        if dropped.isMember && kept.isEmpty { return nil }
        let left = prune(child, dropped, keeping: kept, shape)
        let isEmptied = (left.fields?.isEmpty ?? false) || (left.elements?.isEmpty ?? false)
        return isEmptied && left != child && kept.isEmpty ? .none : left
    }
}
