internal import DepthCacheAPI
internal import FoundationEssentials
internal import K8sClient
internal import Telemetry
internal import Transport

/// Serves clients until the task is cancelled: accepts queries, chooses replicas, forwards over the links, replies.
package func runGateway(_ configuration: GatewayConfiguration) async throws {
    let log = Log("gateway")
    var access = try KubernetesConfiguration.load(kubeconfig: configuration.kubeconfig)
    access.namespace = configuration.namespace
    var client = KubernetesClient(configuration: access, http: try HTTPClient(connectionsPerHost: 32))
    client.timeout = .seconds(5)
    client.metrics = CallMetrics(configuration.metrics)
    configuration.metrics.addProcess(version: configuration.version)
    let health = Health(waitingFor: ["cluster": "the cluster's state has not been read yet"])
    let markets = Guarded(MarketDirectory())
    let directory = ClusterDirectory(store: KubernetesDepthCacheStore(client: client))
    let identity = LinkIdentity(
        role: .gateway, name: configuration.name, uid: configuration.uid,
        incarnation: Digest.hex(try Digest.random(8)))
    let secret = configuration.linkKeySecret.map { LinkKeySecret(client: client, name: $0) }
    guard let keys = try LinkKeySource(file: configuration.linkKeyFile, secret: secret) else {
        throw TransportError(
            "expected a link key (--link-key-secret or --link-key-file)", source: .ours, mayRetry: false)
    }
    let protection = configuration.protection
    let tokens = Guarded(TokenList())
    let tokenSource: TokenSource? =
        if let file = protection.tokensFile {
            try TokenSource(file: file, into: tokens)
        } else {
            protection.tokensSecret.map { TokenSource(secret: $0, client: client, into: tokens) }
        }
    let runtime = try GatewayRuntime(
        configuration, directory: directory, markets: markets, health: health,
        links: LinkSettings(identity: identity, keys: keys.keys), tokens: tokens,
        credentialStore: configuration.credentialEndpoints ? KubernetesCredentialStore(client: client) : nil)
    log.info(
        "Serving",
        [
            "host": configuration.host, "port": "\(runtime.port)", "namespace": client.namespace,
            "without_token": protection.anonymous(listeningOn: configuration.host).rawValue,
        ])
    configuration.onListening?(runtime.port, runtime.healthPort)
    let following = Task {
        await withDiscardingTaskGroup { group in
            group.addTask { await keys.run(health: health) }
            if let tokenSource { group.addTask { await tokenSource.run(health: health) } }
            if let tls = protection.tls {
                let files = CertificateFiles(settings: tls, metrics: runtime.metrics)
                group.addTask { await files.run { runtime.use($0) } }
            }
        }
    }
    defer { following.cancel() }
    let watcher = ClusterWatcher(client: client, directory: directory, markets: markets, health: health)
    // The cluster is watched to the very end, so that queries find their workers while we drain.
    let watching = Task { await watcher.run() }
    let (never, hold) = AsyncStream.makeStream(of: Void.self)
    for await _ in never {}  // until the task is cancelled
    hold.finish()
    health.setUnready("stopping", "the gateway is stopping")
    log.info("Stopping", ["grace": "\(configuration.drainGrace)"])
    runtime.endKeepAlives()
    // The task is cancelled: only a task of its own can still wait.
    await Task.detached {
        let end = ContinuousClock.now + configuration.drainGrace
        while !configuration.mustHurry(), ContinuousClock.now < end {
            try? await Task.sleep(for: .milliseconds(50))
        }
        await runtime.stop(grace: .seconds(2))
    }.value
    watching.cancel()
    await watching.value
}
