import K8sClient

/// Authentication and authorisation: tokens, Roles and their bindings, evaluated as a real API server does.
extension APICore {
    private static let rbac = "rbac.authorization.k8s.io"

    /// Who sends the request; a token that nobody knows is refused, no token at all is somebody without rights.
    func identity(of request: APIRequest) throws(StatusError) -> Identity {
        var identity = Identity.anonymous
        if let token = request.token {
            guard let known = users[token].map(Identity.init(role:)) ?? account(token) else {
                throw StatusError(401, "Unauthorized", "Unauthorized")
            }
            identity = known
        }
        guard let user = request.impersonatedUser else { return identity }
        guard identity.isMaster else {
            throw StatusError(
                403, "Forbidden",
                "users \"\(user)\" is forbidden: User \"\(identity.user)\" cannot impersonate resource \"users\" in API group "
                    + "\"\" at the cluster scope", details: ["name": .string(user), "kind": "users"])
        }
        return Identity(impersonated: user, groups: request.impersonatedGroups)
    }

    private func account(_ token: String) -> Identity? {
        guard let claims = tokens.verify(token, now: now() / 1_000_000) else { return nil }
        let key = ObjectKey(resource: "/serviceaccounts", namespace: claims.namespace, name: claims.name)
        guard store.object(key)?.at("metadata", "uid")?.text == claims.uid else { return nil }
        return Identity(account: claims.name, namespace: claims.namespace)
    }

    /// Answers a TokenRequest.
    func issueToken(_ request: APIRequest, _ type: ResourceType, _ path: ResourcePath) throws(StatusError)
        -> APIAnswer
    {
        let (key, account) = try existing(type, path)
        let sent = ProtobufBody.decode(request.body) ?? (try? JSONValue(parsing: request.body))
        guard var answer = sent, answer["kind"] == "TokenRequest" else {
            throw .badRequest("the body is not a TokenRequest")
        }
        let seconds = answer.at("spec", "expirationSeconds")?.whole ?? 3600
        guard seconds >= 600 else {
            throw StatusError(
                422, "Invalid",
                "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: \(seconds): "
                    + "may not specify a duration less than 10 minutes")
        }
        let expires = now() / 1_000_000 + Int64(seconds)
        let token = tokens.issue(
            ServiceAccountTokens.Claims(
                namespace: key.namespace, name: key.name, uid: account.at("metadata", "uid")?.text ?? "",
                expires: expires))
        answer["status"] = [
            "token": .string(token), "expirationTimestamp": .string(Clock.seconds(expires * 1_000_000)),
        ]
        return .json(answer, code: 201)
    }

    // MARK: May they?

    func isAllowed(_ identity: Identity, _ question: AccessQuestion) -> Bool {
        if identity.isMaster { return true }
        let parts = question.resource.split(separator: "/", maxSplits: 1).map(String.init)
        if let role = identity.role, let plural = parts.first,
            role.mayDo(
                question.verb, question.group, plural, subresource: parts.count > 1 ? parts[1] : nil,
                name: question.name)
        {
            return true
        }
        if question.group == "authorization.k8s.io", question.verb == "create" {
            return identity != .anonymous && question.resource.hasPrefix("selfsubject")
        }
        return rules(of: identity, in: question.namespace).contains { $0.allows(question) }
    }

    func authorize(_ identity: Identity, _ question: AccessQuestion, _ type: ResourceType) throws(StatusError)
    {
        guard !isAllowed(identity, question) else { return }
        let place = question.namespace.map { " in the namespace \"\($0)\"" } ?? " at the cluster scope"
        throw StatusError.forbidden(
            type, question.name ?? "",
            "User \"\(identity.user)\" cannot \(question.verb) resource \"\(question.resource)\" in API group "
                + "\"\(question.group)\"\(place)")
    }

    /// Everything that bindings grant, in a namespace or, without one, everywhere.
    private func rules(of identity: Identity, in namespace: String?) -> [PolicyRule] {
        var bindings = store.list("\(Self.rbac)/clusterrolebindings").map(\.object)
        if let namespace {
            bindings += store.list("\(Self.rbac)/rolebindings", namespace: namespace).map(\.object)
        }
        return bindings.filter { binding in
            (binding["subjects"]?.elements ?? []).contains { isSubject($0, identity) }
        }.flatMap { PolicyRule.rules(of: role(of: $0)) }
    }

    private func isSubject(_ subject: JSONValue, _ identity: Identity) -> Bool {
        let name = subject["name"]?.text ?? ""
        switch subject["kind"]?.text {
        case "User": return name == identity.user
        case "Group": return identity.groups.contains(name)
        case "ServiceAccount":
            return identity.user == "system:serviceaccount:\(subject["namespace"]?.text ?? ""):\(name)"
        default: return false
        }
    }

    private func role(of binding: JSONValue) -> JSONValue? {
        let isCluster = binding.at("roleRef", "kind") == "ClusterRole"
        return store.object(
            ObjectKey(
                resource: "\(Self.rbac)/\(isCluster ? "clusterroles" : "roles")",
                namespace: isCluster ? "" : binding.at("metadata", "namespace")?.text ?? "",
                name: binding.at("roleRef", "name")?.text ?? ""))
    }

    // MARK: Nobody grants what they do not hold

    /// Refuses a Role or a binding that would give more than its writer has.
    func confirmNoEscalation(_ object: JSONValue, old: JSONValue?, _ context: WriteContext)
        throws(StatusError)
    {
        let type = context.type
        guard let identity = context.identity, !identity.isMaster, type.group == Self.rbac else { return }
        let granted: [PolicyRule]
        var permission = AccessQuestion(
            "escalate", type.group, type.plural, name: context.name, in: context.namespace)
        if type.plural.hasSuffix("bindings") {
            if let old, old["roleRef"] == object["roleRef"], old["subjects"] == object["subjects"] { return }
            let isCluster = object.at("roleRef", "kind") == "ClusterRole"
            let name = object.at("roleRef", "name")?.text ?? ""
            permission = AccessQuestion(
                "bind", type.group, isCluster ? "clusterroles" : "roles", name: name, in: context.namespace)
            guard let role = role(of: object) else {
                throw StatusError.notFound(
                    registry.builtin(isCluster ? "clusterroles" : "roles", group: Self.rbac), name)
            }
            granted = PolicyRule.rules(of: role)
        } else {
            granted = PolicyRule.rules(of: object)
            if let old, PolicyRule.rules(of: old) == granted { return }
        }
        if isAllowed(identity, permission) { return }
        let held = rules(of: identity, in: context.namespace) + (identity.role?.policyRules ?? [])
        let missing = granted.flatMap(\.parts).filter { part in !held.contains { $0.covers(part) } }
        guard !missing.isEmpty else { return }
        throw StatusError.forbidden(
            type, object.at("metadata", "name")?.text ?? "",
            "user \"\(identity.user)\" (groups=[\(identity.groups.map { "\"\($0)\"" }.joined(separator: " "))]) is attempting "
                + "to grant RBAC permissions not currently held:\n"
                + missing.map(\.shown).joined(separator: "\n"))
    }
}
