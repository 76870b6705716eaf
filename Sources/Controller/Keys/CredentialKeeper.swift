internal import Binance
internal import DepthCacheAPI
internal import K8sClient
internal import Telemetry

/// Assigns exchange credentials to workers: watches the Secrets of the namespace that have our label, plans, and writes the
/// Role first, then the replicas, then the masked list. Described in `docs/credentials.md`.
actor CredentialKeeper {
    private let client: KubernetesClient
    private let replicas: Informer<DepthCacheReplica>
    private let secrets: Informer<Secret>
    private let exchanges: ExchangeDirectory
    private let events: EventRecorder
    private let metrics: ControllerMetrics
    private let log = Log("credentials")
    private var problems: [String: String] = [:]
    private var written: (role: [String], list: [String: String])?
    private var failure: String?

    init(
        client: KubernetesClient, replicas: Informer<DepthCacheReplica>, exchanges: ExchangeDirectory,
        events: EventRecorder, metrics: ControllerMetrics
    ) {
        self.client = client
        self.replicas = replicas
        self.exchanges = exchanges
        self.events = events
        self.metrics = metrics
        secrets = Informer(client: client, selector: Selector(labels: LabelKey.accountGroup), log: log)
    }

    /// Runs until cancelled.
    func run() async {
        let (wakeups, wake) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        await withDiscardingTaskGroup { group in
            group.addTask { await self.secrets.run() }
            group.addTask { for await _ in self.secrets.changes() { wake.yield() } }
            group.addTask { for await _ in self.replicas.changes() { wake.yield() } }
            group.addTask {
                // What somebody else changed in the Role or in the list is put right again.
                while !Task.isCancelled {
                    do { try await Task.sleep(for: .seconds(60)) } catch { return }
                    await self.forgetWritten()
                    wake.yield()
                }
            }
            group.addTask { await self.follow(wakeups, wake) }
        }
    }

    private func forgetWritten() { written = nil }

    private func follow(_ wakeups: AsyncStream<Void>, _ wake: AsyncStream<Void>.Continuation) async {
        var backoff = Backoff(initial: .milliseconds(200), maximum: .seconds(15))
        for await _ in wakeups where secrets.isSynced && replicas.isSynced {
            do {
                // Changes come in swarms; one pass serves them all.
                try await Task.sleep(for: .milliseconds(50))
                try await pass()
                if failure != nil { log.info("Credentials can be assigned again") }
                failure = nil
                backoff.reset()
            } catch {
                if Task.isCancelled { return }
                if failure != "\(error)" {
                    log.warning("Credentials cannot be assigned, will be repeated", ["error": "\(error)"])
                }
                failure = "\(error)"
                do { try await Task.sleep(for: backoff.next()) } catch { return }
                // Nothing may have changed meanwhile that would wake us.
                wake.yield()
            }
        }
    }

    /// One pass: observe, plan, write.
    private func pass() async throws {
        let seen = secrets.objects.values.filter { !$0.metadata.isBeingDeleted }
        let groups = Set(exchanges.all.map(\.accountGroup))
        let faults = Dictionary(
            seen.compactMap { secret in
                ExchangeCredentials.problem(in: secret, knownGroups: groups).map {
                    (secret.metadata.name ?? "", $0)
                }
            }, uniquingKeysWith: { $1 })
        tell(faults, of: seen)
        let plan = CredentialPlanner.plan(state(seen, faults))
        let list = CredentialList.data(seen, faults: faults, workers: plan.workers)
        // Before a worker is told of a Secret it can read it.
        if written?.role != plan.readable { try await writeRole(plan.readable) }
        for change in plan.changes { try await carryOut(change) }
        if written?.list != list { try await writeList(list) }
        written = (plan.readable, list)
        metrics.credentials(usable: seen.count - faults.count, unusable: faults.count)
    }

    private func state(_ seen: [Secret], _ faults: [String: String]) -> CredentialState {
        CredentialState(
            secrets: seen.map { secret in
                let name = secret.metadata.name ?? ""
                return .init(
                    name: name, group: secret.metadata.labels[LabelKey.accountGroup] ?? "",
                    isUsable: faults[name] == nil)
            },
            replicas: replicas.objects.values.compactMap { replica in
                guard let name = replica.metadata.name, let worker = replica.workerUID,
                    !replica.metadata.isBeingDeleted,
                    let exchange = exchanges[name: replica.spec.exchange.asciiLowercased]
                else { return nil }
                return .init(
                    name: name, workerUID: worker, group: exchange.accountGroup,
                    secret: replica.spec.credentialsSecretName)
            })
    }

    /// Says of each Secret once what is wrong with it, and when it is right again.
    private func tell(_ faults: [String: String], of seen: [Secret]) {
        for secret in seen {
            guard let name = secret.metadata.name, faults[name] != problems[name] else { continue }
            if let fault = faults[name] {
                log.warning("Credentials cannot be used", ["secret": name, "reason": fault])
                events.record(secret, .warning, reason: Reason.missingCredentials.rawValue, message: fault)
            } else {
                log.info("Credentials can be used again", ["secret": name])
            }
        }
        problems = faults
    }

    private func carryOut(_ change: CredentialPlan.Change) async throws {
        let value = change.secret.map { JSONValue.string($0) } ?? .null
        do {
            try await client.patch(
                DepthCacheReplica.self, change.replica, .merge, ["spec": ["credentialsSecretName": value]])
        } catch let error as APIError where error.isNotFound {}
    }

    // MARK: What others read

    private func writeRole(_ names: [String]) async throws {
        let rules =
            names.isEmpty
            ? []
            : [
                Role.Rule(
                    apiGroups: [""], resources: ["secrets"], verbs: ["get", "list", "watch"],
                    resourceNames: names)
            ]
        let name = ExchangeCredentials.roleName
        guard let role: Role = try await client.find(Role.self, name) else {
            if names.isEmpty { return }
            let role = Role(metadata: ObjectMeta(name: name, labels: Component.worker.labels), rules: rules)
            do { try await client.create(role) } catch let error as APIError where error.isForbidden {
                throw ControllerError(
                    "Role \(name) is missing; install it together with its RoleBinding: \(error)")
            }
            return
        }
        guard role.rules != rules else { return }
        // All rules are ours, so the list is replaced as a whole; an empty one is told as such.
        try await client.patch(Role.self, name, .merge, ["rules": try JSONValue(encoding: rules)])
        log.info("Workers may read other credentials now", ["secrets": names.joined(separator: ",")])
    }

    private func writeList(_ data: [String: String]) async throws {
        let name = ExchangeCredentials.configMapName
        guard let known: ConfigMap = try await client.find(ConfigMap.self, name) else {
            if data.isEmpty { return }
            let metadata = ObjectMeta(name: name, labels: [LabelKey.applicationName: "fathom"])
            try await client.create(ConfigMap(metadata: metadata, data: data))
            return
        }
        guard known.data != data else { return }
        var patch = JSONValue.object([:])
        for name in known.data.keys { patch.set([name], to: .null) }
        for (name, text) in data { patch.set([name], to: .string(text)) }
        try await client.patch(ConfigMap.self, name, .merge, ["data": patch])
    }
}
