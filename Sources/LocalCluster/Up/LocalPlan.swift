import K8sClient
import Glibc
import Telemetry

/// Which programs make up the local cluster, where they listen and how they are started.
final class LocalPlan: Sendable {
    let configuration: UpConfiguration
    let directory: String
    let ports: LocalPorts
    let apiServer: KeptChild
    let controller: KeptChild
    let gateway: KeptChild
    let simulator: KeptChild?
    let team: WorkerTeam
    let simulatorFacts = Guarded<JSONValue?>(nil)

    init(
        _ configuration: UpConfiguration, directory: String, ports: LocalPorts, executable: String,
        linkKeyFile: String
    ) {
        self.configuration = configuration
        self.directory = directory
        self.ports = ports
        let host = configuration.host
        let exchanges =
            configuration.exchangesFile.map(Files.absolute)
            ?? (configuration.simulate ? "\(directory)/exchanges.yaml" : nil)
        let lifeline = ["--lifeline-fd", "\(ChildProcess.lifelineDescriptor)"]
        let shared: [String] = lifeline + configuration.logArguments
        @Sendable func member(
            _ component: String, _ name: String, _ port: Int, health: Int? = nil, _ extra: [String] = []
        ) -> KeptChild {
            let role = APIRole(rawValue: component) ?? .admin
            let common =
                [component, "--host", host, "--port", "\(port)", "--namespace", "default"]
                + ["--kubeconfig", Credentials.kubeconfigFile(role, in: directory), "--node", PodRecord.node]
                + (exchanges.map { ["--exchanges", $0] } ?? []) + shared + extra
            return KeptChild(
                name: name, component: component, program: executable, port: port,
                readyURL: "http://\(configuration.authority(health ?? port))/readyz"
            ) { uid in common + ["--name", name, "--uid", uid] }
        }
        apiServer = KeptChild(
            name: "fathom-apiserver", component: "apiserver", program: executable, port: ports.kubernetes,
            readyURL: nil
        ) { _ in
            ["apiserver", "--data-dir", directory, "--host", host, "--port", "\(ports.kubernetes)"] + shared
        }
        let key =
            configuration.linkKeySecret.map { ["--link-key-secret", $0] } ?? ["--link-key-file", linkKeyFile]
        controller = member("controller", "fathom-controller-0", ports.controller, key)
        gateway = member(
            "gateway", "fathom-gateway-0", ports.gateway, health: ports.gatewayHealth,
            key + [
                "--health-port", "\(ports.gatewayHealth)", "--credential-endpoints",
                configuration.hasCredentialEndpoints ? "on" : "off",
            ])
        team = WorkerTeam(ports.workers) { name, port in
            member(
                "worker", name, port,
                key + ["--feeds", "\(configuration.feeds)", "--dump-dir", "\(directory)/tmp"])
        }
        let facts = simulatorFacts
        simulator =
            configuration.simulate
            ? Self.simulator(configuration, directory, ports.simulator, executable, lifeline, facts) : nil
    }

    private static func simulator(
        _ configuration: UpConfiguration, _ directory: String, _ port: Int, _ executable: String,
        _ lifeline: [String], _ facts: Guarded<JSONValue?>
    ) -> KeptChild {
        let folder = executable.split(separator: "/").dropLast().joined(separator: "/")
        return KeptChild(
            name: "exchange-simulator", component: nil, program: "/\(folder)/exchange-simulator", port: port,
            readyURL: nil,
            onLine: { line in
                guard let value = JSONValue(text: line), value["event"] == "listening" else { return }
                facts.withLock { $0 = value }
            },
            arguments: { _ in
                ["--port", "\(port)", "--tls-dir", "\(directory)/simulator"] + lifeline
                    + configuration.simulatorArguments
            })
    }

    /// The workers there are at the moment, those included that hand over before they go.
    var workers: [KeptChild] { team.members }
    var members: [KeptChild] { [controller, gateway] + workers }
    var all: [KeptChild] { [apiServer] + (simulator.map { [$0] } ?? []) + members }
    var stopStages: [[KeptChild]] {
        [[gateway], workers, [controller], simulator.map { [$0] } ?? [], [apiServer]]
    }

    /// Writes `up.json`: who runs where at the moment.
    ///
    /// Several children may start at once: what is written is looked up under the lock, so that the last one is right.
    func writeFacts() {
        writing.withLock { _ in
            do {
                try Files.write(facts.bytes, to: "\(directory)/up.json")
            } catch {
                Log("up").warning("Could not write up.json", ["error": "\(error)"])
            }
        }
    }

    private var facts: JSONValue {
        func entry(_ child: KeptChild) -> JSONValue {
            var entry: JSONValue = ["name": .string(child.name), "port": .from(child.port)]
            if let process = child.process { entry["pid"] = .from(Int(process.pid)) }
            return entry
        }
        var kubernetes = entry(apiServer)
        kubernetes["url"] = .string("https://\(configuration.authority(ports.kubernetes))")
        kubernetes["kubeconfig"] = .string(Credentials.kubeconfigFile(.admin, in: directory))
        var front = entry(gateway)
        front["healthPort"] = .from(ports.gatewayHealth)
        front["url"] = .string("http://\(configuration.authority(ports.gateway))")
        var facts: JSONValue = [
            "pid": .from(Int(getpid())), "dataDirectory": .string(directory), "kubernetes": kubernetes,
            "gateway": front, "controller": entry(controller), "workers": .array(workers.map(entry)),
        ]
        if let simulator {
            var entry = entry(simulator)
            for (name, value) in simulatorFacts.withLock({ $0 })?.fields ?? [:] where name != "event" {
                entry[name] = value
            }
            entry["url"] = .string("https://127.0.0.1:\(simulator.port)")
            facts["simulator"] = entry
        }
        return facts
    }

    private let writing = Guarded(())

    /// The override file that sends every exchange's traffic to the simulator.
    func exchangesFile(authority: String) -> String {
        var text = "# Written by fathom up --simulate.\n"
        for name in Self.exchanges {
            let isRouted = name.contains("-futures") || name.contains("-options")
            text += "\(name):\n"
            text += "  restBaseURL: https://127.0.0.1:\(ports.simulator)/\(name)\n"
            text +=
                "  webSocketBaseURL: wss://127.0.0.1:\(ports.simulator)/\(name)\(isRouted ? "/public" : "")\n"
            text += "  caFile: \(JSONValue.string(authority).jsonText)\n"
        }
        return text
    }

    private static let exchanges = [
        "binance.com", "binance.com-testnet", "binance.com-futures", "binance.com-futures-testnet",
        "binance.com-coin_futures", "binance.com-vanilla-options", "binance.com-vanilla-options-testnet",
        "binance.us", "trbinance.com",
    ]
}

/// The ports of a local cluster, all known before anything starts.
struct LocalPorts: Sendable {
    var kubernetes: Int
    var gateway: Int
    /// Health and metrics of the gateway are not for its clients.
    var gatewayHealth: Int
    var controller: Int
    var workers: [Int]
    var simulator: Int

    /// Finds free ports; a taken one of those that people type is an error.
    static func find(_ configuration: UpConfiguration) throws(LocalClusterError) -> LocalPorts {
        let host = configuration.host
        let kubernetes = try Ports.claim(configuration.kubernetesPort, host: host, flag: "--kube-port")
        let gateway = try Ports.claim(configuration.gatewayPort, host: host, flag: "--port")
        guard kubernetes != gateway else {
            throw LocalClusterError("--port and --kube-port are both \(gateway); they must differ")
        }
        var taken: Set<Int> = [kubernetes, gateway]
        // Who asks for any port for the cluster's doors runs several clusters: keep out of the fixed range.
        let isAny = configuration.gatewayPort == 0
        func next(_ wish: Int) throws(LocalClusterError) -> Int {
            let port = try Ports.prefer(isAny ? 0 : wish, host: host, not: taken)
            taken.insert(port)
            return port
        }
        let controller = try next(configuration.controllerPort)
        var workers: [Int] = []
        for index in 0..<configuration.workers {
            workers.append(try next(configuration.firstWorkerPort + index))
        }
        return LocalPorts(
            kubernetes: kubernetes, gateway: gateway, gatewayHealth: try next(0), controller: controller,
            workers: workers,
            simulator: configuration.simulate ? try next(0) : 0)
    }
}
