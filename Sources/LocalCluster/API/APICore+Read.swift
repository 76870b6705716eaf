import K8sClient

extension APICore {
    func get(_ request: APIRequest, _ type: ResourceType, _ path: ResourcePath) throws(StatusError)
        -> APIAnswer
    {
        let (_, object) = try existing(type, path)
        switch path.subresource {
        case "scale" where type.scale != nil: return .json(scale(of: object, type))
        case nil,
            "status" where type.hasStatus:
            return .json(try shown(object, request, type))
        case "log" where type.plural == "pods":
            throw .badRequest("the logs of local pods are files in the data directory's logs folder")
        default: throw StatusError.unknownPath
        }
    }

    func list(_ request: APIRequest, _ type: ResourceType, _ path: ResourcePath) throws(StatusError)
        -> APIAnswer
    {
        let page = try PageToken(request, type)
        try checkVersion(request)
        let revision = page?.revision ?? store.revision
        let selection = try selection(request, type)
        var found = try objects(of: type, in: path.namespace, at: revision).filter {
            selection.matches($0.object)
        }
        var metadata: JSONValue = ["resourceVersion": .string(String(revision))]
        if let page { found.removeAll { $0.key <= page.last } }
        if let limit = request.value("limit").flatMap(Int.init), limit > 0, found.count > limit,
            let last = found.dropFirst(limit - 1).first
        {
            metadata["remainingItemCount"] = .from(found.count - limit)
            metadata["continue"] = .string(PageToken(revision: revision, last: last.key).text)
            found = Array(found.prefix(limit))
        }
        if let wish = TableWish(request) {
            let objects = found.map { presented($0.object, as: type) }
            return .json(table(type, objects, metadata, wish))
        }
        var answer = listObject(type, found.map(\.object))
        answer["metadata"] = metadata
        return .json(answer)
    }

    /// The objects as they were at a revision: today's, less what has happened since.
    private func objects(
        of type: ResourceType, in namespace: String?, at revision: Int64
    ) throws(StatusError) -> [(key: ObjectKey, object: JSONValue)] {
        let current = store.list(type.storageKey, namespace: namespace)
        guard revision < store.revision else { return current }
        let changes: [Change]?
        do { changes = try store.changes(of: type.storageKey, after: revision) } catch {
            throw StatusError.internalError("the history could not be read: \(error)")
        }
        guard let changes else {
            throw StatusError(
                410, "Expired",
                "The provided continue parameter is too old to display a consistent list result. "
                    + "You can start a new list without the continue parameter.")
        }
        guard !changes.isEmpty else { return current }
        var then: [ObjectKey: JSONValue] = [:]
        for (key, object) in current { then[key] = object }
        for change in changes.reversed() where namespace == nil || namespace == change.key.namespace {
            then[change.key] = change.kind == .added ? .none : change.previous
        }
        return then.map { (key: $0.key, object: $0.value) }.sorted { $0.key < $1.key }
    }

    /// A list at least as new as the sender knows: one from the future is of another database.
    private func checkVersion(_ request: APIRequest) throws(StatusError) {
        guard let asked = request.value("resourceVersion"), !asked.isEmpty else { return }
        guard let version = Int64(asked), version >= 0 else {
            throw .badRequest("resourceVersion: Invalid value: \"\(asked)\": must be a number")
        }
        guard version <= store.revision else {
            throw StatusError(
                504, "Timeout", "Too large resource version: \(version), current: \(store.revision)")
        }
    }

    func listObject(_ type: ResourceType, _ objects: [JSONValue]) -> JSONValue {
        [
            "kind": .string(type.listKind), "apiVersion": .string(type.apiVersion),
            "metadata": ["resourceVersion": .string(String(store.revision))],
            "items": .array(objects.map { presented($0, as: type) }),
        ]
    }

    func selected(
        _ request: APIRequest, _ type: ResourceType, _ path: ResourcePath
    ) throws(StatusError) -> [(key: ObjectKey, object: JSONValue)] {
        let selection = try selection(request, type)
        return store.list(type.storageKey, namespace: path.namespace).filter { selection.matches($0.object) }
    }

    func selection(_ request: APIRequest, _ type: ResourceType) throws(StatusError) -> Selection {
        try Selection(
            labelSelector: request.value("labelSelector"), fieldSelector: request.value("fieldSelector"),
            for: type)
    }

    /// An object as the request wants it: whole or as a table of one row.
    func shown(_ object: JSONValue, _ request: APIRequest, _ type: ResourceType) throws(StatusError)
        -> JSONValue
    {
        let object = presented(object, as: type)
        guard let wish = TableWish(request) else { return object }
        let version = object.at("metadata", "resourceVersion") ?? ""
        return table(type, [object], ["resourceVersion": version], wish)
    }

    func table(_ type: ResourceType, _ objects: [JSONValue], _ metadata: JSONValue, _ wish: TableWish)
        -> JSONValue
    {
        let time = now()
        let columns = type.columns.isEmpty ? [BuiltinTypes.name, BuiltinTypes.created] : type.columns
        let rows = objects.map { object -> JSONValue in
            var row: JSONValue = ["cells": .array(columns.map { $0.value(object, time) })]
            switch wish.include {
            case .none: break
            case .object: row["object"] = object
            case .metadata:
                row["object"] = [
                    "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                    "metadata": object["metadata"] ?? [:],
                ]
            }
            return row
        }
        return [
            "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            "columnDefinitions": .array(
                columns.map {
                    [
                        "name": .string($0.name), "type": .string($0.type), "format": .string($0.format),
                        "description": .string($0.description), "priority": .from($0.priority),
                    ]
                }),
            "rows": .array(rows),
        ]
    }

    // MARK: Scale

    func scale(of object: JSONValue, _ type: ResourceType) -> JSONValue {
        guard let paths = type.scale else { return .null }
        var metadata: JSONValue = [:]
        for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
            if let value = object.at("metadata", field) { metadata[field] = value }
        }
        var status: JSONValue = ["replicas": object.at(paths.statusReplicas) ?? 0]
        if let selector = paths.labelSelector.flatMap({ object.at($0) }) { status["selector"] = selector }
        return [
            "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
            "spec": ["replicas": object.at(paths.specReplicas) ?? 0], "status": status,
        ]
    }

    /// The object with the replicas that a Scale asks for.
    func scaled(_ object: JSONValue, _ scale: JSONValue, _ type: ResourceType) throws(StatusError)
        -> JSONValue
    {
        let name = object.at("metadata", "name")?.text ?? ""
        guard let paths = type.scale, let replicas = scale.at("spec", "replicas")?.whole else {
            throw .badRequest("a Scale needs spec.replicas as a number")
        }
        guard replicas >= 0 else {
            throw StatusError.invalid(
                type, name,
                [
                    FieldFault(
                        field: "spec.replicas", reason: "FieldValueInvalid", value: String(replicas),
                        detail: "must be greater than or equal to 0")
                ])
        }
        var result = object
        result.set(paths.specReplicas, to: .from(replicas))
        if let version = scale.at("metadata", "resourceVersion")?.text, !version.isEmpty {
            result.setMetadata("resourceVersion", .string(version))
        }
        return result
    }
}

/// Where the next page of a list begins, and of which revision the pages are.
struct PageToken: Equatable {
    var revision: Int64
    var last: ObjectKey

    init(revision: Int64, last: ObjectKey) {
        self.revision = revision
        self.last = last
    }

    /// What a request brings along; nil for a first page.
    init?(_ request: APIRequest, _ type: ResourceType) throws(StatusError) {
        guard let token = request.value("continue"), !token.isEmpty else { return nil }
        let parts = token.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, let revision = Int64(parts[0]) else {
            throw .badRequest("continue key is not valid: \(token)")
        }
        self.revision = revision
        last = ObjectKey(resource: type.storageKey, namespace: parts[1], name: parts[2])
    }

    var text: String { "\(revision)|\(last.namespace)|\(last.name)" }
}

extension TableWish {
    /// Reads the Accept header; nil if objects are wanted (or another version of the table).
    init?(_ request: APIRequest) {
        let first = request.accept.split(separator: ",").first { $0.contains("json") } ?? ""
        let words = first.split(separator: ";").map { $0.filter { $0 != " " } }
        guard words.contains("as=Table"), words.contains("g=meta.k8s.io"), words.contains("v=v1") else {
            return nil
        }
        switch request.value("includeObject") {
        case "None": include = .none
        case "Object": include = .object
        default: include = .metadata
        }
    }
}
