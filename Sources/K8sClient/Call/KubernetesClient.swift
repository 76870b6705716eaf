package import Transport

/// Typed calls to the Kubernetes API; no thread is blocked, errors are `APIError` (or `CancellationError`).
package struct KubernetesClient: Sendable {
    package let configuration: KubernetesConfiguration
    let http: HTTPClient
    /// For one call; a watch has its own limits.
    package var timeout: Duration = .seconds(10)
    /// Whose leadership the calls need, if any.
    var term: LeadershipTerm?
    /// Objects in one page of a list.
    package var pageSize = 500
    /// Where calls and watches are counted.
    package var metrics: CallMetrics?

    package init(configuration: KubernetesConfiguration, http: HTTPClient) {
        self.configuration = configuration
        self.http = http
    }

    package var namespace: String { configuration.namespace }

    // MARK: Whole objects

    package func get<Object: KubernetesResource>(
        _ type: Object.Type = Object.self, _ name: String, namespace: String? = nil
    ) async throws -> Object {
        try await typed(APIRequest("GET", path(type, namespace, name)))
    }

    /// The object, or nil if there is none.
    package func find<Object: KubernetesResource>(
        _ type: Object.Type = Object.self, _ name: String, namespace: String? = nil
    ) async throws -> Object? {
        do { return try await get(type, name, namespace: namespace) } catch let error as APIError
            where error.isNotFound
        { return nil }
    }

    @discardableResult
    package func create<Object: KubernetesResource>(_ object: Object) async throws -> Object {
        var object = object
        if Object.resource.isNamespaced, object.metadata.namespace == nil {
            object.metadata.namespace = namespace
        }
        return try await typed(
            APIRequest("POST", path(Object.self, object.metadata.namespace), body: try json(object)))
    }

    /// Replaces the object; with a resourceVersion only if nobody changed it meanwhile.
    @discardableResult
    package func update<Object: KubernetesResource>(_ object: Object) async throws -> Object {
        let path = path(Object.self, object.metadata.namespace, object.metadata.name ?? "")
        return try await typed(APIRequest("PUT", path, body: try json(object)))
    }

    @discardableResult
    package func patch<Object: KubernetesResource>(
        _ type: Object.Type = Object.self, _ name: String, namespace: String? = nil,
        subresource: String? = nil,
        _ kind: PatchKind, _ body: JSONValue
    ) async throws -> Object {
        try await typed(
            APIRequest(
                "PATCH", path(type, namespace, name, subresource), body: body, contentType: kind.contentType))
    }

    @discardableResult
    package func patchStatus<Object: KubernetesResource>(
        _ type: Object.Type = Object.self, _ name: String, namespace: String? = nil,
        _ kind: PatchKind = .merge,
        _ body: JSONValue
    ) async throws -> Object {
        try await patch(type, name, namespace: namespace, subresource: "status", kind, body)
    }

    /// Deletes an object; with a uid only that very one.
    ///
    /// Returns false if there was none.
    @discardableResult
    package func delete<Object: KubernetesResource>(
        _ type: Object.Type, _ name: String, namespace: String? = nil, uid: String? = nil,
        resourceVersion: String? = nil, propagation: Propagation = .background
    ) async throws -> Bool {
        var options: JSONValue = [
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": .string(propagation.rawValue),
        ]
        if let uid { options.set(["preconditions", "uid"], to: .string(uid)) }
        if let resourceVersion {
            options.set(["preconditions", "resourceVersion"], to: .string(resourceVersion))
        }
        do {
            _ = try await send(APIRequest("DELETE", path(type, namespace, name), body: options))
            return true
        } catch let error as APIError where error.isNotFound { return false }
    }

    /// All objects that fit, however many pages that takes.
    package func list<Object: KubernetesResource>(
        _ type: Object.Type = Object.self, namespace: String? = nil, _ selector: Selector = .everything
    ) async throws -> KubernetesList<Object> {
        var all: KubernetesList<Object>?
        var token: String?
        repeat {
            let page = try await page(type, namespace: namespace, selector, continuing: token)
            token = page.metadata.continue.flatMap { $0.isEmpty ? nil : $0 }
            if all == nil { all = page } else { all?.items += page.items }
            all?.metadata = page.metadata
        } while token != nil
        return all ?? KubernetesList(metadata: .init(), items: [])
    }

    /// One page of a list.
    package func page<Object: KubernetesResource>(
        _ type: Object.Type, namespace: String? = nil, _ selector: Selector, continuing token: String?
    ) async throws -> KubernetesList<Object> {
        var request = APIRequest("GET", path(type, namespace))
        request.select(selector)
        request.query.append(.init("limit", String(pageSize)))
        if let token { request.query.append(.init("continue", token)) }
        return try await decoded(try await send(request))
    }

    // MARK: Any request

    /// Sends a request; returns the body of a success and throws the Status of anything else.
    package func send(_ request: APIRequest) async throws -> [UInt8] {
        let answer = try await self.answer(to: request)
        guard (200..<300).contains(answer.status) else { throw APIError(answer) }
        return answer.body
    }

    /// Sends a request; returns what was answered, be it a failure.
    package func answer(to request: APIRequest) async throws -> HTTPClientResponse {
        let started = ContinuousClock.now
        do {
            var http = try configuration.httpRequest(request)
            http.timeout = try term.map { min(timeout, try $0.remaining()) } ?? timeout
            let answer = try await self.http.send(http)
            metrics?.note(request.method, answer.status, since: started)
            return answer
        } catch {
            let failure = APIError.wrapping(error)
            if case .transport? = failure as? APIError { metrics?.note(request.method, nil, since: started) }
            throw failure
        }
    }

    private func typed<Object: KubernetesResource>(_ request: APIRequest) async throws -> Object {
        try await decoded(try await send(request))
    }

    func decoded<Value: Decodable>(_ body: [UInt8]) async throws -> Value {
        do { return try JSONCoding.decode(Value.self, from: body) } catch {
            throw APIError.unreadable("\(error)")
        }
    }

    private func json(_ object: some KubernetesResource) throws -> JSONValue {
        do { return try object.json() } catch { throw APIError.unreadable("\(error)") }
    }

    private func path<Object: KubernetesResource>(
        _ type: Object.Type, _ namespace: String?, _ name: String? = nil, _ subresource: String? = nil
    ) -> String {
        APIRequest.path(
            type.resource, namespace: namespace ?? self.namespace, name: name, subresource: subresource)
    }
}
