internal import Binance
internal import DepthCacheAPI
internal import FoundationEssentials
internal import K8sClient
internal import Telemetry
internal import Transport

/// Runs the controller until the task is cancelled; throws when it cannot start or loses its leadership.
package func runController(_ configuration: ControllerConfiguration) async throws {
    let controller = try Controller(configuration)
    try await controller.run()
}

/// The parts of the controller and the order in which they run.
private struct Controller: Sendable {
    private let configuration: ControllerConfiguration
    private let metrics = ControllerMetrics()
    private let health = Health(waitingFor: ["api": "nothing has been read from the Kubernetes API yet"])
    private let client: KubernetesClient
    private let http: HTTPClient
    private let exchanges: ExchangeDirectory
    private let watch: ClusterWatch
    private let keys: LinkKeySource?
    private let keySecret: LinkKeySecret?
    private let log = Log("controller")

    init(_ configuration: ControllerConfiguration) throws {
        self.configuration = configuration
        var access = try KubernetesConfiguration.load(kubeconfig: configuration.kubeconfig)
        access.namespace = configuration.namespace
        http = try HTTPClient(connectionsPerHost: 32)
        var client = KubernetesClient(configuration: access, http: http)
        client.metrics = CallMetrics(metrics.registry)
        self.client = client
        metrics.registry.addProcess(version: configuration.version)
        exchanges = try Self.exchanges(configuration.exchangesFile)
        watch = ClusterWatch(client: client)
        var secret: LinkKeySecret?
        if let name = configuration.linkKeySecret { secret = LinkKeySecret(client: client, name: name) }
        keySecret = secret
        keys = try LinkKeySource(file: configuration.linkKeyFile, secret: secret)
    }

    private static func exchanges(_ file: String?) throws -> ExchangeDirectory {
        guard let file else { return ExchangeDirectory() }
        let bytes: Data
        do { bytes = try Data(contentsOf: URL(filePath: file)) } catch {
            throw ControllerError("cannot read the exchanges file \(file): \(error)")
        }
        do { return try ExchangeDirectory(overridesYAML: Array(bytes)) } catch {
            throw ControllerError("\(file): \(error)")
        }
    }

    func run() async throws {
        let loop = try EventLoop(name: "controller")
        defer { loop.stop() }
        let server = try HTTPServer(
            HTTPServerConfiguration(host: configuration.host, port: configuration.port), loops: [loop],
            handler: HealthEndpoint(health: health, metrics: metrics.registry))
        defer { server.stop() }
        server.show(in: metrics.registry, listener: "health")
        LoopWatch.watch([loop], metrics.registry)
        configuration.onListening(server.port)
        let leadership = Leadership(
            client: client, configuration: configuration, leaseName: Fathom.leaderLeaseName, metrics: metrics)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await watch.run() }
            if let keys { group.addTask { await keys.run(health: health) } }
            group.addTask { try await reportHealth() }
            group.addTask {
                try await leadership.run { try await lead(loop, client.fenced(by: leadership.election.term)) }
            }
            defer { group.cancelAll() }
            while let _ = try await group.next() { return }
        }
    }

    /// A standby is ready too: it is there to take over.
    private func reportHealth() async throws {
        let nothingYet = "nothing has been read from the Kubernetes API yet"
        while true {
            health.setUnready("api", watch.problem ?? (watch.isSynced ? nil : nothingYet))
            try await Task.sleep(for: .milliseconds(250))
        }
    }

    /// What the leader does: one pass after every change, and one a second for what only time changes.
    private func lead(_ loop: EventLoop, _ client: KubernetesClient) async throws {
        try await watch.waitUntilSynced()
        let events = EventRecorder(
            client: client, component: "fathom-controller", instance: configuration.identity)
        let reconciler = Reconciler(
            writer: KubernetesWriter(client: client, events: events), check: SpecCheck(exchanges).violations,
            metrics: metrics)
        let desk = GrantDesk(exchanges: exchanges, metrics: metrics) { MarketPublisher.wallMilliseconds }
        let publisher = MarketPublisher(
            client: client, http: http, exchanges: exchanges, interval: configuration.marketsInterval,
            budget: desk, metrics: metrics)
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            group.addTask { await events.run() }
            if let keySecret {
                let rotation = LinkKeyRotation(
                    client: client, source: keySecret, interval: configuration.linkKeyInterval, events: events
                )
                group.addTask { await rotation.run() }
            }
            if configuration.assignsCredentials {
                let keeper = CredentialKeeper(
                    client: client, replicas: watch.replicas, exchanges: exchanges, events: events,
                    metrics: metrics)
                group.addTask { await keeper.run() }
            }
            group.addTask {
                await publisher.run {
                    Set(configuration.alwaysPublishedExchanges).union(
                        watch.caches.objects.values.map(\.spec.exchange))
                }
            }
            group.addTask { try await grant(desk, loop) }
            group.addTask { try await reconcile(reconciler) }
            while let _ = try await group.next() { return }
        }
    }

    /// Divides the exchanges' request weight among the workers.
    private func grant(_ desk: GrantDesk, _ loop: EventLoop) async throws {
        let groups = watch.nodes
        let workers: @Sendable () async -> [GrantLinks.Worker] = {
            var members: [WeightPlanner.Member] = []
            var reachable: [GrantLinks.Worker] = []
            for record in watch.leases.objects.values.compactMap({ WorkerRecord($0) }) {
                // Also a worker that seems lost may be alive and spend what it was granted.
                guard let incarnation = record.incarnation else { continue }
                members.append(
                    WeightPlanner.Member(id: incarnation, group: groups.group(node: record.node)))
                if let endpoint = record.endpoint {
                    reachable.append(
                        GrantLinks.Worker(uid: record.uid, incarnation: incarnation, endpoint: endpoint))
                }
            }
            await desk.setMembers(members, ownGroup: groups.group(node: configuration.node))
            return reachable
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                guard let keys else {
                    log.warning("No link key: request weight is not shared out")
                    while true {
                        _ = await workers()
                        try await Task.sleep(for: .seconds(1))
                    }
                }
                let identity = LinkIdentity(
                    role: .controller, name: configuration.identity, uid: configuration.uid,
                    incarnation: Digest.hex(try Digest.random(8)))
                let links = GrantLinks(
                    desk: desk, loop: loop, identity: identity, keys: keys.keys, metrics: metrics.links,
                    measured: { watch.take(loads: $0) })
                await links.run(workers: workers)
            }
            try await group.waitForAll()
        }
    }

    private func reconcile(_ reconciler: Reconciler) async throws {
        let began = ContinuousClock.now
        let patience: Duration = .seconds(Fathom.workerLeaseRenewalSeconds) + .milliseconds(1500)
        var backoff = Backoff(initial: .milliseconds(200), maximum: .seconds(15))
        for await _ in watch.changes {
            repeat {
                // Changes come in swarms; one pass serves them all.
                try await Task.sleep(for: .milliseconds(20))
                let now = ContinuousClock.now
                // A new leader first lets every worker renew once: else a dead worker's copies would look ready again.
                if began.duration(to: now) < patience, watch.hasUnprovenWorkers(at: now) { break }
                let seen = watch.observe(at: now)
                if await reconciler.pass(seen, at: now, time: .now) {
                    backoff.reset()
                } else {
                    try await Task.sleep(for: backoff.next())
                }
            } while watch.holdsArrivals
        }
    }
}
