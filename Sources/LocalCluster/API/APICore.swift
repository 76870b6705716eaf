import K8sClient
import Transport

/// The embedded Kubernetes API without its network: requests in, answers and watch lines out.
///
/// Not thread-safe by itself; the server keeps it behind a lock, so that every request sees one state of the world
/// and watchers hear of changes in the order in which they were made.
final class APICore {
    let store: ObjectStore
    let now: () -> Int64
    let newUID: () -> String
    let users: [String: APIRole]
    let tokens: ServiceAccountTokens
    var registry = TypeRegistry()
    var watchers: [Int: Watcher] = [:]
    private var nextWatcher = 1
    let metrics: APIMetrics
    var openAPICache: [String: [UInt8]] = [:]

    init(
        store: ObjectStore, users: [String: APIRole], metrics: APIMetrics = APIMetrics(),
        now: @escaping () -> Int64 = Clock.now, newUID: @escaping () -> String
    ) throws(StatusError) {
        self.metrics = metrics
        self.store = store
        self.users = users
        // Derived from the admin's token: as secret as that one, and as lasting.
        let secret = users.first { $0.value == .admin }?.key ?? newUID()
        tokens = ServiceAccountTokens(
            key: Digest.hmacSHA256(key: Array(secret.utf8), Array("service account tokens".utf8)))
        self.now = now
        self.newUID = newUID
        for (_, definition) in store.list("apiextensions.k8s.io/customresourcedefinitions") {
            let name = definition.at("metadata", "name")?.text ?? ""
            serve(name, try CustomTypes.types(of: definition))
        }
        try createNamespaces()
    }

    private func createNamespaces() throws(StatusError) {
        let type = registry.builtin("namespaces")
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            let key = ObjectKey(resource: type.storageKey, namespace: "", name: name)
            guard store.object(key) == nil else {
                try giveAccount(to: name)
                continue
            }
            var context = WriteContext(type: type, namespace: nil, name: name, manager: "fathom-apiserver")
            context.shouldRecordOwners = false
            _ = try create(
                ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": .string(name)]], context)
        }
    }

    /// Answers one request; errors become `Status` objects.
    func answer(_ request: APIRequest) -> APIAnswer {
        let answer: APIAnswer
        let started = ContinuousClock.now
        do {
            answer = try handle(request)
        } catch {
            answer = .json(error.status, code: error.code)
        }
        let code = if case .reply(let reply) = answer { reply.code } else { 200 }
        metrics.count(request.method, code, since: started)
        return answer
    }

    private func handle(_ request: APIRequest) throws(StatusError) -> APIAnswer {
        let identity = try identity(of: request)
        guard let path = ResourcePath(request.path) else { return try handleOther(request, identity) }
        if path.plural == "selfsubjectaccessreviews" { return try reviewAccess(request, identity) }
        guard let type = registry.type(group: path.group, version: path.version, plural: path.plural),
            type.isNamespaced || path.namespace == nil
        else { throw StatusError.unknownPath }
        let verb = try verb(request, path)
        // Of a list by name only that name is asked for: this is how a Role allows one object of a kind.
        let name = path.name ?? (["list", "watch"].contains(verb) ? request.onlyName : nil)
        try authorize(
            identity,
            AccessQuestion(
                verb, type.group, type.plural, subresource: path.subresource, name: name, in: path.namespace),
            type)
        switch verb {
        case "get": return try get(request, type, path)
        case "list": return try list(request, type, path)
        case "watch": return try watch(request, type, path)
        case "deletecollection": return try deleteCollection(request, type, path)
        case "delete": return try delete(request, type, path)
        case "create" where type.plural == "serviceaccounts" && path.subresource == "token":
            return try issueToken(request, type, path)
        default: return try write(request, verb, type, path, identity)
        }
    }

    private func verb(_ request: APIRequest, _ path: ResourcePath) throws(StatusError) -> String {
        switch (request.method, path.name != nil) {
        case ("GET", true): return "get"
        case ("GET", false): return request.isTrue("watch") ? "watch" : "list"
        case ("POST", false): return "create"
        case ("POST", true) where path.subresource == "token": return "create"
        case ("PUT", true): return "update"
        case ("PATCH", true): return "patch"
        case ("DELETE", true) where path.subresource == nil: return "delete"
        case ("DELETE", false): return "deletecollection"
        default: throw StatusError.methodNotAllowed(request.method)
        }
    }

    /// Finds what a path names.
    func existing(_ type: ResourceType, _ path: ResourcePath) throws(StatusError) -> (ObjectKey, JSONValue) {
        let name = path.name ?? ""
        let key = ObjectKey(resource: type.storageKey, namespace: path.namespace ?? "", name: name)
        guard !type.isNamespaced || path.namespace != nil, let object = store.object(key) else {
            throw StatusError.notFound(type, name)
        }
        return (key, object)
    }

    /// The object in the shape of the version and group it was asked in.
    func presented(_ object: JSONValue, as type: ResourceType) -> JSONValue {
        if type.storedAs != nil { return EventConversion.fromCore(object) }
        var object = object
        object["apiVersion"] = .string(type.apiVersion)
        return object
    }

    /// Stores an object and tells the watchers.
    func save(_ key: ObjectKey, _ object: JSONValue) throws(StatusError) -> JSONValue {
        do {
            let change = try store.put(key, object)
            publish(change)
            return change.object
        } catch {
            throw StatusError.internalError("the object could not be stored: \(error)")
        }
    }

    /// Removes an object for good and tells the watchers.
    func remove(_ key: ObjectKey) throws(StatusError) {
        do {
            if let change = try store.delete(key) { publish(change) }
        } catch {
            throw StatusError.internalError("the object could not be removed: \(error)")
        }
    }

    func addWatcher(_ watcher: Watcher) {
        watchers[nextWatcher] = watcher
        nextWatcher += 1
    }

    /// Applies a CustomResourceDefinition that comes with the program.
    func install(_ fileName: String, _ content: [UInt8]) throws(StatusError) {
        let definition: JSONValue
        do { definition = try JSONValue(yaml: content) } catch {
            throw .internalError("\(fileName): \(error)")
        }
        let type = registry.builtin("customresourcedefinitions", group: "apiextensions.k8s.io")
        let name = definition.at("metadata", "name")?.text ?? ""
        let key = ObjectKey(resource: type.storageKey, namespace: "", name: name)
        let context = WriteContext(type: type, namespace: nil, name: name, manager: "fathom-apiserver")
        guard let old = store.object(key) else {
            _ = try create(definition, context)
            return
        }
        var wish = old
        wish["spec"] = definition["spec"]
        _ = try update(key, from: old, to: wish, context)
    }
}
