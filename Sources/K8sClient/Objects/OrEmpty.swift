/// A collection field that may be absent: absent reads as empty, and empty is not written.
@propertyWrapper package struct OrEmpty<Value> {
    package var wrappedValue: Value

    package init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
}

extension OrEmpty: Sendable where Value: Sendable {}
extension OrEmpty: Equatable where Value: Equatable {}
extension OrEmpty: Hashable where Value: Hashable {}

/// What may be left out of an object when it is empty.
package protocol EmptyCapable: Codable {
    init()
    var isEmpty: Bool { get }
}

extension Array: EmptyCapable where Element: Codable {}
extension Dictionary: EmptyCapable where Key: Codable, Value: Codable {}
extension String: EmptyCapable {}

extension OrEmpty: Codable where Value: EmptyCapable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        wrappedValue = container.decodeNil() ? Value() : try container.decode(Value.self)
    }

    package func encode(to encoder: any Encoder) throws { try wrappedValue.encode(to: encoder) }
}

extension KeyedDecodingContainer {
    package func decode<Value: EmptyCapable>(_: OrEmpty<Value>.Type, forKey key: Key) throws -> OrEmpty<Value>
    {
        OrEmpty(wrappedValue: try decodeIfPresent(Value.self, forKey: key) ?? Value())
    }
}

extension KeyedEncodingContainer {
    package mutating func encode<Value: EmptyCapable>(_ value: OrEmpty<Value>, forKey key: Key) throws {
        if !value.wrappedValue.isEmpty { try encode(value.wrappedValue, forKey: key) }
    }
}
