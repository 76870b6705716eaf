import Binance
import DepthCacheAPI
import K8sClient
import Telemetry
import Transport

/// Follows the caches, the replicas and the Leases of all workers, and keeps the desk's directory and its links in line with them.
///
/// While the Kubernetes API is away, the last that was seen stays.
struct PeerWatch: Sendable {
    let desk: PeerDesk
    private let links: PeerLinks
    private let caches: Informer<DepthCache>
    private let replicas: Informer<DepthCacheReplica>
    private let leases: Informer<Lease>
    private let ownUID: String
    private let exchanges: ExchangeDirectory

    private static let tidyInterval: Duration = .seconds(5)

    /// - Parameters:
    ///   - client: how to reach the Kubernetes API.
    ///   - namespace: where workers and replicas are.
    ///   - identity: who this worker says that it is.
    ///   - keys: of the links.
    ///   - loop: where the links live.
    ///   - exchanges: which exchanges share their books.
    ///   - clock: the worker's.
    ///   - metrics: where copies are counted.
    init(
        client: KubernetesClient, namespace: String, identity: LinkIdentity,
        keys: @escaping @Sendable () -> LinkKeys, loop: EventLoop, exchanges: ExchangeDirectory,
        clock: WorkerClock, metrics: MetricRegistry
    ) {
        let links = PeerLinks(
            loop: loop, identity: identity, keys: keys, clock: clock, metrics: LinkMetrics(metrics))
        self.links = links
        desk = PeerDesk(clock: clock, metrics: metrics) { await links.ask($0, $1) }
        caches = Informer(client: client, namespace: namespace, log: Log("peers"))
        replicas = Informer(client: client, namespace: namespace, log: Log("peers"))
        leases = Informer(
            client: client, namespace: namespace, selector: Selector(labels: WorkerRecord.selector),
            log: Log("peers"))
        ownUID = identity.uid
        self.exchanges = exchanges
    }

    /// Watches until the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await caches.run() }
            group.addTask { await replicas.run() }
            group.addTask { await leases.run() }
            let (ticks, tick) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
            group.addTask { for await _ in caches.changes() { tick.yield() } }
            group.addTask { for await _ in replicas.changes() { tick.yield() } }
            group.addTask { for await _ in leases.changes() { tick.yield() } }
            group.addTask {
                var pace = PublishingPace()
                for await _ in ticks {
                    let start = ContinuousClock.now
                    publish()
                    let pause = pace.pause(after: ContinuousClock.now - start)
                    do { try await Task.sleep(for: pause) } catch { return }
                }
            }
            group.addTask {
                while true {
                    do { try await Task.sleep(for: Self.tidyInterval) } catch { return }
                    await links.tidy(desk.workers)
                }
            }
        }
        await links.stop()
    }

    private func publish() {
        guard caches.isSynced, replicas.isSynced, leases.isSynced else { return }
        desk.update(
            PeerDirectory(
                ownUID: ownUID, caches: caches.objects.values,
                replicas: replicas.objects.values.filter { !$0.metadata.isBeingDeleted },
                leases: leases.objects.values, exchanges: exchanges))
    }
}
