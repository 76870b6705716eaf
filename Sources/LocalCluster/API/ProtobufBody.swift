import FoundationEssentials
import K8sClient

/// Reads the protobuf bodies that `kubectl create` sends for a few builtin kinds; everything else speaks JSON.
enum ProtobufBody {
    static let mediaType = "application/vnd.kubernetes.protobuf"

    /// What a field number of a message means.
    private indirect enum Field {
        case text(String)
        case bool(String)
        case texts(String)
        case map(String)
        case byteMap(String)
        case message(String, [Int: Field])
        case messages(String, [Int: Field])
    }

    /// The object in the envelope (`k8s`, a zero byte, then type and content), nil if it is of no known kind.
    static func decode(_ bytes: [UInt8]) -> JSONValue? {
        guard bytes.starts(with: [0x6b, 0x38, 0x73, 0]), let envelope = fields(bytes[4...]),
            let type = envelope.first(where: { $0.number == 1 }).flatMap({ fields($0.bytes) }),
            let content = envelope.first(where: { $0.number == 2 })
        else { return nil }
        func typeText(_ number: Int) -> String {
            type.first { $0.number == number }.map { String(decoding: $0.bytes, as: UTF8.self) } ?? ""
        }
        guard let shape = kinds[typeText(2)], var object = message(content.bytes, shape) else { return nil }
        object["apiVersion"] = .string(typeText(1))
        object["kind"] = .string(typeText(2))
        return object
    }

    private static let metadata: Field = .message(
        "metadata",
        [
            1: .text("name"), 2: .text("generateName"), 3: .text("namespace"), 5: .text("uid"),
            6: .text("resourceVersion"), 11: .map("labels"), 12: .map("annotations"),
            14: .texts("finalizers"),
        ])

    private static let kinds: [String: [Int: Field]] = [
        "ConfigMap": [1: metadata, 2: .map("data"), 3: .byteMap("binaryData"), 4: .bool("immutable")],
        "Secret": [
            1: metadata, 2: .byteMap("data"), 3: .text("type"), 4: .map("stringData"), 5: .bool("immutable"),
        ],
        "Namespace": [1: metadata],
        "ServiceAccount": [1: metadata],
        "TokenRequest": [1: metadata],
        "Role": [
            1: metadata,
            2: .messages(
                "rules",
                [
                    1: .texts("verbs"), 2: .texts("apiGroups"), 3: .texts("resources"),
                    4: .texts("resourceNames"),
                ]),
        ],
        "RoleBinding": [
            1: metadata,
            2: .messages(
                "subjects", [1: .text("kind"), 2: .text("apiGroup"), 3: .text("name"), 4: .text("namespace")]),
            3: .message("roleRef", [1: .text("apiGroup"), 2: .text("kind"), 3: .text("name")]),
        ],
        "SelfSubjectAccessReview": [
            1: metadata,
            2: .message(
                "spec",
                [
                    1: .message(
                        "resourceAttributes",
                        [
                            1: .text("namespace"), 2: .text("verb"), 3: .text("group"), 4: .text("version"),
                            5: .text("resource"), 6: .text("subresource"), 7: .text("name"),
                        ]),
                    2: .message("nonResourceAttributes", [1: .text("path"), 2: .text("verb")]),
                ]),
        ],
    ]

    private static func message(_ bytes: ArraySlice<UInt8>, _ shape: [Int: Field]) -> JSONValue? {
        guard let parts = fields(bytes) else { return nil }
        var object: JSONValue = [:]
        for part in parts {
            let text = String(decoding: part.bytes, as: UTF8.self)
            switch shape[part.number] {
            case .text(let name): if !text.isEmpty { object[name] = .string(text) }
            case .bool(let name): if part.varint == 1 { object[name] = true }
            case .texts(let name): object[name] = .array((object[name]?.elements ?? []) + [.string(text)])
            case .map(let name), .byteMap(let name):
                guard let entry = fields(part.bytes) else { return nil }
                let value = entry.first { $0.number == 2 }?.bytes ?? []
                let key = String(decoding: entry.first { $0.number == 1 }?.bytes ?? [], as: UTF8.self)
                var map = object[name] ?? [:]
                if case .byteMap = shape[part.number] {
                    map[key] = .string(Data(value).base64EncodedString())
                } else {
                    map[key] = .string(String(decoding: value, as: UTF8.self))
                }
                object[name] = map
            case .message(let name, let inner):
                guard let value = message(part.bytes, inner) else { return nil }
                object[name] = value
            case .messages(let name, let inner):
                guard let value = message(part.bytes, inner) else { return nil }
                object[name] = .array((object[name]?.elements ?? []) + [value])
            case nil: break
            }
        }
        return object
    }

    private struct Part {
        var number: Int
        var varint: UInt64 = 0
        var bytes: ArraySlice<UInt8> = []
    }

    /// The fields of one message; nil if it is malformed.
    private static func fields(_ bytes: ArraySlice<UInt8>) -> [Part]? {
        var rest = bytes
        var parts: [Part] = []
        while !rest.isEmpty {
            guard let tag = varint(&rest), let number = Int(exactly: tag >> 3) else { return nil }
            var part = Part(number: number)
            switch tag & 7 {
            case 0:
                guard let value = varint(&rest) else { return nil }
                part.varint = value
            case 1, 5:
                let count = tag & 7 == 1 ? 8 : 4
                guard rest.count >= count else { return nil }
                rest = rest.dropFirst(count)
            case 2:
                guard let count = varint(&rest), count <= UInt64(rest.count) else { return nil }
                part.bytes = rest.prefix(Int(count))
                rest = rest.dropFirst(Int(count))
            default: return nil
            }
            parts.append(part)
        }
        return parts
    }

    private static func varint(_ rest: inout ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: 0, to: 64, by: 7) {
            guard let byte = rest.popFirst() else { return nil }
            value |= UInt64(byte & 0x7f) << UInt64(shift)
            if byte & 0x80 == 0 { return value }
        }
        return nil
    }
}
