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
            let entry = ExchangeCredentials.entry(
                of: secret, workers: workers[name] ?? [], fault: faults[name])
            data[name] = String(decoding: entry.bytes, as: UTF8.self)
        }
        return data
    }
}
