import FoundationEssentials
package import YAML

extension JSONValue: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .int(value)
        } else if let value = try? container.decode(Double.self) {
            self = .double(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .int(let value): try container.encode(value)
        case .double(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }

    /// The JSON of any value.
    package init(encoding value: some Encodable) throws(JSONError) {
        if let value = value as? JSONValue {
            self = value
        } else {
            try self.init(parsing: try JSONCoding.bytes(value))
        }
    }

    /// This value as a type; the error names the path.
    package func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws(JSONError) -> Value {
        if let value = self as? Value { return value }
        return try JSONCoding.decode(type, from: bytes)
    }
}

/// Typed values from and to bytes.
package enum JSONCoding {
    package static func bytes(_ value: some Encodable) throws(JSONError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do { return Array(try encoder.encode(value)) } catch { throw JSONError("cannot encode: \(error)") }
    }

    package static func decode<Value: Decodable>(
        _ type: Value.Type, from bytes: [UInt8]
    ) throws(JSONError) -> Value {
        do { return try JSONDecoder().decode(type, from: Data(bytes)) } catch let error as DecodingError {
            throw JSONError("cannot read \(type): \(Self.explain(error))")
        } catch { throw JSONError("cannot read \(type): \(error)") }
    }

    private static func explain(_ error: DecodingError) -> String {
        func place(_ context: DecodingError.Context) -> String {
            let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }
                .joined()
            return path.isEmpty ? "" : " at \(path)"
        }
        switch error {
        case .keyNotFound(let key, let context): return "field \(key.stringValue) is missing" + place(context)
        case .typeMismatch(let type, let context): return "expected \(type)" + place(context)
        case .valueNotFound(let type, let context): return "expected \(type), was null" + place(context)
        case .dataCorrupted(let context): return context.debugDescription + place(context)
        @unknown default: return "\(error)"
        }
    }
}

extension JSONValue {
    package init(_ yaml: YAMLValue) {
        switch yaml {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .int(let value): self = .int(value)
        case .double(let value): self = .double(value)
        case .string(let value): self = .string(value)
        case .sequence(let values): self = .array(values.map { JSONValue($0) })
        case .mapping(let entries):
            self = .object(Dictionary(entries.map { ($0.key, JSONValue($0.value)) }) { $1 })
        }
    }

    /// Reads one YAML document (and so any JSON).
    package init(yaml bytes: [UInt8]) throws(YAMLError) { self.init(try YAML.parse(bytes)) }

    package var yaml: YAMLValue {
        switch self {
        case .null: .null
        case .bool(let value): .bool(value)
        case .int(let value): .int(value)
        case .double(let value): .double(value)
        case .string(let value): .string(value)
        case .array(let values): .sequence(values.map(\.yaml))
        case .object(let fields):
            .mapping(
                fields.sorted { $0.key < $1.key }.map { YAMLValue.Entry(key: $0.key, value: $0.value.yaml) })
        }
    }
}
