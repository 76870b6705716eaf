/// Any JSON value; whole numbers stay exact.
///
/// Objects are dictionaries and are written with sorted keys, so equal values have equal bytes.
package indirect enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    package var text: String? { if case .string(let value) = self { value } else { nil } }
    package var number: Int64? { if case .int(let value) = self { value } else { nil } }
    /// A number of either kind.
    package var double: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }
    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var elements: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    package var fields: [String: JSONValue]? { if case .object(let value) = self { value } else { nil } }
    package var isNull: Bool { self == .null }

    /// A field of an object; setting one turns anything else into an object first.
    package subscript(field: String) -> JSONValue? {
        get { fields?[field] }
        set {
            var changed = fields ?? [:]
            changed[field] = newValue
            self = .object(changed)
        }
    }

    package subscript(index: Int) -> JSONValue? {
        guard let elements, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    /// The value at a path of field names.
    package func at(_ path: String...) -> JSONValue? { at(path[...]) }

    package func at(_ path: ArraySlice<String>) -> JSONValue? {
        var current: JSONValue? = self
        for name in path { current = current?[name] }
        return current
    }

    /// Sets (or with nil removes) the value at a path, making objects on the way.
    package mutating func set(_ path: [String], to value: JSONValue?) { set(path[...], to: value) }

    private mutating func set(_ path: ArraySlice<String>, to value: JSONValue?) {
        guard let first = path.first else {
            self = value ?? .null
            return
        }
        if path.count == 1 {
            self[first] = value
        } else if value != nil || self[first] != nil {
            var inner = self[first] ?? .object([:])
            inner.set(path.dropFirst(), to: value)
            self[first] = inner
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral,
    ExpressibleByStringInterpolation, ExpressibleByFloatLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int64) { self = .int(value) }
    package init(floatLiteral value: Double) { self = .double(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(Dictionary(elements) { $1 })
    }
    package init(nilLiteral: ()) { self = .null }
}

/// Why bytes are not JSON that we accept, or a value is not what a type expects.
package struct JSONError: Error, Equatable, CustomStringConvertible {
    package var message: String
    package var offset: Int?

    package init(_ message: String, offset: Int? = nil) {
        self.message = message
        self.offset = offset
    }

    package var description: String { offset.map { "\(message) at byte \($0)" } ?? message }
}
