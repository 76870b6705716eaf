import Binance
import DepthCacheAPI
import FoundationEssentials
import K8sClient
import Telemetry
import Transport

/// Runs one worker until the task is cancelled: drains, gives its Lease back and joins its threads before it returns.
package func runWorker(_ configuration: WorkerConfiguration) async throws {
    let worker = try Worker(configuration)
    try await worker.run()
}

/// The parts of a worker and the order in which they start and end.
final class Worker: Sendable {
    private static let log = Log("worker")

    private let configuration: WorkerConfiguration
    private let incarnation: String
    private let health = Health(waitingFor: ["api": "nothing has been read from the Kubernetes API yet"])
    private let board = ReportBoard()
    private let evidence: EvidenceStore
    private let events: EventRecorder
    private let client: KubernetesClient
    /// Has connections of its own, so that a renewal of the Lease never waits for one.
    private let leaseClient: KubernetesClient
    private let venues: [Venue]
    private let loops: [FeedLoop]
    private let serverLoop: EventLoop
    private let server: HTTPServer
    private let links: LinkServer
    private let keeper: ReplicaKeeper
    private let informer: Informer<DepthCacheReplica>
    private let peers: PeerWatch
    private let linkKeys: LinkKeySource
    private let exchangeKeys: ExchangeKeys
    private let exchanges: ExchangeDirectory

    init(_ configuration: WorkerConfiguration) throws {
        self.configuration = configuration
        incarnation = Digest.hex(try Digest.random(8))
        let (clock, metrics) = (WorkerClock(), MetricRegistry())
        let directory = BookDirectory()
        let evidence = EvidenceStore(directory: configuration.dumpDirectory)
        self.evidence = evidence
        var access = try KubernetesConfiguration.load(kubeconfig: configuration.kubeconfigPath)
        access.namespace = configuration.namespace
        // Five watches stay open, and one more for each Secret with credentials.
        var client = KubernetesClient(
            configuration: access, http: try HTTPClient(connectionsPerHost: 32))
        client.metrics = CallMetrics(metrics)
        self.client = client
        var leaseClient = KubernetesClient(configuration: access, http: try HTTPClient())
        leaseClient.metrics = client.metrics
        self.leaseClient = leaseClient
        metrics.addProcess(version: configuration.version)
        events = EventRecorder(client: client, component: "fathom-worker", instance: configuration.name)
        let exchanges = try Self.exchanges(configuration.exchangesFile)
        self.exchanges = exchanges
        var secret: LinkKeySecret?
        if let name = configuration.linkKeySecret { secret = LinkKeySecret(client: client, name: name) }
        let keys = try LinkKeySource(file: configuration.linkKeyFile, secret: secret)
        guard let keys else {
            throw WorkerError("expected a link key (--link-key-secret or --link-key-file)")
        }
        linkKeys = keys
        exchangeKeys = ExchangeKeys(client: client, metrics: metrics)
        let identity = LinkIdentity(
            role: .worker, name: configuration.name, uid: configuration.uid, incarnation: incarnation)
        serverLoop = try EventLoop(name: "serve")
        peers = PeerWatch(
            client: client, namespace: configuration.namespace, identity: identity, keys: keys.keys,
            loop: serverLoop, exchanges: exchanges, clock: clock, metrics: metrics)
        let (venues, pools) = try Self.venues(
            exchanges, peers.desk, exchangeKeys, clock, metrics)
        self.venues = venues
        let weights = WeightEndpoint(pools: pools, clock: clock, metrics: metrics)
        weights.start()
        loops = try (0..<max(1, configuration.loopCount)).map { [board] index in
            FeedLoop(
                loop: try EventLoop(name: "feed-\(index)"), clock: clock, board: board,
                settings: configuration.lines, evidence: evidence)
        }
        keeper = ReplicaKeeper(
            incarnation: incarnation, exchanges: exchanges,
            venues: Dictionary(uniqueKeysWithValues: venues.map { ($0.exchange.name, $0) }), loops: loops,
            directory: directory, metrics: metrics, clock: clock, linger: configuration.lingerPeriod,
            announce: { [events] in events.record($0, $1, reason: $2.rawValue, message: $3) })
        informer = Informer(
            DepthCacheReplica.self, client: client, namespace: configuration.namespace,
            selector: Selector(labels: [LabelKey.worker: configuration.uid]))
        let (counts, rendered) = (QueryCounts(metrics), RenderedSides())
        links = LinkServer(
            identity: identity, keys: keys.keys,
            refused: metrics.counter(
                "fathom_worker_refused_links_total",
                help: "Links that were refused or ended for what their peer sent."),
            handler: LinkEndpoint(
                books: BookEndpoint(
                    directory: directory, clock: clock, counts: counts, rendered: rendered),
                bothSides: BooksEndpoint(
                    directory: directory, clock: clock, counts: counts, rendered: rendered),
                copies: CopyEndpoint(
                    incarnation: incarnation, directory: directory, clock: clock, metrics: metrics
                ) { book in venues.first { $0.exchange.name == book.venue }?.source.isComing(book) ?? false },
                audits: AuditEndpoint(directory: directory, loops: loops),
                infos: InfoEndpoint(directory: directory, clock: clock), weights: weights,
                durations: LinkDurations(metrics),
                loads: { [loads = keeper.loads] in loads.withLock { $0 } }))
        do {
            server = try HTTPServer(
                HTTPServerConfiguration(host: configuration.listenAddress, port: configuration.port),
                loops: [serverLoop], handler: HealthEndpoint(health: health, metrics: metrics),
                webSockets: ["/link/v1": links])
            server.show(in: metrics, listener: "link")
            LoopWatch.watch(loops.map(\.loop) + [serverLoop], metrics)
            metrics.gauge(
                "fathom_worker_accepted_links",
                help: "Links that gateways, other workers and the controller have made to this worker."
            ) { [links] in Double(links.linkCount) }
        } catch {
            for loop in loops { loop.loop.stop() }
            serverLoop.stop()
            throw error
        }
    }

    /// Serves until cancelled, or until a later start of the same worker has taken the Lease.
    func run() async throws {
        Self.log.info(
            "Worker starts",
            [
                "name": configuration.name, "uid": configuration.uid, "incarnation": incarnation,
                "port": "\(server.port)",
            ])
        configuration.onListening?(server.port)
        for loop in loops { loop.start() }
        let renewer = LeaseRenewer(
            client: leaseClient, lease: lease, interval: .seconds(Fathom.workerLeaseRenewalSeconds))
        let (endings, ending) = AsyncStream.makeStream(of: (any Error).self)
        let (ended, end) = AsyncStream.makeStream(of: Void.self)
        // All goes on after the cancellation, so that books are kept and queries answered while others take over.
        let background = Task { await self.keepAlive(renewer, ending) }
        let isOver = Guarded(false)
        let working = Task {
            defer {
                isOver.withLock { $0 = true }
                end.finish()
            }
            try await self.work(endings)
        }
        for await _ in ended {}
        var isHandedOver = false
        if Task.isCancelled {
            isHandedOver = await Drain(keeper: keeper, health: health, configuration: configuration).run(
                renewer, unless: { isOver.withLock { $0 } })
        }
        working.cancel()
        var failure: (any Error)?
        do { try await working.value } catch { failure = error is CancellationError ? nil : error }
        background.cancel()
        await background.value
        if failure == nil { await renewer.end(removing: isHandedOver) }
        await self.end()
        if let failure { throw failure }
    }

    private var lease: Lease {
        var lease = WorkerRecord(
            name: configuration.name, uid: configuration.uid, incarnation: incarnation,
            endpoint: IPAddress.authority(configuration.advertisedAddress, server.port),
            node: configuration.node
        ).lease(namespace: configuration.namespace, renewed: .now)
        // In a pod the Lease goes with it; elsewhere nothing has this name and uid, and it would be collected at once.
        if KubernetesConfiguration.isPod(kubeconfig: configuration.kubeconfigPath) {
            lease.metadata.ownerReferences = [
                OwnerReference(
                    apiVersion: "v1", kind: "Pod", name: configuration.name, uid: configuration.uid,
                    controller: nil, blockOwnerDeletion: nil)
            ]
        }
        return lease
    }

    private func keepAlive(_ renewer: LeaseRenewer, _ ending: AsyncStream<any Error>.Continuation) async {
        await withDiscardingTaskGroup { group in
            for venue in venues { group.addTask { await venue.desk.run() } }
            group.addTask { await self.linkKeys.run(health: self.health) }
            group.addTask { do { try await renewer.run() } catch { ending.yield(error) } }
        }
    }

    private func work(_ endings: AsyncStream<any Error>) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            group.addTask { await self.informer.run() }
            group.addTask { await self.peers.run() }
            group.addTask { try await self.followReplicas() }
            group.addTask { await self.followBooks() }
            group.addTask { await self.events.run() }
            group.addTask { await self.evidence.run() }
            group.addTask { try await self.watchTime() }
            group.addTask { for await error in endings { throw error } }
            for try await _ in group { return }
        }
    }

    private func followReplicas() async throws {
        try await informer.waitUntilSynced()
        health.setUnready("api", nil)
        var pace = PublishingPace()
        for await _ in informer.changes() {
            let start = ContinuousClock.now
            let replicas = Array(informer.objects.values)
            exchangeKeys.assign(ExchangeKeys.names(in: replicas, exchanges))
            await keeper.assign(replicas)
            board.nudge()
            try await Task.sleep(for: pace.pause(after: ContinuousClock.now - start))
        }
    }

    private func followBooks() async {
        for await _ in board.signal {
            await keeper.take(board.takeLosses())
            await keeper.take(board.take())
            await writeStatuses()
        }
    }

    /// Wakes whatever only time changes: ends of lingering, writes that wait for their turn.
    private func watchTime() async throws {
        while true {
            try await Task.sleep(for: .milliseconds(500))
            await keeper.tick()
            board.nudge()
            health.setUnready("books", await keeper.unreadiness)
            if !informer.isSynced, let problem = informer.state.problem { health.setUnready("api", problem) }
            let silent = loops.filter { $0.pulse.silence(now: $0.clock.now) > Self.loopPatience }
            health.setFailed(
                "loops",
                silent.isEmpty ? nil : "\(silent.count) event loops have not turned for \(Self.loopPatience)")
        }
    }

    /// A loop that has not turned for so long will not turn again: the process has to be restarted.
    private static let loopPatience: Duration = .seconds(30)

    /// How many statuses are on their way to the API at once.
    private static let statusWritesAtOnce = 8

    /// Writes what is due; a few at once, so that a slow answer does not hold up the rest, nor all of them the API.
    private func writeStatuses() async {
        await withTaskGroup(of: Void.self) { group in
            var running = 0
            while true {
                if running == Self.statusWritesAtOnce {
                    _ = await group.next()
                    running -= 1
                }
                guard let (name, status) = await keeper.nextWrite() else { return }
                running += 1
                group.addTask {
                    let isWritten = await self.write(status, to: name)
                    await self.keeper.finished(name, wrote: isWritten ? status : nil)
                }
            }
        }
    }

    private func write(_ status: DepthCacheReplicaStatus, to name: String) async -> Bool {
        do {
            try await client.patchStatus(
                DepthCacheReplica.self, name, namespace: configuration.namespace, .merge,
                ["status": try status.mergePatch()])
            return true
        } catch let error as APIError where error.isNotFound {
            return true
        } catch {
            Self.log.warning("Cannot write the status of a replica", ["replica": name, "error": "\(error)"])
            return false
        }
    }

    /// Ends links, connections and threads, in the order in which they lean on each other.
    private func end() async {
        links.stop()
        server.stop()
        for loop in loops {
            await loop.stop()
            loop.loop.stop()
        }
        serverLoop.stop()
        exchangeKeys.stop()
        Self.log.info("Worker has ended", ["name": configuration.name])
    }
}
