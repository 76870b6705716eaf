import Arguments
import LocalCluster

/// `fathom apiserver`: the embedded Kubernetes API.
enum APIServerCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom apiserver", section: "apiserver",
        summary: "Serve the embedded Kubernetes API, for laptops and tests.",
        flags: [
            .value("host", "address", .address, default: "127.0.0.1", help: "Where it listens."),
            .value("port", "n", .port, default: "42080", help: "Its port; 0 takes a free one."),
            .value("data-dir", "directory", default: "./.fathom", help: "Database, keys and kubeconfigs."),
            .value(
                "keep-revisions", "n", .integer(10...1_000_000), default: "10000",
                help: "How many changes a watch can look back."),
        ] + SharedFlags.logging)

    static func run(_ arguments: ParsedArguments) async throws {
        configureLog(arguments)
        var configuration = ApiServerConfiguration()
        configuration.host = arguments.string("host") ?? configuration.host
        configuration.port = arguments.integer("port") ?? configuration.port
        configuration.dataDirectory = arguments.string("data-dir") ?? configuration.dataDirectory
        configuration.keptRevisions = arguments.integer("keep-revisions") ?? configuration.keptRevisions
        configuration.version = Main.version
        try await runApiServer(configuration)
    }
}

/// `fathom up`: the local cluster.
enum UpCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom up", section: "up",
        summary: "Run a local cluster: Kubernetes API, controller, gateway and workers.",
        discussion: """
            Ctrl-C stops everything; the next start continues with the same DepthCaches. The actual ports are in
            <data-dir>/up.json, a kubeconfig in <data-dir>/kubeconfig, the logs in <data-dir>/logs.
            """,
        flags: [
            .value("workers", "n", .integer(1...64), default: "2", help: "How many workers."),
            SharedFlags.feeds,
            .value("host", "address", .address, default: "127.0.0.1", help: "Where everything listens."),
            .value("port", "n", .port, default: "42081", help: "The gateway's port; 0 takes a free one."),
            .value(
                "kube-port", "n", .port, default: "42080",
                help: "The Kubernetes API's port; 0 takes a free one."),
            .value("data-dir", "directory", default: "./.fathom", help: "Where the cluster keeps its state."),
            .value(
                "link-key-secret", "name", .name(limit: 253),
                help: "Keep the key of the link in this Secret, as in a cluster; otherwise in a file."),
            .value(
                "credential-endpoints", "on|off", .choice(["on", "off"]),
                help:
                    "Whether /add_credentials and /remove_credentials do anything; otherwise only while listening on loopback."
            ),
            .toggle("simulate", help: "Use the built-in exchange simulator instead of Binance."),
            .value(
                "simulator-arg", "argument", isRepeatable: true,
                help:
                    "An argument for exchange-simulator, such as --simulator-arg=--symbols --simulator-arg=200."
            ),
        ] + SharedFlags.exchanges + SharedFlags.logging,
        checks: [SharedChecks.exchanges, simulator])

    private static let simulator = CommandSpecification.Check(["simulate", "exchanges"]) { arguments in
        let simulates = arguments.has("simulate")
        var mistakes: [String] = []
        if simulates && arguments.string("exchanges") != nil {
            mistakes.append(
                "\(arguments.label("simulate")) and \(arguments.label("exchanges")) exclude each other: the simulator brings its own file"
            )
        }
        if !simulates && !arguments.strings("simulator-arg").isEmpty {
            mistakes.append("\(arguments.label("simulator-arg")) needs --simulate")
        }
        return mistakes
    }

    static func run(_ arguments: ParsedArguments) async throws {
        configureLog(arguments)
        var configuration = UpConfiguration()
        configuration.workers = arguments.integer("workers") ?? configuration.workers
        configuration.feeds = arguments.integer("feeds") ?? configuration.feeds
        configuration.host = arguments.string("host") ?? configuration.host
        configuration.gatewayPort = arguments.integer("port") ?? configuration.gatewayPort
        configuration.kubernetesPort = arguments.integer("kube-port") ?? configuration.kubernetesPort
        configuration.dataDirectory = arguments.string("data-dir") ?? configuration.dataDirectory
        configuration.simulate = arguments.has("simulate")
        configuration.simulatorArguments = arguments.strings("simulator-arg")
        configuration.exchangesFile = arguments.string("exchanges")
        configuration.linkKeySecret = arguments.string("link-key-secret")
        configuration.credentialEndpoints = arguments.string("credential-endpoints").map { $0 == "on" }
        // Variables reach the children by themselves.
        configuration.logArguments = ["log-level", "log-format"].flatMap { flag -> [String] in
            arguments.typed(flag).map { ["--\(flag)", $0] } ?? []
        }
        try await runUp(configuration)
    }
}
