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
        faults += MetadataRules.faults(in: object, old: old, type)
        guard faults.isEmpty else { throw StatusError.invalid(type, name, faults) }
        try confirmNoEscalation(object, old: old, context)
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

    /// Follows up on a stored object: a definition begins to be served, a namespace gets its account.
    func objectWasWritten(_ object: JSONValue, _ type: ResourceType) throws(StatusError) {
        let name = object.at("metadata", "name")?.text ?? ""
        switch type.storageKey {
        case "apiextensions.k8s.io/customresourcedefinitions":
            serve(name, try CustomTypes.types(of: object))
            openAPICache = [:]
        case "/namespaces": try giveAccount(to: name)
        default: break
        }
    }

    /// Serves the types of a definition; what is stored already gets the defaults that it brings.
    func serve(_ name: String, _ types: [ResourceType]) {
        registry.install(name, types)
        for type in types {
            guard let schema = type.schema else { continue }
            store.reshape(type.storageKey) { schema.addingDefaults(to: $0) }
        }
    }

    /// The account that pods of a namespace have if they name none.
    func giveAccount(to namespace: String) throws(StatusError) {
        let type = registry.builtin("serviceaccounts")
        let key = ObjectKey(resource: type.storageKey, namespace: namespace, name: "default")
        let owner = ObjectKey(resource: "/namespaces", namespace: "", name: namespace)
        guard store.object(key) == nil, store.object(owner)?.at("metadata", "deletionTimestamp") == nil else {
            return
        }
        var context = WriteContext(
            type: type, namespace: namespace, name: "default", manager: "fathom-apiserver")
        context.shouldRecordOwners = false
        _ = try create(
            [
                "apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": ["name": "default", "namespace": .string(namespace)],
            ], context)
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
