import K8sClient

/// RFC 7386: null removes, objects merge, everything else replaces.
enum MergePatch {
    static func apply(_ patch: JSONValue, to target: JSONValue) -> JSONValue {
        guard let changes = patch.fields else { return patch }
        var fields = target.fields ?? [:]
        for (name, change) in changes {
            fields[name] = change == .null ? .none : apply(change, to: fields[name] ?? .null)
        }
        return .object(fields)
    }
}

/// Why a patch cannot be applied.
struct PatchError: Error, Equatable {
    var message: String
    /// A failed `test` and a missing path are the object's fault (422), a malformed patch is the sender's (400).
    var isMalformed = false
}

/// RFC 6902.
enum JSONPatch {
    static func apply(_ patch: JSONValue, to target: JSONValue) throws(PatchError) -> JSONValue {
        guard let operations = patch.elements else {
            throw PatchError(message: "a JSON patch must be an array of operations", isMalformed: true)
        }
        var result = target
        for operation in operations { result = try apply(operation, result) }
        return result
    }

    private static func apply(_ step: JSONValue, _ target: JSONValue) throws(PatchError) -> JSONValue {
        guard let verb = step["op"]?.text, let path = step["path"]?.text.map(pointer) else {
            throw PatchError(message: "a JSON patch operation needs op and path", isMalformed: true)
        }
        func value() throws(PatchError) -> JSONValue {
            guard let value = step["value"] else {
                throw PatchError(message: "operation \"\(verb)\" needs a value", isMalformed: true)
            }
            return value
        }
        func source() throws(PatchError) -> [String] {
            guard let from = step["from"]?.text.map(pointer) else {
                throw PatchError(message: "operation \"\(verb)\" needs from", isMalformed: true)
            }
            return from
        }
        switch verb {
        case "add": return try edit(target, path, .add(try value()))
        case "replace": return try edit(target, path, .replace(try value()))
        case "remove": return try edit(target, path, .remove)
        case "test":
            guard read(target, path) == (try value()) else {
                throw PatchError(message: "testing value \(step["path"]?.text ?? "") failed")
            }
            return target
        case "copy": return try edit(target, path, .add(try found(target, try source())))
        case "move":
            let from = try source()
            let moved = try found(target, from)
            return try edit(try edit(target, from, .remove), path, .add(moved))
        default: throw PatchError(message: "unknown JSON patch operation \"\(verb)\"", isMalformed: true)
        }
    }

    private enum Edit {
        case add(JSONValue)
        case replace(JSONValue)
        case remove
    }

    private static func pointer(_ text: String) -> [String] {
        text.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map {
            String($0).replacing("~1", with: "/").replacing("~0", with: "~")
        }
    }

    private static func read(_ value: JSONValue, _ path: [String]) -> JSONValue? {
        var current = value
        for part in path {
            if let child = current[part] {
                current = child
            } else if let list = current.elements, let index = Int(part), list.indices.contains(index) {
                current = list[index]
            } else {
                return nil
            }
        }
        return current
    }

    private static func found(_ value: JSONValue, _ path: [String]) throws(PatchError) -> JSONValue {
        guard let value = read(value, path) else { throw missing(path) }
        return value
    }

    private static func missing(_ path: [String]) -> PatchError {
        PatchError(message: "the path /\(path.joined(separator: "/")) does not exist in the object")
    }

    private static func edit(_ value: JSONValue, _ path: [String], _ edit: Edit) throws(PatchError)
        -> JSONValue
    {
        guard let first = path.first else {
            switch edit {
            case .add(let new), .replace(let new): return new
            case .remove: return .null
            }
        }
        if var fields = value.fields {
            if path.count > 1 {
                guard let child = fields[first] else { throw missing(path) }
                fields[first] = try self.edit(child, Array(path.dropFirst()), edit)
                return .object(fields)
            }
            switch edit {
            case .add(let new): fields[first] = new
            case .replace(let new):
                guard fields[first] != nil else { throw missing(path) }
                fields[first] = new
            case .remove: guard fields.removeValue(forKey: first) != nil else { throw missing(path) }
            }
            return .object(fields)
        }
        guard var list = value.elements else { throw missing(path) }
        if path.count == 1, case .add(let new) = edit {
            let index = first == "-" ? list.count : Int(first) ?? -1
            guard index >= 0, index <= list.count else { throw missing(path) }
            list.insert(new, at: index)
            return .array(list)
        }
        guard let index = Int(first), list.indices.contains(index) else { throw missing(path) }
        if path.count > 1 {
            list[index] = try self.edit(list[index], Array(path.dropFirst()), edit)
        } else if case .replace(let new) = edit {
            list[index] = new
        } else {
            list.remove(at: index)
        }
        return .array(list)
    }
}
