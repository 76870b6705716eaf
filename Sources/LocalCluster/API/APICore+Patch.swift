import K8sClient

/// The four kinds of patches.
extension APICore {
    func patch(
        _ body: JSONValue, _ request: APIRequest, _ path: ResourcePath, _ context: inout WriteContext
    ) throws(StatusError) -> APIAnswer {
        let type = context.type
        let (key, old) = try existing(type, path)
        let isScale = context.subresource == "scale"
        let base = isScale ? scale(of: old, type) : presented(old, as: type)
        let media = request.contentType
        var new: JSONValue
        if media.hasPrefix("application/json-patch") {
            do {
                new = try JSONPatch.apply(body, to: base)
            } catch {
                throw error.isMalformed
                    ? .badRequest(error.message)
                    : StatusError(
                        422, "Invalid",
                        "the server rejected our request due to an error in our request: \(error.message)")
            }
        } else if media.hasPrefix("application/strategic-merge-patch") {
            guard !type.isCustom || isScale else {
                throw StatusError.unsupportedMediaType(
                    "application/strategic-merge-patch+json",
                    [
                        "application/json-patch+json", "application/merge-patch+json",
                        "application/apply-patch+yaml",
                    ])
            }
            new = StrategicMergePatch.apply(body, to: base, context.shape)
        } else {
            guard body.fields != nil else { throw .badRequest("a merge patch must be an object") }
            new = MergePatch.apply(body, to: base)
        }
        if isScale {
            new = try scaled(old, new, type)
        } else {
            new = try incoming(new, &context)
        }
        return try answered(try update(key, from: old, to: new, context), request, context)
    }

    func apply(
        _ body: JSONValue, _ request: APIRequest, _ path: ResourcePath, _ context: inout WriteContext
    ) throws(StatusError) -> APIAnswer {
        let type = context.type
        let key = ObjectKey(
            resource: type.storageKey, namespace: path.namespace ?? "", name: path.name ?? "")
        let live = store.object(key)
        guard context.subresource.isEmpty || context.subresource == "status" else {
            throw StatusError.methodNotAllowed("PATCH")
        }
        if live == nil {
            guard context.subresource.isEmpty else { throw StatusError.notFound(type, key.name) }
            if let identity = context.identity {
                try authorize(
                    identity,
                    AccessQuestion("create", type.group, type.plural, name: key.name, in: path.namespace),
                    type)
            }
            if let uid = body.at("metadata", "uid")?.text {
                throw StatusError.conflict(
                    type, key.name,
                    "uid mismatch: the provided object specified uid \(uid), and no existing object was found"
                )
            }
        }
        guard body.at("metadata", "managedFields") == nil else {
            throw .badRequest("metadata.managedFields must be nil")
        }
        var wishes = try incoming(body.withoutNulls, &context)
        if context.subresource == "status" {
            wishes = .object((wishes.fields ?? [:]).filter { $0.key != "spec" })
        } else if type.hasStatus {
            wishes["status"] = nil
        }
        let writer = ManagedFields.Entry(
            manager: context.manager, operation: "Apply", apiVersion: type.apiVersion,
            subresource: context.subresource, time: Clock.seconds(now()), fields: FieldSet())
        let result: (object: JSONValue, managed: ManagedFields)
        var managed = ManagedFields(live?.at("metadata", "managedFields"))
        if let live { managed.claimUnowned(live, writer, context.shape) }
        do {
            result = try ServerSideApply.apply(
                wishes, to: live, managed: managed, by: writer,
                force: request.isTrue("force"), context.shape)
        } catch {
            throw error.status
        }
        if let live {
            let made = try update(key, from: live, to: result.object, context, owners: result.managed)
            return try answered(made, request, context)
        }
        var object = result.object
        object.setMetadata("managedFields", result.managed.json)
        context.shouldRecordOwners = false
        return try answered(try create(object, context), request, context, code: 201)
    }
}
