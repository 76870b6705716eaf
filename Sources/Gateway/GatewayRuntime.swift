internal import DepthCacheAPI
internal import K8sClient
internal import Telemetry
internal import Transport

/// A running gateway: its loops with their dispatchers and links, and its two listeners.
///
/// Who feeds the directory is decided outside: watches in the program, a script in tests.
final class GatewayRuntime: Sendable {
    let port: Int
    let healthPort: Int?
    private let loops: [(loop: EventLoop, dispatcher: Dispatcher)]
    private let server: HTTPServer
    private let healthServer: HTTPServer?
    let metrics: GatewayMetrics

    /// How often the queries under way are looked after.
    private static let checkInterval = Duration.milliseconds(50)

    init(
        _ configuration: GatewayConfiguration, directory: ClusterDirectory, markets: Guarded<MarketDirectory>,
        health: Health, links: LinkSettings, tokens: Guarded<TokenList> = Guarded(TokenList()),
        credentialStore: (any CredentialStore)? = nil
    ) throws {
        let registry = configuration.metrics
        let metrics = GatewayMetrics(registry)
        self.metrics = metrics
        let protection = configuration.protection
        let refusals = HTTPRefusals()
        let pod = PodPicture(
            name: configuration.name, uid: configuration.uid, node: configuration.nodeName, role: .gateway,
            address: configuration.host, port: configuration.port, isReady: true)
        let service = GatewayService(
            directory: directory, markets: markets,
            pages: ClusterPages(gateway: pod, version: configuration.version),
            loopback: LoopbackGuard(
                listeningOn: configuration.host, allowedHosts: configuration.allowedHosts,
                allowedOrigins: protection.corsOrigins),
            access: AccessControl(
                anonymous: protection.anonymous(listeningOn: configuration.host), tokens: tokens),
            refusals: refusals, metrics: metrics, requestDeadline: configuration.requestDeadline,
            namespace: configuration.namespace,
            credentials: credentialStore.map { CredentialAdministration(directory: directory, store: $0) },
            sharesAnswers: configuration.sharesAnswers,
            wallClock: { Double(MicroTimestamp.now.microsecondsSinceEpoch) / 1e6 })
        var loops: [(loop: EventLoop, dispatcher: Dispatcher)] = []
        for index in 0..<max(1, configuration.loopCount) {
            let loop = try EventLoop(name: "gateway-\(index)")
            loops.append((loop, Dispatcher(service: service, on: loop)))
        }
        self.loops = loops
        do {
            var http = HTTPServerConfiguration(host: configuration.host, port: configuration.port)
            protection.apply(to: &http)
            http.refusals = refusals
            http.refusalBody = { _, words in
                let envelope = Envelope.error(
                    .badQueryParameter, "REQUEST", "The request was refused: \(words)")
                return ("application/json", Array(Envelope.render(envelope)))
            }
            let handler = GatewayServer(
                loops.map { ($0.loop, $0.dispatcher) },
                journal: RequestJournal(
                    writesAll: configuration.writesAccessLog, prefix: Digest.hex(try Digest.random(3))),
                crossOrigin: CrossOrigin(protection.corsOrigins),
                limit: protection.requestRate(listeningOn: configuration.host).map {
                    RequestLimit(rate: $0, trustedProxies: protection.trustedProxies, refusals: refusals)
                })
            if let tls = protection.tls { metrics.certificate(try TLSServerContext(tls), isReload: false) }
            server = try HTTPServer(http, loops: loops.map(\.loop), handler: handler)
            server.show(in: registry, listener: "clients")
            healthServer = try configuration.healthPort.map { port in
                let http = HTTPServerConfiguration(host: configuration.healthHost, port: port)
                let handler = HealthEndpoint(health: health, metrics: registry)
                return try HTTPServer(http, loops: loops.map(\.loop), handler: handler)
            }
        } catch {
            for (loop, _) in loops { loop.stop() }
            throw error
        }
        LoopWatch.watch(loops.map(\.loop), registry)
        port = server.port
        healthPort = healthServer?.port
        for (index, (loop, dispatcher)) in loops.enumerated() {
            loop.execute { Self.check(index, loop, dispatcher, health) }
        }
        for (loop, dispatcher) in loops {
            // Weak: the dispatcher has the directory, and a directory that had it too would keep both for ever.
            directory.onChange { [weak dispatcher] table in
                guard let dispatcher else { return }
                loop.execute { dispatcher.assumeIsolated { $0.connect(table.workers, links, on: loop) } }
            }
        }
    }

    /// Looks after a loop's queries again and again; ends with the loop.
    private static func check(
        _ index: Int, _ loop: EventLoop, _ dispatcher: Dispatcher, _ health: Health
    ) {
        let counts = dispatcher.assumeIsolated { dispatcher in
            dispatcher.check()
            return dispatcher.linkCounts
        }
        let known = counts.values.reduce(0, +)
        let isOpen = known == 0 || counts[.up] ?? 0 > 0 || counts[.suspect] ?? 0 > 0
        health.setUnready("links \(index)", isOpen ? nil : "no link to any of \(known) workers is up")
        loop.schedule(after: checkInterval) { check(index, loop, dispatcher, health) }
    }

    /// New connections get this certificate.
    func use(_ certificate: TLSServerContext) { server.use(certificate) }

    /// Serves on, but every answer is the last one of its connection: clients connect anew, and to others.
    func endKeepAlives() { server.endKeepAlives() }

    /// Accepts no more, lets what is being answered finish within `grace`, then closes everything and joins the threads.
    func stop(grace: Duration) async {
        server.drain()
        let end = ContinuousClock.now + grace
        while server.connectionCount > 0, ContinuousClock.now < end {
            try? await Task.sleep(for: .milliseconds(10))
        }
        server.stop()
        healthServer?.stop()
        for (loop, dispatcher) in loops {
            await dispatcher.disconnect()
            loop.stop()
        }
    }
}
