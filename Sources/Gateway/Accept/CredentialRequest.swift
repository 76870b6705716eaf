internal import Binance
internal import DepthCacheAPI
internal import K8sClient

/// What is asked of the credential endpoints, checked.
///
/// No message repeats a value: who mixes parameters up may have sent the secret as any of them.
enum CredentialRequest: Sendable {
    case add(group: String, key: String, secret: String)
    case remove(id: String)

    /// In the order in which clients are told of them.
    static let accountGroups = Set(Exchange.documented.map(\.accountGroup)).sorted()

    /// Reads `/add_credentials` or `/remove_credentials`; what is no JSON object counts as an empty one.
    init(_ request: GatewayRequest, _ endpoint: Endpoint, body: JSONValue?) throws(CredentialProblem) {
        let isPost = request.method == "POST"
        guard endpoint == .addCredentials else {
            guard let id = isPost ? body?["id"]?.text : request.text("id"), !id.isEmpty else {
                throw CredentialProblem(id: .missingCredentialID, message: "Missing required parameter: id")
            }
            self = .remove(id: id)
            return
        }
        guard isPost else {
            throw CredentialProblem(
                id: .badCredentialParameter,
                message: "Use POST with a JSON object: what stands in a URL ends up in logs")
        }
        var values: [String] = []
        var missing: [String] = []
        for name in ["account_group", "api_key", "api_secret"] {
            guard let value = body?[name], !value.isNull, value != "" else {
                missing.append(name)
                continue
            }
            guard let text = value.text else {
                throw CredentialProblem(
                    id: .badCredentialParameter, message: "Invalid parameter \(name): expected a string")
            }
            values.append(text)
        }
        guard values.count == 3 else {
            let message = ParameterProblem(missing: missing).description
            throw CredentialProblem(id: .badCredentialParameter, message: message)
        }
        guard Self.accountGroups.contains(values[0]) else {
            let known = Self.accountGroups.joined(separator: ", ")
            throw CredentialProblem(
                id: .unknownAccountGroup,
                message: "Invalid parameter account_group: expected one of \(known)")
        }
        self = .add(group: values[0], key: values[1], secret: values[2])
    }

    /// What of a body may be repeated in `debug`.
    static func shown(_ body: JSONValue?) -> JSONFragment {
        let names = ["account_group", "api_key", "api_secret", "id"]
        return JSONFragment(
            names.compactMap { name in
                guard let value = body?[name] else { return nil }
                let text = value.text ?? ""
                let isPublic =
                    name == "account_group" && accountGroups.contains(text)
                    || name == "id" && ExchangeCredentials.isOwn(name: text)
                return (name, JSONFragment(isPublic ? text : "(not shown)"))
            })
    }
}

/// Why credentials were not added or removed.
struct CredentialProblem: Error, Equatable {
    var id: ErrorID
    var message: String
}
