import K8sClient

/// What surrounds a write: what it is about, who does it and how strictly.
struct WriteContext {
    var type: ResourceType
    var namespace: String?
    var name: String?
    var subresource: String = ""
    var manager: String
    var fieldValidation = "Warn"
    var isDryRun = false
    var shouldRecordOwners = true
    /// Nil for what the server itself writes.
    var identity: Identity?
    var warnings: [String] = []

    var shape: MergeShape { MergeShape.of(type) }
}

extension APICore {
    /// Create, update and patch, of objects and of their subresources.
    func write(
        _ request: APIRequest, _ verb: String, _ type: ResourceType, _ path: ResourcePath,
        _ identity: Identity
    ) throws(StatusError) -> APIAnswer {
        if let subresource = path.subresource {
            guard
                (subresource == "status" && type.hasStatus) || (subresource == "scale" && type.scale != nil)
                    || (subresource == "finalize" && type.plural == "namespaces")
            else { throw StatusError.unknownPath }
        }
        let agent = String(request.userAgent.prefix { $0 != "/" })
        var context = WriteContext(
            type: type, namespace: path.namespace, name: path.name, subresource: path.subresource ?? "",
            manager: request.value("fieldManager") ?? (agent.isEmpty ? "unknown" : agent))
        context.fieldValidation = request.value("fieldValidation") ?? "Warn"
        context.isDryRun = try request.isDryRun()
        context.identity = identity
        let isApply = verb == "patch" && request.contentType.hasPrefix("application/apply-patch")
        guard context.manager.utf8.count <= 128 else {
            throw .badRequest("fieldManager: Too long: may not be more than 128 bytes")
        }
        if isApply, request.value("fieldManager") == nil {
            throw .badRequest(
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
            )
        }
        guard type.isNamespaced == (path.namespace != nil) else {
            throw type.isNamespaced ? StatusError.badRequest("the request names no namespace") : .unknownPath
        }
        let body = try decode(request, isPatch: verb == "patch")
        switch verb {
        case "create":
            let made = try create(try incoming(body, &context), context)
            return .json(try shown(made, request, type), code: 201, warnings: context.warnings)
        case "update":
            let (key, old) = try existing(type, path)
            let new = try path.subresource == "scale" ? scaled(old, body, type) : incoming(body, &context)
            if type.isCustom, path.subresource == nil, new.at("metadata", "resourceVersion")?.text == nil {
                throw StatusError.invalid(
                    type, key.name,
                    [
                        FieldFault(
                            field: "metadata.resourceVersion", reason: "FieldValueInvalid", value: "0",
                            detail: "must be specified for an update")
                    ])
            }
            let made = try update(key, from: old, to: new, context)
            return try answered(made, request, context)
        default:
            return isApply
                ? try apply(body, request, path, &context) : try patch(body, request, path, &context)
        }
    }

    func answered(
        _ object: JSONValue, _ request: APIRequest, _ context: WriteContext, code: Int = 200
    ) throws(StatusError) -> APIAnswer {
        let answer =
            context.subresource == "scale"
            ? scale(of: object, context.type) : try shown(object, request, context.type)
        return .json(answer, code: code, warnings: context.warnings)
    }

    // MARK: Bodies

    private func decode(_ request: APIRequest, isPatch: Bool) throws(StatusError) -> JSONValue {
        let media = request.contentType.prefix { $0 != ";" }.lowercased()
        if !isPatch, media == ProtobufBody.mediaType, let object = ProtobufBody.decode(request.body) {
            return object
        }
        let accepted =
            isPatch
            ? [
                "application/json-patch+json", "application/merge-patch+json",
                "application/strategic-merge-patch+json", "application/apply-patch+yaml",
            ] : ["application/json", "application/yaml"]
        guard accepted.contains(media) || (!isPatch && media.isEmpty) else {
            throw StatusError.unsupportedMediaType(media, accepted)
        }
        do {
            return try media.hasSuffix("yaml")
                ? JSONValue(yaml: request.body) : JSONValue(parsing: request.body)
        } catch {
            throw .badRequest("the object provided is unrecognized (must be of type JSON or YAML): \(error)")
        }
    }

    /// Checks that a body is of the kind that the path names, and brings it into the stored form.
    func incoming(_ body: JSONValue, _ context: inout WriteContext) throws(StatusError) -> JSONValue {
        let type = context.type
        guard body.fields != nil else { throw .badRequest("the body must be an object") }
        var body = body
        // Of a builtin object the path says enough.
        if !type.isCustom, body["kind"] == nil, body["apiVersion"] == nil {
            body["kind"] = .string(type.kind)
            body["apiVersion"] = .string(type.apiVersion)
        }
        guard let kind = body["kind"]?.text, !kind.isEmpty else {
            throw .badRequest("Object 'Kind' is missing in '\(body.jsonText.prefix(200))'")
        }
        guard kind == type.kind, body["apiVersion"]?.text == type.apiVersion else {
            throw .badRequest(
                "the API version in the data (\(body["apiVersion"]?.text ?? ""), Kind=\(kind)) does not match the expected "
                    + "API version (\(type.apiVersion), Kind=\(type.kind))")
        }
        var object = body
        if let meta = object["metadata"], meta.fields == nil {
            throw .badRequest("metadata must be an object")
        }
        let sent = object.at("metadata", "namespace")?.text ?? ""
        if let namespace = context.namespace {
            guard sent.isEmpty || sent == namespace else {
                throw .badRequest(
                    "the namespace of the provided object does not match the namespace sent on the request")
            }
            object.setMetadata("namespace", .string(namespace))
        } else {
            object.setMetadata("namespace", nil)
        }
        if let name = context.name {
            let sentName = object.at("metadata", "name")?.text ?? ""
            guard sentName.isEmpty || sentName == name else {
                throw .badRequest(
                    "the name of the object (\(sentName)) does not match the name on the URL (\(name))")
            }
            object.setMetadata("name", .string(name))
        }
        return try checkedForUnknownFields(object, &context)
    }

    private func checkedForUnknownFields(
        _ object: JSONValue, _ context: inout WriteContext
    ) throws(StatusError) -> JSONValue {
        var unknown: [String] = []
        var result = object
        if let schema = context.type.schema {
            result = schema.pruning(object, path: "", isRoot: true, unknown: &unknown)
        } else if !context.type.topFields.isEmpty {
            unknown = (object.fields ?? [:]).keys.filter { !context.type.topFields.contains($0) }.sorted()
            for name in unknown { result[name] = nil }
        }
        guard !unknown.isEmpty, context.fieldValidation != "Ignore" else { return result }
        let texts = unknown.map { "unknown field \"\($0)\"" }
        guard context.fieldValidation != "Strict" else {
            let name = object.at("metadata", "name")?.text ?? ""
            throw .badRequest(
                "\(context.type.kind) in version \"\(context.type.version)\" cannot be handled as a \(context.type.kind): "
                    + "strict decoding error: \(texts.joined(separator: ", "))"
                    + (name.isEmpty ? "" : " (\(name))"))
        }
        context.warnings += texts
        return result
    }

    // MARK: Create and update

    /// Creates an object that has passed `incoming`.
    func create(_ object: JSONValue, _ context: WriteContext) throws(StatusError) -> JSONValue {
        let type = context.type
        var object = type.storedAs != nil ? EventConversion.toCore(object) : object
        if object.at("metadata", "resourceVersion")?.text.map({ !$0.isEmpty }) ?? false {
            throw .badRequest("resourceVersion should not be set on objects to be created")
        }
        let prefix = object.at("metadata", "generateName")?.text ?? ""
        var name = object.at("metadata", "name")?.text ?? ""
        if name.isEmpty, !prefix.isEmpty {
            name = prefix + newUID().replacing("-", with: "").suffix(5)
            object.setMetadata("name", .string(name))
        }
        let key = ObjectKey(resource: type.storageKey, namespace: context.namespace ?? "", name: name)
        if let namespace = context.namespace { try requireNamespace(namespace, for: type, name) }
        guard store.object(key) == nil else { throw StatusError.alreadyExists(type, name) }
        if type.hasStatus { object["status"] = nil }
        for field in ["selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion"] {
            object.setMetadata(field, nil)
        }
        object.setMetadata("uid", .string(newUID()))
        object.setMetadata("creationTimestamp", .string(Clock.seconds(now())))
        object.setMetadata("generation", type.countsGenerations ? 1 : .none)
        object = try admitted(object, old: nil, context)
        record(&object, old: nil, context)
        guard !context.isDryRun else { return object }
        let saved = try save(key, object)
        try objectWasWritten(saved, type)
        return saved
    }

    private func requireNamespace(_ name: String, for type: ResourceType, _ object: String)
        throws(StatusError)
    {
        let namespaces = registry.builtin("namespaces")
        let key = ObjectKey(resource: namespaces.storageKey, namespace: "", name: name)
        guard let namespace = store.object(key) else { throw StatusError.notFound(namespaces, name) }
        if namespace.at("metadata", "deletionTimestamp") != nil {
            throw StatusError.forbidden(
                type, object,
                "unable to create new content in namespace \(name) because it is being terminated")
        }
    }

    /// Replaces an object, or only the part of it that the subresource stands for.
    func update(
        _ key: ObjectKey, from old: JSONValue, to wish: JSONValue, _ context: WriteContext,
        owners: ManagedFields? = nil
    ) throws(StatusError) -> JSONValue {
        let type = context.type
        let wish = type.storedAs != nil ? EventConversion.toCore(wish) : wish
        if let version = wish.at("metadata", "resourceVersion")?.text, !version.isEmpty,
            version != old.at("metadata", "resourceVersion")?.text
        {
            throw StatusError.conflict(type, key.name, StatusError.modified)
        }
        if let uid = wish.at("metadata", "uid")?.text, uid != old.at("metadata", "uid")?.text {
            throw StatusError.conflict(
                type, key.name,
                "Precondition failed: UID in precondition: \(uid), UID in object meta: \(old.at("metadata", "uid")?.text ?? "")"
            )
        }
        var new = wish
        if context.subresource == "status" {
            new = old
            new["status"] = wish["status"]
            new.setMetadata("managedFields", wish.at("metadata", "managedFields"))
        } else if type.hasStatus {
            new["status"] = old["status"]
        }
        for field in [
            "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation",
            "selfLink", "resourceVersion", "name", "namespace", "generateName",
        ] { new.setMetadata(field, old.at("metadata", field)) }
        new = try admitted(new, old: old, context)
        if type.countsGenerations, context.subresource != "status",
            !isSameBesidesMetadataAndStatus(old, new, type)
        {
            new.setMetadata("generation", .from((old.at("metadata", "generation")?.whole ?? 0) + 1))
        }
        if let owners {
            new.setMetadata("managedFields", owners.json)
        } else {
            record(&new, old: old, context)
        }
        guard new != old, !context.isDryRun else { return new }
        if new.at("metadata", "deletionTimestamp") != nil, finalizers(new).isEmpty {
            try finishDeletion(key, last: new)
            if store.object(key) == nil { return new }
        }
        let saved = try save(key, new)
        try objectWasWritten(saved, type)
        return saved
    }

    private func isSameBesidesMetadataAndStatus(_ a: JSONValue, _ b: JSONValue, _ type: ResourceType) -> Bool
    {
        func content(_ object: JSONValue) -> [String: JSONValue] {
            (object.fields ?? [:]).filter {
                !["metadata", "apiVersion"].contains($0.key) && !($0.key == "status" && type.hasStatus)
            }
        }
        return content(a) == content(b)
    }

    /// Brings `managedFields` up to date after a write that was not an apply.
    private func record(_ object: inout JSONValue, old: JSONValue?, _ context: WriteContext) {
        guard context.shouldRecordOwners else { return }
        let sent = ManagedFields(object.at("metadata", "managedFields"))
        var owners = sent.entries.isEmpty ? ManagedFields(old?.at("metadata", "managedFields")) : sent
        // A list with one empty entry is the documented way of forgetting all owners.
        if let list = object.at("metadata", "managedFields")?.elements, list == [.object([:])] {
            owners = ManagedFields(nil)
        }
        let writer = ManagedFields.Entry(
            manager: context.manager, operation: "Update", apiVersion: context.type.apiVersion,
            subresource: context.subresource, time: Clock.seconds(now()), fields: FieldSet())
        owners.recordUpdate(writer, from: old, to: object, context.shape)
        object.setMetadata("managedFields", owners.entries.isEmpty ? .none : owners.json)
    }
}
