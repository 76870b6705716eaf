internal import K8sClient
internal import Telemetry

/// Only one controller of a namespace writes; the others wait, say so, and keep their copies warm.
struct Leadership: Sendable {
    let election: LeaderElection
    private let metrics: ControllerMetrics

    init(
        client: KubernetesClient, configuration: ControllerConfiguration, leaseName: String,
        metrics: ControllerMetrics
    ) {
        var settings = LeaderElectionSettings()
        settings.leaseDuration = configuration.leaseDuration
        settings.renewDeadline = configuration.renewDeadline
        settings.retryPeriod = configuration.retryPeriod
        self.metrics = metrics
        // Two starts under one name are two candidates.
        let start = String(UInt64.random(in: .min ... .max), radix: 16)
        let log = Log("controller")
        election = LeaderElection(
            client: client, name: leaseName, identity: "\(configuration.identity)_\(start)",
            settings: settings,
            standingBy: { holder in
                log.warning(
                    "Another controller leads this namespace; waiting until its Lease ends",
                    ["lease": leaseName, "namespace": client.namespace, "holder": holder])
            })
    }

    /// Runs `lead` while leading; throws when leadership is lost.
    func run(_ lead: @escaping @Sendable () async throws -> Void) async throws {
        let metrics = metrics
        defer { metrics.isLeader.set(0) }
        try await election.run {
            metrics.isLeader.set(1)
            try await lead()
        }
    }
}
