/// One YAML document as a tree; scalars are typed by the core schema.
package indirect enum YAMLValue: Equatable, Sendable {
    case null
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case string(String)
    case sequence([YAMLValue])
    /// In the order of the document.
    case mapping([Entry])

    /// One key and its value.
    package struct Entry: Equatable, Sendable {
        package var key: String
        package var value: YAMLValue

        package init(key: String, value: YAMLValue) {
            self.key = key
            self.value = value
        }
    }

    /// The value of a key of a mapping.
    package subscript(key: String) -> YAMLValue? {
        guard case .mapping(let entries) = self else { return nil }
        return entries.first { $0.key == key }?.value
    }

    package var text: String? { if case .string(let value) = self { value } else { nil } }
    package var number: Int64? { if case .int(let value) = self { value } else { nil } }
    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var elements: [YAMLValue]? { if case .sequence(let value) = self { value } else { nil } }
    package var entries: [Entry]? { if case .mapping(let value) = self { value } else { nil } }
    package var isNull: Bool { self == .null }
}

/// Why bytes are not a YAML document that we accept, and where.
package struct YAMLError: Error, Equatable, CustomStringConvertible {
    package var message: String
    /// Counted from 1.
    package var line: Int
    /// Counted from 1.
    package var column: Int

    package init(message: String, line: Int, column: Int) {
        self.message = message
        self.line = line
        self.column = column
    }

    package var description: String { "line \(line), column \(column): \(message)" }
}

/// What a document may cost, so that a small hostile one cannot take all memory or the whole stack.
package struct YAMLLimits: Sendable {
    /// Nested sequences and mappings.
    package var depth = 100
    /// Nodes of all documents together, counted after aliases are put in.
    package var nodes = 500_000

    package init(depth: Int = 100, nodes: Int = 500_000) {
        self.depth = depth
        self.nodes = nodes
    }
}

/// Reading and writing YAML.
package enum YAML {
    /// The one document of `bytes`; null when there is none, an error when there are more.
    package static func parse(_ bytes: [UInt8], limits: YAMLLimits = YAMLLimits()) throws(YAMLError)
        -> YAMLValue
    {
        let documents = try parseAll(bytes, limits: limits)
        guard documents.count < 2 else {
            throw YAMLError(message: "expected one document, found \(documents.count)", line: 1, column: 1)
        }
        return documents.first ?? .null
    }

    /// All documents of `bytes`.
    package static func parseAll(
        _ bytes: [UInt8], limits: YAMLLimits = YAMLLimits()
    ) throws(YAMLError) -> [YAMLValue] {
        let composer = YAMLComposer(YAMLEvents(bytes), limits)
        return try composer.documents()
    }

    package static func parse(_ text: String) throws(YAMLError) -> YAMLValue { try parse(Array(text.utf8)) }

    /// Block style, two spaces, a line feed at the end.
    package static func emit(_ value: YAMLValue) -> String {
        var emitter = YAMLEmitter()
        emitter.document(value)
        return emitter.text
    }
}
