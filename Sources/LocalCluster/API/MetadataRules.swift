import K8sClient

/// What Kubernetes demands of the parts of an object that hold it back, own it or must not change.
enum MetadataRules {
    static func faults(in object: JSONValue, old: JSONValue?, _ type: ResourceType) -> [FieldFault] {
        finalizerFaults(object, old) + ownerFaults(object) + immutableFaults(object, old, type)
    }

    private static func finalizerFaults(_ object: JSONValue, _ old: JSONValue?) -> [FieldFault] {
        let finalizers = object.at("metadata", "finalizers")?.elements ?? []
        var faults: [FieldFault] = []
        let own = ["foregroundDeletion", "orphan", "kubernetes"]
        for finalizer in finalizers {
            let name = finalizer.text ?? ""
            if own.contains(name) || (name.contains("/") && NameRules.isQualified(name)) { continue }
            faults.append(
                FieldFault(
                    field: "metadata.finalizers", reason: "FieldValueInvalid", value: finalizer.jsonText,
                    detail: "name is neither a standard finalizer name nor is it fully qualified"))
        }
        guard let old, old.at("metadata", "deletionTimestamp") != nil else { return faults }
        let before = old.at("metadata", "finalizers")?.elements ?? []
        let added = finalizers.filter { !before.contains($0) }
        if !added.isEmpty {
            faults.append(
                FieldFault(
                    field: "metadata.finalizers", reason: "FieldValueForbidden",
                    detail:
                        "no new finalizers can be added if the object is being deleted, found new finalizers "
                        + JSONValue.array(added).jsonText))
        }
        return faults
    }

    private static func ownerFaults(_ object: JSONValue) -> [FieldFault] {
        let owners = object.at("metadata", "ownerReferences")?.elements ?? []
        var faults: [FieldFault] = []
        for owner in owners {
            for field in ["apiVersion", "kind", "name", "uid"] where owner[field]?.text?.isEmpty ?? true {
                faults.append(
                    FieldFault(
                        field: "metadata.ownerReferences.\(field)", reason: "FieldValueInvalid",
                        value: "\"\"",
                        detail: "\(field) must not be empty"))
            }
        }
        let controllers = owners.filter { $0["controller"] == true }
        if controllers.count > 1 {
            faults.append(
                FieldFault(
                    field: "metadata.ownerReferences", reason: "FieldValueInvalid",
                    value: JSONValue.array(owners).jsonText,
                    detail:
                        "Only one reference can have Controller set to true. Found \"true\" in references for "
                        + controllers.prefix(2).compactMap { owner in
                            owner["kind"]?.text.map { "\($0)/\(owner["name"]?.text ?? "")" }
                        }.joined(separator: " and ")))
        }
        return faults
    }

    private static func immutableFaults(_ object: JSONValue, _ old: JSONValue?, _ type: ResourceType)
        -> [FieldFault]
    {
        guard let old else { return [] }
        var faults: [FieldFault] = []
        func forbid(_ field: String, _ detail: String) {
            faults.append(FieldFault(field: field, reason: "FieldValueForbidden", detail: detail))
        }
        switch type.plural {
        case "configmaps", "secrets":
            guard old["immutable"] == true else { break }
            if object["immutable"] != true {
                forbid("immutable", "field is immutable when `immutable` is set")
            }
            for field in ["data", "binaryData"] where object[field] ?? [:] != old[field] ?? [:] {
                forbid(field, "field is immutable when `immutable` is set")
            }
        case "rolebindings", "clusterrolebindings":
            guard object["roleRef"] != old["roleRef"] else { break }
            faults.append(
                FieldFault(
                    field: "roleRef", reason: "FieldValueInvalid",
                    value: object["roleRef"]?.jsonText ?? "null",
                    detail: "cannot change roleRef"))
        default: break
        }
        return faults
    }
}
