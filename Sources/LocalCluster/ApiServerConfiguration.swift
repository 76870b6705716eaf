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
    package var keptRevisions: Int = 20_000

    package init() {}
}

/// Serves the embedded Kubernetes API until the task is cancelled.
package func runApiServer(_ configuration: ApiServerConfiguration) async throws {
    throw LocalClusterError("fathom apiserver is not built yet")
}
