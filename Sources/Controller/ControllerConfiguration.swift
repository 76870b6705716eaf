/// What `fathom controller` needs to know.
package struct ControllerConfiguration: Sendable {
    /// The only namespace that the controller looks at.
    package var namespace: String = "default"
    /// A kubeconfig to use; nil: `KUBECONFIG` or in-cluster access.
    package var kubeconfig: String?
    /// Name, unique in the namespace, under which this process asks for the leader Lease.
    package var identity: String = "fathom-controller"
    /// Where health and metrics are served; port 0 takes any free one.
    package var host: String = "127.0.0.1"
    package var port: Int = 42079
    /// YAML file that overrides the built-in exchange table.
    package var exchangesFile: String?
    /// File with the key of the links to workers; without it nothing is granted, and workers live on their free share.
    package var linkKeyFile: String?
    /// Secret with that key instead, which the leader fills and changes at this interval.
    package var linkKeySecret: String?
    package var linkKeyInterval: Duration = .seconds(30 * 86_400)
    /// Whether Secrets with exchange credentials are looked for and assigned.
    package var assignsCredentials = true
    package var version: String = "unknown"
    /// The uid of this controller's pod, and the node it runs on.
    package var uid: String = ""
    package var node: String = ""
    /// Exchanges whose markets are published even while no DepthCache names them.
    package var alwaysPublishedExchanges: [String] = ["binance.com"]
    /// Written with the port in use once the server listens.
    package var onListening: @Sendable (Int) -> Void = { _ in }
    package var leaseDuration: Duration = .seconds(10)
    package var renewDeadline: Duration = .seconds(7)
    package var retryPeriod: Duration = .seconds(2)
    /// How often the markets of the exchanges are fetched.
    package var marketsInterval: Duration = .seconds(600)

    package init() {}
}

/// Why the controller ended; the message is for the operator.
package struct ControllerError: Error, Sendable, CustomStringConvertible {
    package var description: String

    package init(_ description: String) { self.description = description }
}
