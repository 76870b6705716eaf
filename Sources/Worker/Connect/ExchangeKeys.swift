import Binance
import DepthCacheAPI
import K8sClient
import Telemetry

/// The API keys that this worker was assigned, by account group; each Secret is watched by its name.
///
/// A changed value is used from the next request on. What cannot be read, or what the exchange refuses, is left out:
/// books are public and go on without a key.
final class ExchangeKeys: Sendable {
    private struct State {
        /// Which Secret serves which account group.
        var assigned: [String: String] = [:]
        /// The key in each watched Secret.
        var found: [String: APIKey] = [:]
        var watches: [String: Task<Void, Never>] = [:]
        /// Keys that the exchange does not accept, by Secret, until the value changes.
        var refused: [String: APIKey] = [:]
        /// Groups that had a Secret at some time: their metric says that they have none.
        var known: Set<String> = []
    }

    private static let log = Log("credentials")
    private let state = Guarded(State())
    private let client: KubernetesClient?
    private let metrics: MetricRegistry

    /// Without a client nothing is ever assigned.
    init(client: KubernetesClient?, metrics: MetricRegistry) {
        self.client = client
        self.metrics = metrics
    }

    /// The key to send to exchanges of a group, if there is one.
    func key(_ group: String) -> APIKey? {
        state.withLock { state in
            guard let name = state.assigned[group], let key = state.found[name], state.refused[name] != key
            else {
                return nil
            }
            return key
        }
    }

    /// Takes the whole of what is assigned now: Secret names by account group.
    func assign(_ names: [String: String]) {
        let (started, ended) = state.withLock { state -> ([String], [Task<Void, Never>]) in
            guard state.assigned != names else { return ([], []) }
            state.assigned = names
            let wanted = Set(names.values)
            let ended = state.watches.filter { !wanted.contains($0.key) }
            for name in ended.keys {
                state.watches[name] = nil
                state.found[name] = nil
                state.refused[name] = nil
            }
            return (wanted.filter { state.watches[$0] == nil }.sorted(), Array(ended.values))
        }
        for task in ended { task.cancel() }
        guard let client else { return }
        for name in started {
            let informer = Informer(Secret.self, client: client, selector: .name(name), log: Self.log)
            let task = Task { await self.follow(informer, name) }
            state.withLock { $0.watches[name] = task }
        }
        show()
    }

    /// The exchange does not accept this key: it is not sent again.
    func refuse(_ key: APIKey, group: String, reason: String) {
        let name = state.withLock { state -> String? in
            guard let name = state.assigned[group], state.found[name] == key, state.refused[name] != key
            else {
                return nil
            }
            state.refused[name] = key
            return name
        }
        guard let name else { return }
        Self.log.warning(
            "The exchange refuses an API key, requests go on without it",
            ["secret": name, "group": group, "reason": reason])
        show()
    }

    /// Which Secret serves which account group, as the replicas of this worker say; the controller says the same in all of a group.
    static func names(
        in replicas: [DepthCacheReplica], _ exchanges: ExchangeDirectory
    ) -> [String: String] {
        var names: [String: String] = [:]
        for replica in replicas where !replica.metadata.isBeingDeleted {
            guard let name = replica.spec.credentialsSecretName,
                let group = exchanges[name: replica.spec.exchange.asciiLowercased]?.accountGroup
            else { continue }
            names[group] = min(name, names[group] ?? name)
        }
        return names
    }

    /// Ends all watches.
    func stop() { assign([:]) }

    private func follow(_ informer: Informer<Secret>, _ name: String) async {
        await withDiscardingTaskGroup { group in
            group.addTask { await informer.run() }
            group.addTask {
                for await _ in informer.changes() where informer.isSynced {
                    self.take(informer[name], name)
                }
            }
        }
    }

    private func take(_ secret: Secret?, _ name: String) {
        let ours = secret.flatMap { $0.type == ExchangeCredentials.secretType ? $0 : nil }
        let key = ours.flatMap { $0.text(ExchangeCredentials.keyName) }.flatMap { APIKey($0) }
        let change = state.withLock { state -> (had: Bool, has: Bool)? in
            guard state.assigned.values.contains(name), state.found[name] != key else { return nil }
            defer { state.found[name] = key }
            state.refused[name] = nil
            return (state.found[name] != nil, key != nil)
        }
        guard let change else { return }
        switch change {
        case (_, false): Self.log.warning("Assigned credentials have no key any more", ["secret": name])
        case (true, _): Self.log.info("Assigned credentials have changed", ["secret": name])
        default: Self.log.info("Assigned credentials were read", ["secret": name])
        }
        show()
    }

    private func show() {
        let groups = state.withLock { state in
            state.known.formUnion(state.assigned.keys)
            return Dictionary(
                uniqueKeysWithValues: state.known.map { group in
                    let name = state.assigned[group] ?? ""
                    return (group, state.found[name].map { $0 != state.refused[name] } ?? false)
                })
        }
        for (group, isInUse) in groups {
            metrics.gauge(
                "fathom_worker_credentials_in_use",
                help: "1 while requests to exchanges of the account group carry an API key.",
                labels: ["group": group]
            ).set(isInUse ? 1 : 0)
        }
    }
}
