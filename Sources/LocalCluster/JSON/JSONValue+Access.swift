extension JSONValue {
    /// A document in one line; nil if it is not valid.
    init?(text: String) {
        guard let value = try? JSONValue(parsing: Array(text.utf8)) else { return nil }
        self = value
    }

    static func from(_ number: Int) -> JSONValue { .int(Int64(number)) }
    static func strings(_ texts: [String]) -> JSONValue { .array(texts.map { .string($0) }) }

    var jsonText: String { String(decoding: bytes, as: UTF8.self) }
    var fields: [String: JSONValue]? { if case .object(let fields) = self { fields } else { nil } }
    var elements: [JSONValue]? { if case .array(let elements) = self { elements } else { nil } }
    var text: String? { if case .string(let text) = self { text } else { nil } }

    var number: Int? {
        switch self {
        case .int(let value): Int(value)
        case .double(let value): Int(exactly: value)
        default: nil
        }
    }

    var real: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }

    /// The name of the value's type in schemas.
    var schemaType: String {
        switch self {
        case .null: "null"
        case .bool: "boolean"
        case .int: "integer"
        case .double(let value): value == value.rounded() ? "integer" : "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }

    /// A field of an object; setting nil removes it.
    subscript(name: String) -> JSONValue? {
        get { fields?[name] }
        set {
            var changed = fields ?? [:]
            changed[name] = newValue
            self = .object(changed)
        }
    }

    func at(_ path: [String]) -> JSONValue? {
        var current = self
        for name in path {
            guard let next = current[name] else { return nil }
            current = next
        }
        return current
    }

    func at(_ path: String...) -> JSONValue? { at(path) }

    /// Sets a value deep inside, making the objects on the way.
    mutating func set(_ path: [String], _ value: JSONValue) {
        guard let first = path.first else {
            self = value
            return
        }
        var child = self[first] ?? .object([:])
        child.set(Array(path.dropFirst()), value)
        self[first] = child
    }

    /// Sets or, with nil, removes a field of `metadata`.
    mutating func setMetadata(_ name: String, _ value: JSONValue?) {
        var metadata = self["metadata"] ?? .object([:])
        metadata[name] = value
        self["metadata"] = metadata
    }

    /// Without fields that are null: an apply does not ask for those.
    var withoutNulls: JSONValue {
        switch self {
        case .object(let fields): .object(fields.filter { $0.value != .null }.mapValues(\.withoutNulls))
        case .array(let elements): .array(elements.map(\.withoutNulls))
        default: self
        }
    }

    /// Reads YAML; JSON is the form of it that programs send.
    init(yaml bytes: [UInt8]) throws(JSONError) {
        self = try JSONValue(parsing: bytes)
    }
}
