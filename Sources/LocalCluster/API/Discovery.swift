import K8sClient

extension APICore {
    /// Everything that is not about a resource: discovery, health, version, OpenAPI.
    func handleOther(_ request: APIRequest, _ identity: Identity) throws(StatusError) -> APIAnswer {
        let parts = request.path.split(separator: "/").map(String.init)
        guard identity != .anonymous || ["healthz", "livez", "readyz", "version"].contains(parts.first) else {
            throw StatusError(
                403, "Forbidden",
                "forbidden: User \"\(identity.user)\" cannot \(request.method.lowercased()) path \"\(request.path)\"",
                details: [:])
        }
        guard request.method == "GET" || request.method == "HEAD" else {
            throw StatusError.methodNotAllowed(request.method)
        }
        switch parts.first {
        case "healthz", "livez", "readyz": return APIReply.text("ok")
        case "metrics":
            let page = metrics.render(watchers: watchers.count, revision: store.revision)
            return APIReply.text(String(decoding: page, as: UTF8.self))
        case "version": return .json(Self.version)
        case "openapi": return try openAPI(request, parts)
        case "api" where parts.count == 1:
            return .json([
                "kind": "APIVersions", "versions": ["v1"],
                "serverAddressByClientCIDRs": [["clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"]],
            ])
        case "api" where parts.count == 2: return try resources("", parts[1])
        case "apis" where parts.count == 1:
            return .json([
                "kind": "APIGroupList", "apiVersion": "v1",
                "groups": .array(registry.groups.filter { !$0.group.isEmpty }.map(groupEntry)),
            ])
        case "apis" where parts.count == 2:
            guard let group = registry.groups.first(where: { $0.group == parts[1] }) else {
                throw StatusError.unknownPath
            }
            var entry = groupEntry(group)
            entry["kind"] = "APIGroup"
            entry["apiVersion"] = "v1"
            return .json(entry)
        case "apis" where parts.count == 3: return try resources(parts[1], parts[2])
        case nil:
            let paths = registry.groups.flatMap { group in
                group.versions.map { group.group.isEmpty ? "/api/\($0)" : "/apis/\(group.group)/\($0)" }
            }
            return .json([
                "paths": .strings(
                    [
                        "/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3",
                        "/readyz",
                    ]
                        + paths)
            ])
        default: throw StatusError.unknownPath
        }
    }

    static let version: JSONValue = [
        "major": "1", "minor": "32", "gitVersion": "v1.32.0+fathom", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "swiftc", "platform": "linux",
    ]

    private func groupEntry(_ group: (group: String, versions: [String])) -> JSONValue {
        func entry(_ version: String) -> JSONValue {
            ["groupVersion": .string("\(group.group)/\(version)"), "version": .string(version)]
        }
        return [
            "name": .string(group.group), "versions": .array(group.versions.map(entry)),
            "preferredVersion": group.versions.first.map(entry) ?? .null,
        ]
    }

    private func resources(_ group: String, _ version: String) throws(StatusError) -> APIAnswer {
        let types = registry.types(group: group, version: version)
        guard !types.isEmpty else { throw StatusError.unknownPath }
        return .json([
            "kind": "APIResourceList", "apiVersion": "v1",
            "groupVersion": .string(group.isEmpty ? version : "\(group)/\(version)"),
            "resources": .array(types.flatMap(\.discovery)),
        ])
    }

    /// Answers `kubectl auth can-i`.
    func reviewAccess(_ request: APIRequest, _ identity: Identity) throws(StatusError) -> APIAnswer {
        guard request.method == "POST" else { throw StatusError.methodNotAllowed(request.method) }
        let sent = ProtobufBody.decode(request.body) ?? (try? JSONValue(parsing: request.body))
        guard var review = sent, review.fields != nil else {
            throw .badRequest("the body is not a SelfSubjectAccessReview")
        }
        let asked = review.at("spec", "resourceAttributes")
        func text(_ name: String) -> String? { asked?[name]?.text.flatMap { $0.isEmpty ? nil : $0 } }
        let question = AccessQuestion(
            text("verb") ?? "", text("group") ?? "", text("resource") ?? "", subresource: text("subresource"),
            name: text("name"), in: text("namespace"))
        review["status"] = ["allowed": .bool(asked == nil || isAllowed(identity, question))]
        return .json(review, code: 201)
    }
}
