import Arguments
import Binance
import Controller
import FoundationEssentials
import Gateway
import Glibc
import LocalCluster
import Telemetry
import Worker

/// `--log-level` and `--log-format`, the same for all.
func configureLog(_ arguments: ParsedArguments) throws(ArgumentError) {
    let levelName = arguments.string("log-level") ?? "info"
    guard let level = LogLevel(name: levelName) else {
        throw ArgumentError("--log-level: expected debug, info, warning or error, was '\(levelName)'")
    }
    let formatName = arguments.string("log-format") ?? "text"
    guard let format = LogFormat(rawValue: formatName) else {
        throw ArgumentError("--log-format: expected text or json, was '\(formatName)'")
    }
    LogSettings.configure(format: format, level: level)
}

/// The exchange table with what an override file changes in it; a wrong file is refused.
func exchangeDirectory(_ file: String?) throws -> ExchangeDirectory {
    guard let file else { return ExchangeDirectory() }
    let bytes: [UInt8]
    do {
        bytes = try [UInt8](Data(contentsOf: URL(filePath: file)))
    } catch {
        throw ArgumentError("--exchanges: cannot read \(file)")
    }
    do {
        return try ExchangeDirectory(overridesYAML: bytes)
    } catch {
        throw ArgumentError("--exchanges \(file): \(error)")
    }
}

/// A name that two processes started by hand do not share.
private func handMadeName(_ role: String) -> String { "\(role)-\(getpid())" }

/// `fathom controller`: reconciles DepthCaches.
enum ControllerCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom controller",
        summary: "Reconcile DepthCaches: place replicas on workers, keep status true.",
        flags: [
            .value("host", "address", default: "127.0.0.1", help: "Where health and metrics listen."),
            .value("port", "n", default: "42079", help: "Their port; 0 takes a free one."),
        ] + SharedFlags.identity("controller") + SharedFlags.cluster + SharedFlags.exchanges
            + SharedFlags.linkKey + SharedFlags.logging)

    static func run(_ arguments: ParsedArguments) async throws {
        try configureLog(arguments)
        var configuration = ControllerConfiguration()
        configuration.namespace = arguments.string("namespace") ?? configuration.namespace
        configuration.kubeconfig = arguments.string("kubeconfig")
        configuration.identity = arguments.string("name") ?? handMadeName("controller")
        configuration.host = arguments.string("host") ?? configuration.host
        configuration.port = try arguments.port("port") ?? configuration.port
        configuration.exchangesFile = arguments.string("exchanges")
        configuration.linkKeyFile = arguments.string("link-key-file")
        configuration.uid = arguments.string("uid") ?? configuration.identity
        configuration.node = arguments.string("node") ?? ""
        try await runController(configuration)
    }
}

/// `fathom worker`: keeps books.
enum WorkerCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom worker",
        summary: "Keep the order books that the controller assigns, and serve them to gateways.",
        flags: [
            .value(
                "host", "address", default: "127.0.0.1", help: "Where health, metrics and the link listen."),
            .value("port", "n", default: "0", help: "Their port; 0 takes a free one."),
            .value(
                "advertise", "address", environment: "POD_IP",
                help: "The address at which gateways reach this worker; otherwise --host."),
            .value("threads", "n", help: "Event loops for feeds; otherwise one for each core."),
            SharedFlags.feeds,
            .value(
                "dump-dir", "directory", default: "/tmp/fathom-audits",
                help: "Where books that differ from the exchange's own are kept, the newest 20."),
            .value(
                "drain-seconds", "s", default: "110",
                help: "How long to serve on at most after SIGTERM, until others keep the books."),
        ] + SharedFlags.identity("worker") + SharedFlags.cluster + SharedFlags.exchanges + SharedFlags.linkKey
            + SharedFlags.logging)

    static func run(_ arguments: ParsedArguments) async throws {
        try configureLog(arguments)
        let host = arguments.string("host") ?? "127.0.0.1"
        let name = arguments.string("name") ?? handMadeName("worker")
        let cores = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        var configuration = WorkerConfiguration(
            name: name, uid: arguments.string("uid") ?? name,
            namespace: arguments.string("namespace") ?? "default",
            node: arguments.string("node") ?? "local",
            advertisedAddress: arguments.string("advertise") ?? host, listenAddress: host,
            port: try arguments.port("port") ?? 0,
            loopCount: try arguments.integer("threads", in: 1...256) ?? cores,
            kubeconfigPath: arguments.string("kubeconfig"), exchangesFile: arguments.string("exchanges"),
            linkKeyFile: arguments.string("link-key-file"),
            dumpDirectory: arguments.string("dump-dir") ?? "/tmp/fathom-audits",
            feeds: try arguments.integer("feeds", in: 1...3) ?? 1, feedLifetime: try feedLifetime())
        configuration.drainPeriod = .seconds(try arguments.integer("drain-seconds", in: 0...86_400) ?? 110)
        configuration.mustHurry = { ProcessLifetime.mustHurry }
        try await runWorker(configuration)
    }
}

/// How long a connection to an exchange is kept before another takes its place; only measurements shorten it.
private func feedLifetime() throws -> Duration? {
    let name = "FATHOM_FEED_LIFETIME_SECONDS"
    guard let value = unsafe getenv(name) else { return nil }
    let text = unsafe String(cString: value)
    guard let seconds = Int(text), (2...86_400).contains(seconds) else {
        throw ArgumentError("\(name) must be from 2 to 86400, was '\(text)'")
    }
    return .seconds(seconds)
}

/// `fathom gateway`: answers queries.
enum GatewayCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom gateway", summary: "Answer queries over HTTP from the workers' books.",
        flags: [
            .value("host", "address", default: "127.0.0.1", help: "Where clients are served."),
            .value("port", "n", default: "42081", help: "Their port; 0 takes a free one."),
            .value(
                "health-port", "n", default: "0", help: "The port of health and metrics; 0 takes a free one."),
            .value("threads", "n", default: "1", help: "Event loops."),
            .value(
                "allowed-host", "name", isRepeatable: true,
                help: "A further name that requests may give as Host while listening on loopback."),
            .value(
                "drain-seconds", "s", default: "10",
                help: "How long to serve on after SIGTERM, until clients have found other gateways."),
        ] + SharedFlags.identity("gateway") + SharedFlags.cluster + SharedFlags.exchanges
            + SharedFlags.linkKey
            + SharedFlags.logging)

    static func run(_ arguments: ParsedArguments) async throws {
        try configureLog(arguments)
        var configuration = GatewayConfiguration()
        configuration.name = arguments.string("name") ?? handMadeName("gateway")
        configuration.uid = arguments.string("uid") ?? configuration.name
        configuration.namespace = arguments.string("namespace") ?? configuration.namespace
        configuration.nodeName = arguments.string("node") ?? configuration.nodeName
        configuration.version = Main.version
        configuration.host = arguments.string("host") ?? configuration.host
        configuration.port = try arguments.port("port") ?? configuration.port
        configuration.healthHost = configuration.host
        configuration.healthPort = try arguments.port("health-port")
        configuration.loopCount = try arguments.integer("threads", in: 1...256) ?? configuration.loopCount
        configuration.allowedHosts = arguments.strings("allowed-host")
        configuration.kubeconfig = arguments.string("kubeconfig")
        configuration.linkKeyFile = try arguments.required("link-key-file")
        configuration.exchangesFile = arguments.string("exchanges")
        configuration.drainGrace = .seconds(try arguments.integer("drain-seconds", in: 0...86_400) ?? 10)
        configuration.mustHurry = { ProcessLifetime.mustHurry }
        try await runGateway(configuration)
    }
}

/// `fathom apiserver`: the embedded Kubernetes API.
enum APIServerCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom apiserver", summary: "Serve the embedded Kubernetes API, for laptops and tests.",
        flags: [
            .value("host", "address", default: "127.0.0.1", help: "Where it listens."),
            .value("port", "n", default: "42080", help: "Its port; 0 takes a free one."),
            .value("data-dir", "directory", default: "./.fathom", help: "Database, keys and kubeconfigs."),
        ] + SharedFlags.logging)

    static func run(_ arguments: ParsedArguments) async throws {
        try configureLog(arguments)
        var configuration = ApiServerConfiguration()
        configuration.host = arguments.string("host") ?? configuration.host
        configuration.port = try arguments.port("port") ?? configuration.port
        configuration.dataDirectory = arguments.string("data-dir") ?? configuration.dataDirectory
        try await runApiServer(configuration)
    }
}

/// `fathom up`: the local cluster.
enum UpCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom up", summary: "Run a local cluster: Kubernetes API, controller, gateway and workers.",
        discussion: """
            Ctrl-C stops everything; the next start continues with the same DepthCaches. The actual ports are in
            <data-dir>/up.json, a kubeconfig in <data-dir>/kubeconfig, the logs in <data-dir>/logs.
            """,
        flags: [
            .value("workers", "n", default: "2", help: "How many workers."),
            SharedFlags.feeds,
            .value("host", "address", default: "127.0.0.1", help: "Where everything listens."),
            .value("port", "n", default: "42081", help: "The gateway's port; 0 takes a free one."),
            .value(
                "kube-port", "n", default: "42080", help: "The Kubernetes API's port; 0 takes a free one."),
            .value("data-dir", "directory", default: "./.fathom", help: "Where the cluster keeps its state."),
            .toggle("simulate", help: "Use the built-in exchange simulator instead of Binance."),
            .value(
                "simulator-arg", "argument", isRepeatable: true,
                help:
                    "An argument for exchange-simulator, such as --simulator-arg=--symbols --simulator-arg=200."
            ),
        ] + SharedFlags.exchanges + SharedFlags.logging)

    static func run(_ arguments: ParsedArguments) async throws {
        try configureLog(arguments)
        var configuration = UpConfiguration()
        configuration.workers = try arguments.integer("workers", in: 1...64) ?? configuration.workers
        configuration.feeds = try arguments.integer("feeds", in: 1...3) ?? configuration.feeds
        configuration.host = arguments.string("host") ?? configuration.host
        configuration.gatewayPort = try arguments.port("port") ?? configuration.gatewayPort
        configuration.kubernetesPort = try arguments.port("kube-port") ?? configuration.kubernetesPort
        configuration.dataDirectory = arguments.string("data-dir") ?? configuration.dataDirectory
        configuration.simulate = arguments.has("simulate")
        configuration.simulatorArguments = arguments.strings("simulator-arg")
        configuration.exchangesFile = arguments.string("exchanges")
        if configuration.simulate && configuration.exchangesFile != nil {
            throw ArgumentError(
                "--simulate and --exchanges exclude each other: the simulator brings its own file")
        }
        _ = try exchangeDirectory(configuration.exchangesFile)
        if !configuration.simulate && !configuration.simulatorArguments.isEmpty {
            throw ArgumentError("--simulator-arg needs --simulate")
        }
        try await runUp(configuration)
    }
}
