import Arguments
import FoundationEssentials
import K8sClient
import LocalCluster
import Transport

/// The cluster that a command is about, and the ways to it.
struct ClusterTarget: Sendable {
    let local: LocalControl?
    let kubernetes: KubernetesClient?
    private let direct: GatewayAccess?
    private let token: String?

    /// `--gateway`, else `--kubeconfig` or `--context`, else the local cluster of `--data-dir`, else Kubernetes as the environment has it.
    init(_ arguments: ParsedArguments) throws {
        let http = try HTTPClient()
        var tls = TLSClientSettings()
        tls.authorityFile = arguments.string("ca-file")
        token = try arguments.string("token-file").map(Self.token)
        if let url = arguments.string("gateway") {
            guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
                throw ArgumentError("\(arguments.label("gateway")): expected http://host:port, was '\(url)'")
            }
            local = nil
            direct = GatewayAccess(url: url, http: http, token: token, tls: tls)
            // With both, each is used for what only it can do.
            kubernetes =
                try arguments.string("kubeconfig") == nil ? nil : Self.kubernetes(arguments, http)
            return
        }
        let directory = arguments.string("data-dir") ?? "./.fathom"
        let isNamed = arguments.string("kubeconfig") != nil || arguments.string("context") != nil
        if !isNamed, let found = LocalControl.find(in: directory), let url = found.gateway {
            local = found
            direct = GatewayAccess(url: url, http: http, token: token, tls: tls)
            kubernetes = try found.kubeconfig.map {
                KubernetesClient(configuration: try KubernetesConfiguration.load(kubeconfig: $0), http: http)
            }
            return
        }
        local = nil
        direct = nil
        do {
            kubernetes = try Self.kubernetes(arguments, http)
        } catch let problem as KubernetesConfiguration.Problem {
            throw CommandExit(
                code: ExitCode.unreachable,
                words: isNamed
                    ? "\(problem)"
                    : "no cluster found: none runs in \(directory) ('fathom up' starts one, --data-dir names another place), "
                        + "and \(problem). Or say --gateway URL."
            )
        }
    }

    /// The local cluster, for what only it can do.
    static func local(_ arguments: ParsedArguments) throws -> LocalControl {
        let directory = arguments.string("data-dir") ?? "./.fathom"
        guard let found = LocalControl.find(in: directory) else {
            throw CommandExit(
                code: ExitCode.unreachable,
                words: "no local cluster runs in \(directory); --data-dir names another place")
        }
        return found
    }

    private static func kubernetes(_ arguments: ParsedArguments, _ http: HTTPClient) throws
        -> KubernetesClient
    {
        var configuration = try KubernetesConfiguration.load(
            kubeconfig: arguments.string("kubeconfig"), context: arguments.string("context"))
        configuration.namespace = arguments.string("namespace") ?? configuration.namespace
        return KubernetesClient(configuration: configuration, http: http)
    }

    private static func token(_ file: String) throws -> String {
        guard let data = try? Data(contentsOf: URL(filePath: file)) else {
            throw ArgumentError("--token-file: cannot read \(file)")
        }
        let text = String(decoding: data, as: UTF8.self).filter { !$0.isWhitespace }
        guard !text.isEmpty else { throw ArgumentError("--token-file: \(file) is empty") }
        return text
    }

    /// A gateway of the cluster: the one that was named, or through the Kubernetes API its Service.
    func gateway() async throws -> GatewayAccess {
        if let direct { return direct }
        guard let kubernetes else {
            throw CommandExit(code: ExitCode.unreachable, words: "no gateway is known")
        }
        var request = APIRequest("GET", "/api/v1/namespaces/\(kubernetes.namespace)/services")
        request.select(
            Selector(labels: ["app.kubernetes.io/name": "fathom", "app.kubernetes.io/component": "gateway"]))
        let list = try JSONValue(parsing: try await kubernetes.send(request))
        let service = list["items"]?.elements?.first
        guard let service, let name = service.at("metadata", "name")?.text else {
            throw CommandExit(
                code: ExitCode.unreachable,
                words:
                    "no gateway Service of Fathom in namespace \(kubernetes.namespace); say --namespace NAME or --gateway URL"
            )
        }
        let ports = service.at("spec", "ports")?.elements ?? []
        let scheme = ports.contains { $0["name"] == "https" } ? "https" : "http"
        return GatewayAccess(service: name, scheme: scheme, through: kubernetes, token: token)
    }

    /// The Kubernetes API, for what no gateway does.
    func requireKubernetes(for what: String) throws -> KubernetesClient {
        if let kubernetes { return kubernetes }
        throw ArgumentError("\(what) through the Kubernetes API: say --kubeconfig FILE instead of --gateway")
    }
}
