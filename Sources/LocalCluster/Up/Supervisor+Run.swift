import DepthCacheAPI
import K8sClient
import Telemetry

extension Supervisor {
    /// Brings everything up, waits for the end, and takes everything down.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            do {
                try await bringUp(&group)
                greet()
                group.addTask { await self.tellProgress() }
                let orders = LocalOrders(supervisor: self)
                let door = try ControlSocket.open(in: plan.directory) { await orders.answer($0, $1) }
                defer { door.close() }
                if Terminal.isInteractive { Console(orders: orders).start() }
                while !stopped {
                    for child in plan.team.takeNewcomers() { group.addTask { await self.keep(child) } }
                    try? await Task.sleep(for: .milliseconds(100))
                }
                Terminal.stopAsking()
                Terminal.say("Stopping ...")
                await stop()
            } catch {
                await stop()
                throw error
            }
            try await group.waitForAll()
        }
    }

    private func bringUp(_ group: inout ThrowingTaskGroup<Void, any Error>) async throws {
        for child in [plan.apiServer] + (plan.simulator.map { [$0] } ?? []) {
            group.addTask { await self.keep(child) }
        }
        try await waitForAPI()
        let node = PodRecord.nodeObject(now: Clock.now())
        _ = await api.call("POST", "/api/v1/nodes", node.object)
        _ = await api.call("PATCH", "/api/v1/nodes/\(PodRecord.node)/status", ["status": node.status])
        await allowWorkersTheirCredentials()
        await removeSurplusPods()
        if plan.simulator != nil { try await waitForSimulator() }
        for child in plan.members {
            group.addTask { await self.keep(child) }
        }
        let end = ContinuousClock.now + .seconds(30)
        for child in plan.members where !stopped {
            let left = max(.zero, ContinuousClock.now.duration(to: end))
            if await !waitUntilReady(child, within: left), !stopped {
                Terminal.say("\(child.name) is not ready yet; see \(plan.directory)/logs/\(child.name).log")
            }
        }
    }

    /// Makes what the chart makes too: a Role, whose rules the controller keeps, and who has it.
    private func allowWorkersTheirCredentials() async {
        let name = JSONValue.string(ExchangeCredentials.roleName)
        let (group, folder) = (
            "rbac.authorization.k8s.io", "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
        )
        let version = JSONValue.string("\(group)/v1")
        _ = await api.call(
            "POST", "\(folder)/roles", ["apiVersion": version, "kind": "Role", "metadata": ["name": name]])
        _ = await api.call(
            "POST", "\(folder)/rolebindings",
            [
                "apiVersion": version, "kind": "RoleBinding", "metadata": ["name": name],
                "roleRef": ["apiGroup": .string(group), "kind": "Role", "name": name],
                "subjects": [["kind": "ServiceAccount", "namespace": "default", "name": "fathom-worker"]],
            ])
    }

    private func waitForAPI() async throws {
        let end = ContinuousClock.now + .seconds(30)
        while !stopped {
            if await api.call("GET", "/readyz").code == 200 { return }
            let state = plan.apiServer.state.withLock { ($0.failures, $0.process?.lastLines ?? []) }
            // A server that cannot start says why in its log; trying again would only hide that.
            if state.0 >= 2 || ContinuousClock.now > end {
                throw LocalClusterError(
                    "the API server does not start; the end of \(plan.directory)/logs/fathom-apiserver.log:\n"
                        + logEnd("fathom-apiserver"))
            }
            try? await Task.sleep(for: .milliseconds(30))
        }
    }

    private func waitForSimulator() async throws {
        let end = ContinuousClock.now + .seconds(20)
        while !stopped {
            if let authority = plan.simulatorFacts.withLock({ $0 })?["caFile"]?.text {
                if plan.configuration.exchangesFile == nil {
                    try Files.write(
                        Array(plan.exchangesFile(authority: authority).utf8),
                        to: "\(plan.directory)/exchanges.yaml")
                }
                return plan.writeFacts()
            }
            let failures = plan.simulator?.state.withLock { $0.failures } ?? 0
            if failures >= 2 || ContinuousClock.now > end {
                throw LocalClusterError(
                    "the exchange simulator does not start; the end of its log:\n"
                        + logEnd("exchange-simulator"))
            }
            try? await Task.sleep(for: .milliseconds(30))
        }
    }

    private func logEnd(_ name: String) -> String {
        let text = String(decoding: Files.read("\(plan.directory)/logs/\(name).log") ?? [], as: UTF8.self)
        // Each try says the same: once is enough.
        var lines: [Substring] = []
        for line in text.split(separator: "\n").suffix(10) where !lines.contains(line) { lines.append(line) }
        return lines.suffix(5).joined(separator: "\n")
    }

    /// Pods of workers that this run does not have.
    private func removeSurplusPods() async {
        let labels = "app.kubernetes.io%2Fname%3Dfathom"
        let list = await api.call("GET", "/api/v1/namespaces/default/pods?labelSelector=\(labels)")
        let names = Set(plan.members.map(\.name))
        for pod in list.body["items"]?.elements ?? [] {
            guard let name = pod.at("metadata", "name")?.text, name.hasPrefix("fathom-worker-"),
                !names.contains(name)
            else { continue }
            _ = await api.call("DELETE", "/api/v1/namespaces/default/pods/\(name)")
        }
    }

    private func greet() {
        guard !stopped else { return }
        let configuration = plan.configuration
        let kubeconfig = Credentials.kubeconfigFile(.admin, in: configuration.dataDirectory)
        let gateway = "http://\(configuration.authority(plan.ports.gateway))"
        let feed =
            plan.simulator == nil
            ? "the exchanges' public servers" : "the built-in simulator on port \(plan.ports.simulator)"
        Terminal.say(
            """

            Fathom is up: \(plan.workers.count) workers, order books from \(feed).
              queries         \(gateway)
              Kubernetes API  https://\(configuration.authority(plan.ports.kubernetes))
              kubeconfig      \(kubeconfig)
              logs            \(configuration.dataDirectory)/logs

            Try:
              kubectl --kubeconfig \(kubeconfig) apply -f manifests/examples/btcusdt.yaml
              kubectl --kubeconfig \(kubeconfig) get depthcaches -w
              curl '\(gateway)/get_asks?exchange=binance.com&market=BTCUSDT&limit_count=5'

            \(Terminal.isInteractive ? "Type 'help' for the commands; " : "")Ctrl-C stops everything; the caches are there again after the next start.
            """)
    }
}
