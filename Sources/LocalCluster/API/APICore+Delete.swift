import K8sClient

extension APICore {
    func delete(_ request: APIRequest, _ type: ResourceType, _ path: ResourcePath) throws(StatusError)
        -> APIAnswer
    {
        let (key, object) = try existing(type, path)
        let options = try deleteOptions(request)
        if let answer = try delete(key, object, type, options, isDryRun: try request.isDryRun()) {
            return .json(try shown(answer, request, type))
        }
        var details: JSONValue = [
            "name": .string(key.name), "kind": .string(type.plural),
            "uid": object.at("metadata", "uid") ?? "",
        ]
        if !type.group.isEmpty { details["group"] = .string(type.group) }
        return .json([
            "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success", "details": details,
        ])
    }

    func deleteCollection(
        _ request: APIRequest, _ type: ResourceType, _ path: ResourcePath
    ) throws(StatusError) -> APIAnswer {
        guard type.verbs.contains("deletecollection") else { throw StatusError.methodNotAllowed("DELETE") }
        let options = try deleteOptions(request)
        let selected = try selected(request, type, path)
        for (key, object) in selected {
            _ = try delete(key, object, type, options, isDryRun: try request.isDryRun())
        }
        return .json(listObject(type, selected.map(\.object)))
    }

    private func deleteOptions(_ request: APIRequest) throws(StatusError) -> JSONValue {
        var options: JSONValue = [:]
        if !request.body.isEmpty {
            do { options = try JSONValue(parsing: request.body) } catch {
                throw .badRequest("the delete options are not valid JSON: \(error)")
            }
        }
        if let policy = request.value("propagationPolicy") { options["propagationPolicy"] = .string(policy) }
        if request.value("orphanDependents").map({ $0 == "true" }) ?? (options["orphanDependents"] == true) {
            options["propagationPolicy"] = "Orphan"
        }
        return options
    }

    /// Deletes one object; returns it if something still holds it back, nil if it is gone.
    private func delete(
        _ key: ObjectKey, _ object: JSONValue, _ type: ResourceType, _ options: JSONValue, isDryRun: Bool
    ) throws(StatusError) -> JSONValue? {
        for (field, name) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
            let actual = object.at("metadata", field)?.text ?? ""
            if let wanted = options.at("preconditions", field)?.text, wanted != actual {
                throw StatusError.conflict(
                    type, key.name,
                    "the \(name) in the precondition (\(wanted)) does not match the \(name) in record (\(actual)). "
                        + "The object might have been deleted and then recreated")
            }
        }
        if type.plural == "namespaces", key.name == "default" || key.name.hasPrefix("kube-") {
            throw StatusError.forbidden(type, key.name, "this namespace may not be deleted")
        }
        guard !isDryRun else { return object }
        let uid = object.at("metadata", "uid")?.text ?? ""
        switch options["propagationPolicy"]?.text {
        case "Orphan": try orphan(dependentsOf: uid)
        case "Foreground":
            for (dependent, value, dependentType) in dependents(of: uid) {
                _ = try delete(dependent, value, dependentType, [:], isDryRun: false)
            }
            if dependents(of: uid).contains(where: { isBlocking($0.object, uid) }) {
                try mark(key, adding: "foregroundDeletion")
            }
        default: break
        }
        if hasContents(key, type) { try mark(key, adding: nil) }
        guard let current = store.object(key) else { return nil }
        if !finalizers(current).isEmpty { try mark(key, adding: nil) }
        try finishDeletion(key)
        return store.object(key)
    }

    func finalizers(_ object: JSONValue) -> [JSONValue] {
        object.at("metadata", "finalizers")?.elements ?? []
    }

    /// Says on the object that it is being deleted.
    private func mark(_ key: ObjectKey, adding finalizer: String?) throws(StatusError) {
        guard var object = store.object(key) else { return }
        let before = object
        if object.at("metadata", "deletionTimestamp") == nil {
            object.setMetadata("deletionTimestamp", .string(Clock.seconds(now())))
            object.setMetadata("deletionGracePeriodSeconds", 0)
            if key.resource == "/namespaces" { object["status"] = ["phase": "Terminating"] }
        }
        if let finalizer, !finalizers(object).contains(.string(finalizer)) {
            object.setMetadata("finalizers", .array(finalizers(object) + [.string(finalizer)]))
        }
        if object != before { _ = try save(key, object) }
    }

    /// Whether a namespace or a definition still has objects in it, after trying to delete them.
    private func hasContents(_ key: ObjectKey, _ type: ResourceType) -> Bool {
        let contents = contents(of: key)
        for inner in contents {
            guard let object = store.object(inner), let innerType = registry.type(storedUnder: inner.resource)
            else {
                continue
            }
            _ = try? delete(inner, object, innerType, [:], isDryRun: false)
        }
        return !self.contents(of: key).isEmpty
    }

    private func contents(of key: ObjectKey) -> [ObjectKey] {
        switch key.resource {
        case "/namespaces": store.allKeys.filter { $0.namespace == key.name }.sorted()
        case "apiextensions.k8s.io/customresourcedefinitions":
            {
                let parts = key.name.split(separator: ".", maxSplits: 1).map(String.init)
                return parts.count == 2 ? store.list("\(parts[1])/\(parts[0])").map(\.key) : []
            }()
        default: []
        }
    }

    /// Removes an object that is being deleted once nothing holds it back, and then what it owned.
    ///
    /// `last` is its state after the write that let it go: watchers hear of the deletion, not of that write.
    func finishDeletion(_ key: ObjectKey, last: JSONValue? = nil) throws(StatusError) {
        guard let object = last ?? store.object(key), finalizers(object).isEmpty, contents(of: key).isEmpty
        else {
            return
        }
        try remove(key)
        if key.resource == "apiextensions.k8s.io/customresourcedefinitions" {
            let removed = registry.types.filter { "\($0.plural).\($0.group)" == key.name }
            registry.uninstall(key.name)
            openAPICache = [:]
            for type in removed { endWatches(of: type) }
        }
        try collectGarbage(ownedBy: object.at("metadata", "uid")?.text ?? "")
        try finishOwners(of: object)
        if !key.namespace.isEmpty {
            let namespace = ObjectKey(resource: "/namespaces", namespace: "", name: key.namespace)
            if store.object(namespace)?.at("metadata", "deletionTimestamp") != nil {
                try finishDeletion(namespace)
            }
        }
    }

    // MARK: Owner references

    private func dependents(of uid: String) -> [(key: ObjectKey, object: JSONValue, type: ResourceType)] {
        guard !uid.isEmpty else { return [] }
        return store.allKeys.sorted().compactMap { key in
            guard let object = store.object(key), owners(object).contains(where: { $0["uid"]?.text == uid }),
                let type = registry.type(storedUnder: key.resource)
            else { return nil }
            return (key, object, type)
        }
    }

    private func owners(_ object: JSONValue) -> [JSONValue] {
        object.at("metadata", "ownerReferences")?.elements ?? []
    }

    private func isBlocking(_ object: JSONValue, _ uid: String) -> Bool {
        owners(object).contains { $0["uid"]?.text == uid && $0["blockOwnerDeletion"] == true }
    }

    private func orphan(dependentsOf uid: String) throws(StatusError) {
        for (key, object, _) in dependents(of: uid) { try dropOwners([uid], from: key, object) }
    }

    private func dropOwners(_ uids: Set<String>, from key: ObjectKey, _ object: JSONValue) throws(StatusError)
    {
        var object = object
        let rest = owners(object).filter { !uids.contains($0["uid"]?.text ?? "") }
        object.setMetadata("ownerReferences", rest.isEmpty ? .none : .array(rest))
        _ = try save(key, object)
    }

    private func collectGarbage(ownedBy uid: String) throws(StatusError) {
        let found = dependents(of: uid)
        guard !found.isEmpty else { return }
        let living = livingUIDs
        for (key, object, type) in found {
            let gone = Set(owners(object).compactMap { $0["uid"]?.text }).subtracting(living)
            if gone.count == owners(object).count {
                _ = try delete(key, object, type, [:], isDryRun: false)
            } else {
                try dropOwners(gone, from: key, object)
            }
        }
    }

    /// Finds what lost all its owners at any time, for example while the server was down; runs now and then.
    func sweep() throws(StatusError) {
        let living = livingUIDs
        for key in store.allKeys.sorted() {
            guard let object = store.object(key), !owners(object).isEmpty,
                let type = registry.type(storedUnder: key.resource)
            else { continue }
            if owners(object).allSatisfy({ !living.contains($0["uid"]?.text ?? "") }) {
                _ = try delete(key, object, type, [:], isDryRun: false)
            }
        }
        try dropOldEvents()
    }

    private func dropOldEvents() throws(StatusError) {
        let oldest = now() / 1_000_000 - 3600
        for (key, event) in store.list("/events") {
            let last = event["lastTimestamp"]?.text ?? event.at("metadata", "creationTimestamp")?.text
            if let last = last.flatMap(Clock.parse), last < oldest { try remove(key) }
        }
    }

    private var livingUIDs: Set<String> {
        Set(store.allKeys.compactMap { store.object($0)?.at("metadata", "uid")?.text })
    }

    /// A removed dependent may have been the last one that its owner's foreground deletion waited for.
    private func finishOwners(of object: JSONValue) throws(StatusError) {
        for owner in owners(object) {
            guard let uid = owner["uid"]?.text,
                let key = store.allKeys.first(where: { store.object($0)?.at("metadata", "uid")?.text == uid }
                ),
                var value = store.object(key), finalizers(value).contains("foregroundDeletion"),
                !dependents(of: uid).contains(where: { isBlocking($0.object, uid) })
            else { continue }
            let rest = finalizers(value).filter { $0 != "foregroundDeletion" }
            value.setMetadata("finalizers", rest.isEmpty ? .none : .array(rest))
            if rest.isEmpty { try finishDeletion(key, last: value) }
            if store.object(key) != nil { _ = try save(key, value) }
        }
    }
}
