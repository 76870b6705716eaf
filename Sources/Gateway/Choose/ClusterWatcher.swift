internal import DepthCacheAPI
internal import K8sClient
internal import Telemetry

/// Follows the cluster by watches and feeds the directory; while the API is away the last state stays.
struct ClusterWatcher: Sendable {
    private let caches: Informer<DepthCache>
    private let replicas: Informer<DepthCacheReplica>
    private let leases: Informer<Lease>
    private let pods: Informer<Pod>
    private let marketLists: Informer<ConfigMap>
    private let credentials: Informer<ConfigMap>
    private let directory: ClusterDirectory
    private let markets: Guarded<MarketDirectory>
    private let health: Health
    private let pictures = Guarded(ClusterPictures())
    /// Whether the directory has a whole picture: before that, nothing that it lacks is known to be absent.
    private let hasSynced = Guarded(false)

    /// ConfigMap and key of the masked list that the controller publishes.
    private static let credentialsName = ExchangeCredentials.configMapName
    init(
        client: KubernetesClient, directory: ClusterDirectory, markets: Guarded<MarketDirectory>,
        health: Health
    ) {
        let log = Log("gateway")
        caches = Informer(client: client, log: log)
        replicas = Informer(client: client, log: log)
        leases = Informer(client: client, selector: Selector(labels: WorkerRecord.selector), log: log)
        pods = Informer(
            client: client, selector: Selector(labels: "\(LabelKey.applicationName)=fathom"), log: log)
        marketLists = Informer(client: client, selector: Selector(labels: MarketList.selector), log: log)
        credentials = Informer(
            client: client, selector: Selector(fields: "metadata.name=\(Self.credentialsName)"), log: log)
        self.directory = directory
        self.markets = markets
        self.health = health
    }

    /// Watches until the task is cancelled.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await caches.run() }
            group.addTask { await replicas.run() }
            group.addTask { await leases.run() }
            group.addTask { await pods.run() }
            group.addTask { await marketLists.run() }
            group.addTask { await credentials.run() }
            let (ticks, tick) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
            // By key: in a storm of changes, to look at all objects for each would take the processor from those who make them.
            group.addTask {
                for await keys in caches.changes() {
                    pictures.withLock {
                        $0.take(keys, \.caches) { caches[$0].flatMap { CachePicture(placed: $0) } }
                    }
                    tick.yield()
                }
            }
            group.addTask {
                for await keys in replicas.changes() {
                    pictures.withLock {
                        $0.take(keys, \.replicas) { replicas[$0].flatMap { ReplicaPicture($0) } }
                    }
                    tick.yield()
                }
            }
            group.addTask {
                for await keys in leases.changes() {
                    pictures.withLock {
                        $0.take(keys, \.workers) { leases[$0].flatMap { WorkerPicture($0) } }
                    }
                    tick.yield()
                }
            }
            group.addTask {
                for await keys in pods.changes() {
                    pictures.withLock { $0.take(keys, \.pods) { pods[$0].flatMap { PodPicture($0) } } }
                    tick.yield()
                }
            }
            group.addTask { for await _ in credentials.changes() { tick.yield() } }
            group.addTask { for await _ in marketLists.changes() { readMarkets() } }
            group.addTask {
                var pace = PublishingPace()
                for await _ in ticks {
                    let start = ContinuousClock.now
                    await publish()
                    let pause = pace.pause(after: ContinuousClock.now - start)
                    do { try await Task.sleep(for: pause) } catch { return }
                }
            }
            group.addTask {
                while !Task.isCancelled {
                    noteAPIState()
                    do { try await Task.sleep(for: .milliseconds(250)) } catch { return }
                }
            }
            await group.waitForAll()
        }
    }

    private func noteAPIState() {
        let hasSynced = hasSynced.withLock { $0 }
        let states = [caches.state, replicas.state, leases.state]
        let trouble = states.compactMap(\.problem).first
        directory.setAPIState(ClusterDirectory.APIState(hasSynced: hasSynced, trouble: trouble))
        if hasSynced {
            health.setUnready("cluster", nil)
        } else if let trouble {
            health.setUnready("cluster", "the cluster's state cannot be read: \(trouble)")
        }
    }

    private func readMarkets() {
        let lists = MarketList.read(Array(marketLists.objects.values))
        markets.withLock { $0.markets = lists }
    }

    private func publish() async {
        guard var picture = pictures.withLock({ $0.whole }) else { return }
        picture.credentials = credentials[Self.credentialsName].map(Self.credentials) ?? []
        await directory.update(picture)
        hasSynced.withLock { $0 = true }
        noteAPIState()
    }

    /// Each value of the ConfigMap is one masked entry, or an array of them.
    private static func credentials(_ map: ConfigMap) -> [CredentialPicture] {
        let entries = map.data.values.flatMap { text -> [CredentialPicture] in
            guard let value = try? JSONValue(parsing: text) else { return [] }
            return (value.elements ?? [value]).compactMap { CredentialPicture($0) }
        }
        return entries.sorted { ($0.added, $0.id) < ($1.added, $1.id) }
    }
}

/// The pictures of all objects by their keys, so that a change costs what it touches; nil before the first whole list.
struct ClusterPictures {
    var caches: [ObjectKey: CachePicture]?
    var replicas: [ObjectKey: ReplicaPicture]?
    var workers: [ObjectKey: WorkerPicture]?
    var pods: [ObjectKey: PodPicture]?

    /// Looks at the objects that have changed; one without a picture is gone.
    mutating func take<Picture>(
        _ keys: Set<ObjectKey>, _ place: WritableKeyPath<ClusterPictures, [ObjectKey: Picture]?>,
        _ look: (ObjectKey) -> Picture?
    ) {
        if self[keyPath: place] == nil { self[keyPath: place] = [:] }
        for key in keys { self[keyPath: place]?[key] = look(key) }
    }

    /// Nil until caches, replicas and workers were all taken: caches without their workers are no picture of the cluster.
    var whole: ClusterPicture? {
        guard let caches, let replicas, let workers else { return nil }
        return ClusterPicture(
            caches: Array(caches.values), replicas: Array(replicas.values), workers: Array(workers.values),
            pods: (pods ?? [:]).values.sorted { $0.name < $1.name })
    }
}

extension CachePicture {
    /// Nil for one that is being deleted.
    init?(placed cache: DepthCache) {
        guard !cache.metadata.isBeingDeleted else { return nil }
        self.init(cache)
    }
}

extension ReplicaPicture {
    /// Nil for one that is being deleted or that nobody can be asked for.
    init?(_ replica: DepthCacheReplica) {
        guard !replica.metadata.isBeingDeleted, let cacheUID = replica.cacheUID,
            let workerUID = replica.workerUID
        else { return nil }
        self.init(
            name: replica.metadata.name ?? "", cacheUID: cacheUID, workerUID: workerUID,
            workerName: replica.spec.workerName,
            created: Double(replica.metadata.creationTimestamp?.secondsSinceEpoch ?? 0),
            isSynchronized: replica.status?.phase == .synchronized,
            incarnation: replica.status?.incarnation ?? "", restarts: replica.status?.restarts ?? 0,
            since: Double(replica.status?.since.flatMap { Timestamp($0) }?.secondsSinceEpoch ?? 0))
    }
}

extension WorkerPicture {
    /// Nil for a worker that has ended, or has no endpoint.
    init?(_ lease: Lease) {
        guard let record = WorkerRecord(lease), let incarnation = record.incarnation,
            let endpoint = record.endpoint, let colon = endpoint.lastIndex(of: ":"),
            let port = Int(endpoint[endpoint.index(after: colon)...])
        else { return nil }
        self.init(
            uid: record.uid, name: record.name, node: record.node,
            address: String(endpoint[..<colon].drop { $0 == "[" }.prefix { $0 != "]" }),
            port: port,
            incarnation: incarnation,
            lastSeen: Double(lease.spec.renewTime?.microsecondsSinceEpoch ?? 0) / 1e6)
    }
}

extension PodPicture {
    /// Nil for pods that are neither gateway nor worker, or gone.
    init?(_ pod: Pod) {
        let role: Role
        switch pod.metadata.labels[LabelKey.applicationComponent] {
        case Component.worker.rawValue: role = .worker
        case Component.gateway.rawValue: role = .gateway
        default: return nil
        }
        guard !["Succeeded", "Failed"].contains(pod.status?.phase) else { return nil }
        self.init(
            name: pod.metadata.name ?? "", uid: pod.metadata.uid ?? "", node: pod.spec?.nodeName ?? "",
            role: role,
            address: pod.status?.podIP ?? "", port: role == .worker ? 8082 : 8080, isReady: pod.isReady)
    }
}
