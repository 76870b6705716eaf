import K8sClient
import DepthCacheAPI
import FoundationEssentials
import Glibc
import Telemetry
import Transport

/// What `fathom apiserver` needs to know.
package struct ApiServerConfiguration: Sendable {
    /// Holds database, keys, tokens and kubeconfigs; created with mode 0700.
    package var dataDirectory: String = ".fathom"
    package var host: String = "127.0.0.1"
    /// 0 takes any free port; the actual one is in the kubeconfigs and in `<data-dir>/apiserver.json`.
    package var port: Int = 42080
    /// Further names or addresses that the serving certificate covers.
    package var extraHosts: [String] = []
    /// How many changes a watch can look back before it gets 410 Gone.
    package var keptRevisions: Int = 10_000
    package var version = "unknown"

    package init() {}
}

/// Serves the embedded Kubernetes API until the task is cancelled.
package func runApiServer(_ configuration: ApiServerConfiguration) async throws {
    let server = try EmbeddedAPIServer(configuration)
    Log("apiserver").info(
        "Serving the Kubernetes API", ["url": server.url, "kubeconfig": server.kubeconfig])
    var round = 0
    while !Task.isCancelled {
        try? await Task.sleep(for: .seconds(1))
        round += 1
        server.service.tend(sweep: round % 10 == 0)
    }
    await server.stop()
}

/// The embedded API with its port, files and loop; also what tests start in their own process.
package final class EmbeddedAPIServer: Sendable {
    package let url: String
    package let port: Int
    package let kubeconfig: String
    let service: APIService
    private let server: HTTPServer
    private let loop: EventLoop
    private let lock: Int32

    package init(_ configuration: ApiServerConfiguration) throws {
        let directory = Files.absolute(configuration.dataDirectory)
        let credentials = try Credentials.prepare(in: directory)
        guard let lock = try Files.lock("\(directory)/apiserver.lock") else {
            throw LocalClusterError(
                "another API server uses the data directory \(directory); stop it or choose another with --data-dir"
            )
        }
        self.lock = lock
        // Nothing that this process creates is for others, SQLite's side files included.
        umask(0o077)
        let metrics = MetricRegistry()
        metrics.addProcess(version: configuration.version)
        let core = try Self.openCore(directory, configuration, credentials, APIMetrics(metrics))
        service = APIService(core: core)
        loop = try EventLoop(name: "apiserver")
        var hosts = [configuration.host, "127.0.0.1", "localhost", "kubernetes", "kubernetes.default"]
        hosts += configuration.extraHosts
        let credential = try credentials.authority.issue(
            commonName: "fathom-apiserver",
            hosts: Array(Set(hosts)).filter { !["0.0.0.0", "::"].contains($0) }.sorted())
        let files = ("\(directory)/serving.pem", "\(directory)/serving-key.pem")
        try Files.write(credential.certificatePEM, to: files.0)
        try Files.write(credential.keyPEM, to: files.1)
        let settings = HTTPServerConfiguration(
            host: configuration.host, port: configuration.port,
            tls: TLSServerSettings(certificateFile: files.0, keyFile: files.1))
        do {
            server = try HTTPServer(settings, loops: [loop], handler: service)
        } catch {
            throw LocalClusterError(
                "the Kubernetes API \(error.message); choose another port, 0 takes any free one"
            )
        }
        server.show(in: metrics, listener: "api")
        LoopWatch.watch([loop], metrics)
        port = server.port
        url = "https://\(IPAddress.authority(IPAddress.reachable(configuration.host), port))"
        kubeconfig = Credentials.kubeconfigFile(.admin, in: directory)
        try credentials.writeKubeconfigs(in: directory, server: url)
        let facts: JSONValue = ["pid": .from(Int(getpid())), "port": .from(port), "url": .string(url)]
        try Files.write(facts.bytes, to: "\(directory)/apiserver.json")
    }

    private static func openCore(
        _ directory: String, _ configuration: ApiServerConfiguration, _ credentials: Credentials,
        _ metrics: APIMetrics
    ) throws -> sending APICore {
        let file = "\(directory)/fathom.db"
        let identity = Digest.hex(try Digest.random(8))
        let store: ObjectStore
        do throws(DatabaseError) {
            store = try ObjectStore(
                path: file, keptRevisions: configuration.keptRevisions, identity: identity)
        } catch {
            if error.isBusy { throw LocalClusterError("the database \(file) is used by another process") }
            let advice = error.isCorruption ? "; it is damaged: move it away to begin with an empty one" : ""
            throw LocalClusterError("cannot use the database \(file): \(error)\(advice)")
        }
        var users: [String: APIRole] = [:]
        for (role, token) in credentials.tokens { users[token] = role }
        do throws(StatusError) {
            let core = try APICore(store: store, users: users, metrics: metrics) {
                UUID().uuidString.lowercased()
            }
            for (name, content) in CustomResourceDefinitions.all { try core.install(name, content) }
            return core
        } catch {
            throw LocalClusterError("cannot use the database \(file): \(error.message)")
        }
    }

    package func stop() async {
        service.endAllWatches()
        server.stop()
        // The loop takes a moment to write the ends of the watches.
        let end = ContinuousClock.now + .seconds(1)
        while server.connectionCount > 0, ContinuousClock.now < end {
            try? await Task.sleep(for: .milliseconds(10))
        }
        loop.stop()
        close(lock)
    }
}
