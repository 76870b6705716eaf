internal import DepthCacheAPI
internal import K8sClient

/// The masked list that gateways answer from: one entry for each Secret, under its name.
enum CredentialList {
    static func data(
        _ secrets: [Secret], faults: [String: String], workers: [String: [String]]
    ) -> [String: String] {
        var data: [String: String] = [:]
        for secret in secrets {
            guard let name = secret.metadata.name else { continue }
            var entry: JSONValue = [
                "id": .string(name),
                "account_group": .string(secret.metadata.labels[LabelKey.accountGroup] ?? ""),
                "api_key_preview": .string(
                    secret.text(ExchangeCredentials.keyName).flatMap(APIKey.init).map {
                        ExchangeCredentials.preview($0.headerValue)
                    } ?? ""),
                "added_timestamp": .int(secret.metadata.creationTimestamp?.secondsSinceEpoch ?? 0),
                "assigned_dcns": .array((workers[name] ?? []).map { .string($0) }),
            ]
            if let fault = faults[name] { entry["problem"] = .string(fault) }
            data[name] = String(decoding: entry.bytes, as: UTF8.self)
        }
        return data
    }
}
