package import Telemetry

/// Everything that `fathom gateway` can be told; the defaults suit a laptop.
package struct GatewayConfiguration: Sendable {
    // Who this gateway is.
    package var name = "gateway"
    package var uid = "gateway"
    package var namespace = "default"
    package var nodeName = ""
    package var version = "0.1.0"

    // Where it listens.
    package var host = "127.0.0.1"
    package var port = 42081
    /// Health and metrics, kept apart from clients; port 0 is any, nil is none.
    package var healthHost = "127.0.0.1"
    package var healthPort: Int? = 0
    package var loopCount = 1
    /// Other values of `Host` that are accepted while listening on loopback.
    package var allowedHosts: [String] = []
    /// Whether credentials of exchanges can be added and removed.
    package var credentialEndpoints = false
    package var protection = GatewayProtection()

    // Whom it talks to.
    /// Path of a kubeconfig; nil is the in-cluster configuration, then `$KUBECONFIG`.
    package var kubeconfig: String?
    /// File with the key of the links, or the name of the Secret that has it.
    package var linkKeyFile: String?
    package var linkKeySecret: String?

    /// Equal questions that have not left for a worker yet share one answer.
    package var sharesAnswers = true

    // How long it tries.
    package var requestDeadline: Duration = .seconds(5)
    /// How long a stopping gateway serves on after it has said that it is not ready.
    package var drainGrace: Duration = .seconds(10)
    /// Asked while it does: whether it has to end at once.
    package var mustHurry: @Sendable () -> Bool = { false }

    // What it tells.
    /// Whether every request is written to the log.
    package var writesAccessLog = false
    package var metrics = MetricRegistry()

    /// Called once, with the actual ports, when both listeners accept.
    package var onListening: (@Sendable (_ port: Int, _ healthPort: Int?) -> Void)?

    package init() {}
}
