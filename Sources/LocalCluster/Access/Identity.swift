import FoundationEssentials
import K8sClient
import Transport

/// Who a request comes from.
struct Identity: Equatable, Sendable {
    var user: String
    var groups: [String]
    /// One of Fathom's own programs, which the local cluster trusts without Role objects.
    var role: APIRole?

    static let anonymous = Identity(user: "system:anonymous", groups: ["system:unauthenticated"])

    /// Members of this group may do everything, with no Role that says so.
    var isMaster: Bool { groups.contains("system:masters") }

    init(user: String, groups: [String], role: APIRole? = nil) {
        self.user = user
        self.groups = groups
        self.role = role
    }

    init(role: APIRole) {
        self =
            role == .admin
            ? Identity(user: role.user, groups: ["system:masters", "system:authenticated"], role: role)
            : Identity(account: "fathom-\(role.rawValue)", namespace: "default", role: role)
    }

    init(account: String, namespace: String, role: APIRole? = nil) {
        self.init(
            user: "system:serviceaccount:\(namespace):\(account)",
            groups: [
                "system:serviceaccounts", "system:serviceaccounts:\(namespace)", "system:authenticated",
            ],
            role: role)
    }

    /// Whom the admin wants to act as; the groups of a ServiceAccount come with its name.
    init(impersonated user: String, groups: [String]) {
        let parts = user.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        if parts.count == 4, parts[0] == "system", parts[1] == "serviceaccount", groups.isEmpty {
            self.init(account: parts[3], namespace: parts[2])
        } else {
            self.init(user: user, groups: groups + ["system:authenticated"])
        }
    }
}

/// Tokens of ServiceAccounts: what `kubectl create token` asks for.
///
/// A token says whose it is and until when, signed; nothing about it is stored. It dies with its account, as the uid
/// is part of it.
struct ServiceAccountTokens: Sendable {
    struct Claims: Equatable {
        var namespace: String
        var name: String
        var uid: String
        /// Seconds since 1970.
        var expires: Int64
    }

    private let key: [UInt8]

    init(key: [UInt8]) { self.key = key }

    func issue(_ claims: Claims) -> String {
        let body: JSONValue = [
            "ns": .string(claims.namespace), "name": .string(claims.name), "uid": .string(claims.uid),
            "exp": .int(claims.expires),
        ]
        let text = Data(body.bytes).base64EncodedString()
        return "fathom.\(text).\(signature(text))"
    }

    /// What a token claims, if it was issued here and has not expired.
    func verify(_ token: String, now: Int64) -> Claims? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, parts[0] == "fathom", isSame(parts[2], signature(parts[1])),
            let bytes = Data(base64Encoded: parts[1]), let body = try? JSONValue(parsing: Array(bytes)),
            let namespace = body["ns"]?.text, let name = body["name"]?.text, let uid = body["uid"]?.text,
            let expires = body["exp"]?.whole, expires > now
        else { return nil }
        return Claims(namespace: namespace, name: name, uid: uid, expires: Int64(expires))
    }

    private func signature(_ text: String) -> String {
        Digest.hex(Digest.hmacSHA256(key: key, Array(text.utf8)))
    }

    /// Takes as long for a wrong signature as for a right one.
    private func isSame(_ a: String, _ b: String) -> Bool {
        let a = Array(a.utf8), b = Array(b.utf8)
        guard a.count == b.count else { return false }
        return zip(a, b).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
