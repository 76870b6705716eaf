import K8sClient
import FoundationEssentials

extension APICore {
    /// Fills in defaults and checks everything about an object that is about to be stored.
    func admitted(_ object: JSONValue, old: JSONValue?, _ context: WriteContext) throws(StatusError)
        -> JSONValue
    {
        let type = context.type
        let name = object.at("metadata", "name")?.text ?? ""
        var object = object
        var faults = NameRules.faults(in: object["metadata"] ?? [:], type)
        if let schema = type.schema {
            object = schema.addingDefaults(to: object)
            faults += schema.faults(in: object, old: old, path: "")
        } else {
            object = try BuiltinDefaults.applied(to: object, old: old, type)
        }
        if type.plural == "customresourcedefinitions", faults.isEmpty {
            object = try establish(object)
        }
        guard faults.isEmpty else { throw StatusError.invalid(type, name, faults) }
        return object
    }

    /// A definition that can be served is established at once; one that cannot is refused.
    private func establish(_ definition: JSONValue) throws(StatusError) -> JSONValue {
        let types = try CustomTypes.types(of: definition)
        var result = definition
        if definition.at("spec", "names", "singular") == nil, let kind = types.first?.singular {
            result["spec"]?["names"]?["singular"] = .string(kind)
        }
        if definition.at("spec", "names", "listKind") == nil, let kind = types.first?.listKind {
            result["spec"]?["names"]?["listKind"] = .string(kind)
        }
        if definition.at("spec", "conversion") == nil { result["spec"]?["conversion"] = ["strategy": "None"] }
        let since =
            definition.at("status", "conditions")?.elements?.first?["lastTransitionTime"]
            ?? .string(Clock.seconds(now()))
        func condition(_ type: String, _ reason: String, _ message: String) -> JSONValue {
            [
                "type": .string(type), "status": "True", "reason": .string(reason),
                "message": .string(message), "lastTransitionTime": since,
            ]
        }
        let stored = (definition.at("spec", "versions")?.elements ?? []).filter { $0["storage"] == true }
        result["status"] = [
            "acceptedNames": result.at("spec", "names") ?? [:],
            "conditions": [
                condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            ],
            "storedVersions": .array(stored.compactMap { $0["name"] }),
        ]
        return result
    }

    /// Follows up on a stored object: a definition begins to be served.
    func objectWasWritten(_ object: JSONValue, _ type: ResourceType) throws(StatusError) {
        guard type.plural == "customresourcedefinitions" else { return }
        registry.install(
            object.at("metadata", "name")?.text ?? "", try CustomTypes.types(of: object))
        openAPICache = [:]
    }
}

/// What Kubernetes allows in names and labels.
enum NameRules {
    static func faults(in metadata: JSONValue, _ type: ResourceType) -> [FieldFault] {
        var faults: [FieldFault] = []
        let name = metadata["name"]?.text ?? ""
        if name.isEmpty {
            return [
                FieldFault(
                    field: "metadata.name", reason: "FieldValueRequired",
                    detail: "name or generateName is required")
            ]
        }
        let shown = JSONValue.string(name).jsonText
        func invalid(_ detail: String) {
            faults.append(
                FieldFault(field: "metadata.name", reason: "FieldValueInvalid", value: shown, detail: detail))
        }
        switch type.nameRule {
        case .subdomain where !isSubdomain(name):
            invalid(
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
                    + "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
                    + "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')")
        case .label where !isLabel(name):
            invalid(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
                    + "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
                    + "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')")
        case .pathSegment where name == "." || name == ".." || name.contains { "/%".contains($0) }:
            invalid("may not be '.' or '..' or contain '/' or '%'")
        default: break
        }
        for (key, value) in metadata["labels"]?.fields ?? [:] {
            if !isQualified(key) || !isLabelValue(value.text ?? " ") {
                faults.append(
                    FieldFault(
                        field: "metadata.labels", reason: "FieldValueInvalid",
                        value: JSONValue.string(isQualified(key) ? value.text ?? value.jsonText : key)
                            .jsonText,
                        detail:
                            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
                            + "'.', and must start and end with an alphanumeric character"))
            }
        }
        for (key, value) in metadata["annotations"]?.fields ?? [:]
        where value.text == nil || !isQualified(key.lowercased()) {
            faults.append(
                FieldFault(
                    field: "metadata.annotations", reason: "FieldValueInvalid",
                    value: JSONValue.string(key).jsonText,
                    detail: "must be a qualified name with a string value"))
        }
        return faults
    }

    static func isLabel(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 63
            && text.utf8.allSatisfy { isLowerAlphanumeric($0) || $0 == UInt8(ascii: "-") }
            && text.utf8.first.map(isLowerAlphanumeric) ?? false
            && text.utf8.last.map(isLowerAlphanumeric) ?? false
    }

    static func isSubdomain(_ text: String) -> Bool {
        text.utf8.count <= 253
            && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { part in
                !part.isEmpty && part.utf8.allSatisfy { isLowerAlphanumeric($0) || $0 == UInt8(ascii: "-") }
                    && part.utf8.first.map(isLowerAlphanumeric) ?? false
                    && part.utf8.last.map(isLowerAlphanumeric) ?? false
            }
    }

    static func isQualified(_ key: String) -> Bool {
        let parts = key.split(separator: "/", omittingEmptySubsequences: false)
        guard let last = parts.last, parts.count <= 2, !last.isEmpty else { return false }
        return isLabelValue(String(last)) && (parts.count == 1 || isSubdomain(String(parts[0])))
    }

    static func isLabelValue(_ text: String) -> Bool {
        func isAlphanumeric(_ byte: UInt8) -> Bool { isLowerAlphanumeric(byte | 0x20) && byte != 0x10 }
        guard let first = text.utf8.first, let last = text.utf8.last else { return true }
        return text.utf8.count <= 63 && isAlphanumeric(first) && isAlphanumeric(last)
            && text.utf8.allSatisfy { isAlphanumeric($0) || "-_.".utf8.contains($0) }
    }

    private static func isLowerAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x7a).contains(byte)
    }
}

/// The few defaults and checks of builtin kinds that clients here rely on.
enum BuiltinDefaults {
    static func applied(to object: JSONValue, old: JSONValue?, _ type: ResourceType) throws(StatusError)
        -> JSONValue
    {
        var object = object
        switch type.plural {
        case "namespaces":
            if object["spec"] == nil { object["spec"] = ["finalizers": ["kubernetes"]] }
            if object.at("status", "phase") == nil { object["status"] = ["phase": "Active"] }
            let name = object.at("metadata", "name") ?? ""
            if object.at("metadata", "labels") == nil { object.setMetadata("labels", [:]) }
            object["metadata"]?["labels"]?["kubernetes.io/metadata.name"] = name
        case "secrets": try fillSecret(&object, old, type)
        case "configmaps": try checkTexts(object, "data", type)
        case "services":
            if object["spec"] == nil { object["spec"] = [:] }
            if object.at("spec", "type") == nil { object["spec"]?["type"] = "ClusterIP" }
            if object.at("spec", "sessionAffinity") == nil { object["spec"]?["sessionAffinity"] = "None" }
            if object.at("spec", "clusterIP") == nil { object["spec"]?["clusterIP"] = "None" }
            if object["status"] == nil { object["status"] = ["loadBalancer": [:]] }
        case "pods":
            if object.at("spec", "containers")?.elements?.isEmpty ?? true {
                throw StatusError.invalid(
                    type, object.at("metadata", "name")?.text ?? "",
                    [FieldFault(field: "spec.containers", reason: "FieldValueRequired")])
            }
            if object.at("spec", "restartPolicy") == nil { object["spec"]?["restartPolicy"] = "Always" }
            if object.at("status", "phase") == nil {
                var status = object["status"] ?? [:]
                status["phase"] = "Pending"
                object["status"] = status
            }
        default: break
        }
        return object
    }

    private static func fillSecret(
        _ object: inout JSONValue, _ old: JSONValue?, _ type: ResourceType
    ) throws(StatusError) {
        let name = object.at("metadata", "name")?.text ?? ""
        for (key, text) in object["stringData"]?.fields ?? [:] {
            if object["data"] == nil { object["data"] = [:] }
            object["data"]?[key] = .string(Data(Array((text.text ?? "").utf8)).base64EncodedString())
        }
        object["stringData"] = nil
        for (key, value) in object["data"]?.fields ?? [:]
        where value.text.flatMap({ Data(base64Encoded: $0) }) == nil {
            throw .badRequest(
                "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data in data.\(key)")
        }
        if object["type"] == nil { object["type"] = "Opaque" }
        if let old, old["type"] != object["type"] {
            throw StatusError.invalid(
                type, name,
                [
                    FieldFault(
                        field: "type", reason: "FieldValueInvalid", value: object["type"]?.jsonText ?? "",
                        detail: "field is immutable")
                ])
        }
    }

    private static func checkTexts(_ object: JSONValue, _ field: String, _ type: ResourceType)
        throws(StatusError)
    {
        for (key, value) in object[field]?.fields ?? [:] where value.text == nil {
            throw .badRequest(
                "\(type.kind) in version \"v1\" cannot be handled as a \(type.kind): json: cannot unmarshal "
                    + "\(value.schemaType) into Go struct field .\(field).\(key) of type string")
        }
    }
}
