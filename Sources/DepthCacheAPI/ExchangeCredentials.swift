import FoundationEssentials
package import K8sClient

/// What Secrets with credentials of an exchange look like, and what is told about them.
package enum ExchangeCredentials {
    package static let secretType = "fathom.dev/binance-credentials"
    package static let keyName = "api-key"
    package static let secretName = "api-secret"
    /// The Role that lets workers read exactly the Secrets that are assigned.
    package static let roleName = "fathom-worker-credentials"
    /// What there is, with the values masked.
    package static let configMapName = "fathom-credentials"
    /// The header that carries the key.
    package static let header = "X-MBX-APIKEY"

    /// What makes a Secret unfit for use, in words without any of its values; nil: nothing.
    package static func problem(in secret: Secret, knownGroups: Set<String>) -> String? {
        guard secret.type == secretType else { return "its type is not \(secretType)" }
        let group = secret.metadata.labels[LabelKey.accountGroup] ?? ""
        guard knownGroups.contains(group) else {
            let known = knownGroups.sorted().joined(separator: ", ")
            return "label \(LabelKey.accountGroup): expected one of \(known), was '\(group)'"
        }
        for name in [keyName, secretName] {
            guard secret.data[name] != nil else { return "it has no key \(name)" }
            guard APIKey(secret.text(name) ?? "") != nil else {
                return "key \(name): expected 1 to 256 printable characters without spaces"
            }
        }
        return nil
    }

    // MARK: Secrets that Fathom makes itself

    /// What their names begin with; a random UUID follows.
    package static let namePrefix = "fathom-credentials-"

    /// A Secret under a name that no other has.
    package static func secret(group: String, key: String, secret: String) -> Secret {
        Secret(
            metadata: ObjectMeta(
                name: namePrefix + UUID().uuidString.lowercased(), labels: [LabelKey.accountGroup: group]),
            type: secretType, data: [keyName: Data(key.utf8), secretName: Data(secret.utf8)])
    }

    /// Whether Fathom gave this name: nothing else may be deleted by it.
    package static func isOwn(name: String) -> Bool {
        let id = name.dropFirst(namePrefix.count)
        return name.hasPrefix(namePrefix) && id == id.lowercased() && UUID(uuidString: String(id)) != nil
    }

    // MARK: What is told

    /// The entry of a Secret in the masked list.
    package static func entry(of secret: Secret, workers: [String] = [], fault: String? = nil) -> JSONValue {
        var entry: JSONValue = [
            "id": .string(secret.metadata.name ?? ""),
            "account_group": .string(secret.metadata.labels[LabelKey.accountGroup] ?? ""),
            "api_key_preview": .string(
                secret.text(keyName).flatMap(APIKey.init).map { preview($0.headerValue) } ?? ""),
            "added_timestamp": .int(secret.metadata.creationTimestamp?.secondsSinceEpoch ?? 0),
            "assigned_dcns": .array(workers.map { .string($0) }),
        ]
        if let fault { entry["problem"] = .string(fault) }
        return entry
    }

    /// Enough of a key to tell it from others, and never its length.
    package static func preview(_ key: String) -> String {
        key.count < 16 ? String(repeating: "*", count: 20) : "\(key.prefix(4))\(stars)\(key.suffix(2))"
    }

    private static let stars = String(repeating: "*", count: 20)
}

/// The key of an account, which shows itself to nobody but the exchange.
package struct APIKey: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// For the header alone.
    package let headerValue: String

    /// Nil unless it can be the value of a header; white space at its ends is what an editor or `echo` left.
    package init?(_ text: String) {
        let trimmed = text.drop { $0.isWhitespace }
        guard let last = trimmed.lastIndex(where: { !$0.isWhitespace }) else { return nil }
        let value = trimmed[...last]
        guard value.utf8.count <= 256, value.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            return nil
        }
        headerValue = String(value)
    }

    package var description: String { "an API key" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: []) }

    /// A text of somebody else's without this key in it.
    package func removed(from text: String) -> String { text.replacing(headerValue, with: "(key)") }
}
