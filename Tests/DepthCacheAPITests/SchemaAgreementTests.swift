import DepthCacheAPI
import K8sClient
import Testing
import YAML

/// The resource definitions say what the Swift types say: the same fields, required ones, kinds, bounds, defaults and cases.
@Suite struct SchemaAgreementTests {
    static let audit = ReplicaAudit(
        time: "2026-01-01T00:00:00Z", result: .mismatch, updateID: 1, matched: 2, drifted: 3, orphaned: 4,
        missed: 5, dump: "file")

    private func schema(_ definition: [UInt8], _ path: String...) throws -> JSONValue {
        let root = try JSONValue(yaml: definition)
        var schema = try #require(root.at("spec", "versions")?[0]?.at("schema", "openAPIV3Schema"))
        for part in path {
            let next = part == "items" ? schema["items"] : schema.at("properties", part)
            schema = try #require(next, "\(path) has no \(part)")
        }
        return schema
    }

    /// Compares the fields of an object in which all are set with a schema.
    private func expect<Value: Codable>(_ full: Value, agreesWith schema: JSONValue) throws {
        let subject = String(describing: Value.self)
        for field in Mirror(reflecting: full).children {
            let optional = Mirror(reflecting: field.value)
            #expect(
                optional.displayStyle != .optional || optional.children.count == 1,
                "\(subject).\(field.label ?? "") is not set: this test would not see it")
        }
        let encoded = try JSONValue(encoding: full)
        let fields = try #require(encoded.fields)
        let properties = try #require(schema["properties"]?.fields)
        #expect(Set(fields.keys) == Set(properties.keys), "\(subject)")
        let required = Set(schema["required"]?.elements?.compactMap(\.text) ?? [])
        for (name, value) in fields {
            #expect(properties[name]?["type"]?.text == Self.type(of: value), "\(subject).\(name)")
            var rest = encoded
            rest.set([name], to: nil)
            let canDoWithout = (try? rest.decode(Value.self)) != nil
            #expect(
                canDoWithout != required.contains(name), "\(subject).\(name): required in one of the two only"
            )
        }
    }

    private static func type(of value: JSONValue) -> String {
        switch value {
        case .string: "string"
        case .int: "integer"
        case .double: "number"
        case .bool: "boolean"
        case .array: "array"
        case .object: "object"
        default: "null"
        }
    }

    @Test func `specs have the fields of the schemas`() throws {
        try expect(
            DepthCacheSpec(
                exchange: "binance.com", market: "BTCUSDT", updateIntervalMilliseconds: 100,
                refreshIntervalSeconds: 60),
            agreesWith: schema(CustomResourceDefinitions.depthCaches, "spec"))
        try expect(
            DepthCacheReplicaSpec(
                exchange: "binance.com", market: "BTCUSDT", updateIntervalMilliseconds: 100,
                refreshIntervalSeconds: 60, workerName: "worker", credentialsSecretName: "secret"),
            agreesWith: schema(CustomResourceDefinitions.depthCacheReplicas, "spec"))
    }

    @Test func `statuses have the fields of the schemas`() throws {
        let condition = Condition(
            type: ConditionType.ready, status: .yes, reason: "AsDesired", message: "", observedGeneration: 1,
            lastTransitionTime: .now)
        try expect(
            DepthCacheStatus(
                observedGeneration: 1, replicas: 1, readyReplicas: 1, selector: "a=b",
                updateIntervalMilliseconds: 100, lastAudit: Self.audit, conditions: [condition]),
            agreesWith: schema(CustomResourceDefinitions.depthCaches, "status"))
        let conditions = try schema(CustomResourceDefinitions.depthCaches, "status", "conditions", "items")
        try expect(condition, agreesWith: conditions)
        try expect(
            DepthCacheReplicaStatus(
                phase: .failed, reason: .banned, message: "", since: "2026-01-01T00:00:00Z", restarts: 1,
                incarnation: "a", updateIntervalMilliseconds: 100, lastAudit: Self.audit),
            agreesWith: schema(CustomResourceDefinitions.depthCacheReplicas, "status"))
        for definition in [
            CustomResourceDefinitions.depthCaches, CustomResourceDefinitions.depthCacheReplicas,
        ] {
            try expect(Self.audit, agreesWith: schema(definition, "status", "lastAudit"))
        }
    }

    @Test func `bounds and defaults are the programs' own`() throws {
        let bounds: [(String, ClosedRange<Int>, Int?)] = [
            ("replicas", SpecBounds.replicas, SpecBounds.defaultReplicas),
            ("depth", SpecBounds.depth, SpecBounds.defaultDepth),
            ("updateIntervalMilliseconds", SpecBounds.updateIntervalMilliseconds, nil),
            ("refreshIntervalSeconds", SpecBounds.refreshIntervalSeconds, nil),
        ]
        for (name, range, value) in bounds {
            let field = try schema(CustomResourceDefinitions.depthCaches, "spec", name)
            #expect(field["minimum"]?.number == Int64(range.lowerBound), "\(name)")
            #expect(field["default"]?.number == value.map { Int64($0) }, "\(name)")
            // Where the schema has no maximum, the format is the bound.
            #expect(field["format"] == "int32", "\(name)")
            #expect(field["maximum"]?.number ?? Int64(Int32.max) == Int64(range.upperBound), "\(name)")
        }
        for name in ["exchange", "market"] {
            for definition in [
                CustomResourceDefinitions.depthCaches, CustomResourceDefinitions.depthCacheReplicas,
            ] {
                let field = try schema(definition, "spec", name)
                #expect(field["minLength"]?.number == Int64(SpecBounds.nameLength.lowerBound))
                #expect(field["maxLength"]?.number == Int64(SpecBounds.nameLength.upperBound))
            }
        }
    }

    @Test func `enumerations have the programs' cases`() throws {
        let phases = try schema(CustomResourceDefinitions.depthCacheReplicas, "status", "phase")
        #expect(phases["enum"]?.elements?.compactMap(\.text) == ReplicaPhase.allCases.map(\.rawValue))
        let result = try schema(CustomResourceDefinitions.depthCacheReplicas, "status", "lastAudit", "result")
        #expect(
            result["enum"]?.elements?.compactMap(\.text)
                == [ReplicaAudit.Result.match, .mismatch].map(\.rawValue))
    }
}
