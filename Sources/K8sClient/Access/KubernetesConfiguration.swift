import Glibc
package import Transport
import YAML

/// Where the Kubernetes API is and who we are there.
package struct KubernetesConfiguration: Sendable {
    /// How a request says who we are.
    package enum Credential: Sendable {
        case none
        case token(String)
        /// Read at each request, as the kubelet replaces it.
        case tokenFile(String)
    }

    /// Without a slash at the end.
    package var server: String
    package var credential: Credential
    package var tls: TLSClientSettings
    package var namespace: String

    package init(
        server: String, credential: Credential = .none, tls: TLSClientSettings = TLSClientSettings(),
        namespace: String = "default"
    ) {
        self.server = server.hasSuffix("/") ? String(server.dropLast()) : server
        self.credential = credential
        self.tls = tls
        self.namespace = namespace
    }

    /// Why there is no access.
    package struct Problem: Error, Equatable, Sendable, CustomStringConvertible {
        package var message: String

        package init(_ message: String) { self.message = message }

        package var description: String { message }
    }

    /// The given kubeconfig, else `$KUBECONFIG`, else the pod's service account, else `~/.kube/config`.
    package static func load(
        kubeconfig: String? = nil, context: String? = nil,
        environment: [String: String] = processEnvironment()
    ) throws(Problem) -> KubernetesConfiguration {
        if let kubeconfig { return try Kubeconfig.load(kubeconfig, context: context) }
        if let path = environment["KUBECONFIG"], !path.isEmpty {
            return try Kubeconfig.load(path, context: context)
        }
        if environment["KUBERNETES_SERVICE_HOST"] != nil { return try inCluster(environment: environment) }
        if let home = environment["HOME"], TextFile.exists(home + "/.kube/config") {
            return try Kubeconfig.load(home + "/.kube/config", context: context)
        }
        throw Problem(
            "no access to Kubernetes: give --kubeconfig FILE, set KUBECONFIG, or run in a pod with a service account"
        )
    }

    /// Whether `load` takes the service account of the pod that we run in.
    package static func isPod(
        kubeconfig: String?, environment: [String: String] = processEnvironment()
    ) -> Bool {
        kubeconfig == nil && (environment["KUBECONFIG"] ?? "").isEmpty
            && !(environment["KUBERNETES_SERVICE_HOST"] ?? "").isEmpty
    }

    /// The service account of this pod.
    package static func inCluster(
        environment: [String: String] = processEnvironment(),
        folder: String = "/var/run/secrets/kubernetes.io/serviceaccount"
    ) throws(Problem) -> KubernetesConfiguration {
        guard let host = environment["KUBERNETES_SERVICE_HOST"], !host.isEmpty else {
            throw Problem("KUBERNETES_SERVICE_HOST is not set: not in a pod")
        }
        let port =
            environment["KUBERNETES_SERVICE_PORT_HTTPS"] ?? environment["KUBERNETES_SERVICE_PORT"] ?? "443"
        guard TextFile.exists(folder + "/token") else {
            throw Problem("\(folder)/token is missing: is automountServiceAccountToken off?")
        }
        let namespace =
            environment["POD_NAMESPACE"] ?? (try? TextFile.read(folder + "/namespace")) ?? "default"
        return KubernetesConfiguration(
            server: "https://\(host.contains(":") ? "[\(host)]" : host):\(port)",
            credential: .tokenFile(folder + "/token"),
            tls: TLSClientSettings(authorityFile: folder + "/ca.crt"), namespace: namespace)
    }

    /// The environment of this process.
    package static func processEnvironment() -> [String: String] {
        var found: [String: String] = [:]
        for name in [
            "KUBECONFIG", "HOME", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT",
            "KUBERNETES_SERVICE_PORT_HTTPS", "POD_NAMESPACE",
        ] {
            if let value = unsafe getenv(name) { found[name] = unsafe String(cString: value) }
        }
        return found
    }

    /// The HTTP request for an API request; reads the token file if there is one.
    func httpRequest(_ request: APIRequest) throws(APIError) -> HTTPClientRequest {
        var headers = [HTTPHeader("accept", "application/json"), HTTPHeader("user-agent", "fathom")]
        switch credential {
        case .none: break
        case .token(let token): headers.append(HTTPHeader("authorization", "Bearer \(token)"))
        case .tokenFile(let path):
            do { headers.append(HTTPHeader("authorization", "Bearer \(try TextFile.read(path))")) } catch {
                throw .access("cannot read the token: \(error)")
            }
        }
        if let type = request.contentType { headers.append(HTTPHeader("content-type", type)) }
        return HTTPClientRequest(
            method: request.method, url: server + request.target, headers: headers + request.headers,
            body: request.body?.bytes,
            tls: tls)
    }
}

/// Small files: tokens, certificates, kubeconfigs.
enum TextFile {
    static func exists(_ path: String) -> Bool { unsafe access(path, R_OK) == 0 }

    /// Without white space at the ends.
    static func read(_ path: String) throws(KubernetesConfiguration.Problem) -> String {
        let text = String(decoding: try bytes(path), as: UTF8.self)
        guard let first = text.firstIndex(where: { !$0.isWhitespace }),
            let last = text.lastIndex(where: { !$0.isWhitespace })
        else { throw KubernetesConfiguration.Problem("\(path) is empty") }
        return String(text[first...last])
    }

    static func bytes(_ path: String, limit: Int = 4 << 20) throws(KubernetesConfiguration.Problem) -> [UInt8]
    {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw .init("\(path): \(unsafe String(cString: strerror(errno)))") }
        defer { close(file) }
        var all: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = unsafe Glibc.read(file, &piece, piece.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw .init("\(path): \(unsafe String(cString: strerror(errno)))") }
            if count == 0 { return all }
            all += piece[..<count]
            guard all.count <= limit else { throw .init("\(path) is larger than \(limit) bytes") }
        }
    }
}
