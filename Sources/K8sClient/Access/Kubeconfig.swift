import FoundationEssentials
import Transport
import YAML

/// Reads a kubeconfig file; each error names the file and what is missing in it.
enum Kubeconfig {
    typealias Problem = KubernetesConfiguration.Problem

    static func load(_ path: String, context wanted: String?) throws(Problem) -> KubernetesConfiguration {
        let bytes: [UInt8]
        do { bytes = try TextFile.bytes(path) } catch { throw Problem("cannot read kubeconfig \(error)") }
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
        return try parse(bytes, file: path, folder: folder, context: wanted)
    }

    static func parse(
        _ bytes: [UInt8], file: String, folder: String, context wanted: String?
    ) throws(Problem) -> KubernetesConfiguration {
        let root: YAMLValue
        do { root = try YAML.parse(bytes) } catch { throw Problem("kubeconfig \(file), \(error)") }
        guard root.entries != nil else { throw Problem("kubeconfig \(file) is empty or not a mapping") }
        guard let name = wanted ?? root["current-context"]?.text, !name.isEmpty else {
            throw Problem("kubeconfig \(file) has no current-context: it points nowhere")
        }
        let context = try entry("context", name, in: root, file)
        guard let clusterName = context["cluster"]?.text else {
            throw Problem("kubeconfig \(file): context \"\(name)\" names no cluster")
        }
        let cluster = try entry("cluster", clusterName, in: root, file)
        guard let server = cluster["server"]?.text,
            server.hasPrefix("https://") || server.hasPrefix("http://")
        else {
            throw Problem(
                "kubeconfig \(file): cluster \"\(clusterName)\" has no server with http:// or https://")
        }
        func material(_ from: YAMLValue, _ key: String) throws(Problem) -> [UInt8]? {
            if let text = from[key + "-data"]?.text, !text.isEmpty {
                guard let data = Data(base64Encoded: text) else {
                    throw Problem("kubeconfig \(file): \(key)-data is not base64")
                }
                return Array(data)
            }
            guard let path = from[key]?.text, !path.isEmpty else { return nil }
            do { return try TextFile.bytes(path.hasPrefix("/") ? path : folder + path) } catch {
                throw Problem("kubeconfig \(file): \(key) \(error)")
            }
        }
        var tls = TLSClientSettings(authorityPEM: try material(cluster, "certificate-authority"))
        tls.skipsVerification = cluster["insecure-skip-tls-verify"]?.bool ?? false
        var credential = KubernetesConfiguration.Credential.none
        if let userName = context["user"]?.text, !userName.isEmpty {
            let user = try entry("user", userName, in: root, file)
            tls.certificatePEM = try material(user, "client-certificate")
            tls.keyPEM = try material(user, "client-key")
            if let path = user["tokenFile"]?.text, !path.isEmpty {
                credential = .tokenFile(path.hasPrefix("/") ? path : folder + path)
            } else if let token = user["token"]?.text, !token.isEmpty {
                credential = .token(token)
            } else if tls.certificatePEM == nil, user["exec"] != nil || user["auth-provider"] != nil {
                throw Problem(
                    "kubeconfig \(file): user \"\(userName)\" needs a credential plugin, which Fathom does not run"
                )
            }
        }
        return KubernetesConfiguration(
            server: server, credential: credential, tls: tls,
            namespace: context["namespace"]?.text ?? "default")
    }

    /// The entry with a name in `contexts`, `clusters` or `users`.
    private static func entry(
        _ kind: String, _ name: String, in root: YAMLValue, _ file: String
    ) throws(Problem) -> YAMLValue {
        let found = root[kind + "s"]?.elements?.first { $0["name"]?.text == name }
        guard let found else { throw Problem("kubeconfig \(file) has no \(kind) \"\(name)\"") }
        return found[kind] ?? .mapping([])
    }
}
