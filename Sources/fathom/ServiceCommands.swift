import Arguments
import Binance
import Controller
import FoundationEssentials
import Gateway
import Glibc
import Telemetry
import Transport
import Worker

/// `--log-level` and `--log-format`, the same for all.
func configureLog(_ arguments: ParsedArguments) {
    LogSettings.configure(
        format: arguments.string("log-format").flatMap(LogFormat.init) ?? .text,
        level: arguments.string("log-level").flatMap(LogLevel.init) ?? .info)
}

/// The exchange table with what an override file changes in it; a wrong file is refused.
func exchangeDirectory(_ file: String?) throws -> ExchangeDirectory {
    guard let file else { return ExchangeDirectory() }
    let bytes: [UInt8]
    do {
        bytes = try [UInt8](Data(contentsOf: URL(filePath: file)))
    } catch {
        throw ArgumentError("cannot read \(file)")
    }
    do {
        return try ExchangeDirectory(overridesYAML: bytes)
    } catch {
        throw ArgumentError(mistakes: error.problems.map { "\(file): \($0)" })
    }
}

/// Who a process says it is: its pod, or by hand a name that no other process has.
private struct Identity {
    var name: String
    var uid: String
    var namespace: String
    var node: String

    init(_ arguments: ParsedArguments, _ role: String) {
        name = arguments.string("name") ?? "\(role)-\(getpid())"
        uid = arguments.string("uid") ?? name
        namespace = arguments.string("namespace") ?? "default"
        node = arguments.string("node") ?? "local"
    }
}

/// `fathom controller`: reconciles DepthCaches.
enum ControllerCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom controller", section: "controller",
        summary: "Reconcile DepthCaches: place replicas on workers, keep status true.",
        flags: [
            .value(
                "host", "address", .address, default: "127.0.0.1", help: "Where health and metrics listen."),
            .value("port", "n", .port, default: "42079", help: "Their port; 0 takes a free one."),
            .value(
                "link-key-rotation", "time", .duration(3600...86_400 * 3650), default: "30d",
                help: "How long a key of the link is the current one in the Secret."),
            .value(
                "credentials", "mode", .choice(["assign", "ignore"]), default: "assign",
                help: "Whether Secrets with exchange credentials are assigned to workers."),
        ] + SharedFlags.identity("controller") + SharedFlags.cluster + SharedFlags.exchanges
            + SharedFlags.linkKey + SharedFlags.logging,
        checks: [SharedChecks.exchanges])

    static func configuration(_ arguments: ParsedArguments) -> ControllerConfiguration {
        let identity = Identity(arguments, "controller")
        var configuration = ControllerConfiguration()
        configuration.identity = identity.name
        configuration.uid = identity.uid
        configuration.namespace = identity.namespace
        configuration.node = arguments.string("node") ?? ""
        configuration.kubeconfig = arguments.string("kubeconfig")
        configuration.host = arguments.string("host") ?? configuration.host
        configuration.port = arguments.integer("port") ?? configuration.port
        configuration.exchangesFile = arguments.string("exchanges")
        configuration.linkKeyFile = arguments.string("link-key-file")
        configuration.linkKeySecret = arguments.string("link-key-secret")
        configuration.linkKeyInterval =
            arguments.duration("link-key-rotation") ?? configuration.linkKeyInterval
        configuration.version = Main.version
        configuration.assignsCredentials = arguments.string("credentials") != "ignore"
        return configuration
    }

    static func run(_ arguments: ParsedArguments) async throws {
        configureLog(arguments)
        try await runController(configuration(arguments))
    }
}

/// `fathom worker`: keeps books.
enum WorkerCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom worker", section: "worker",
        summary: "Keep the order books that the controller assigns, and serve them to gateways.",
        flags: [
            .value(
                "host", "address", .address, default: "127.0.0.1",
                help: "Where health, metrics and the link listen."),
            .value("port", "n", .port, default: "0", help: "Their port; 0 takes a free one."),
            .value(
                "advertise", "address", .address, environment: "POD_IP",
                help:
                    "The address at which gateways reach this worker; otherwise --host, or loopback if that is all addresses."
            ),
            .value(
                "threads", "n", .integer(1...256), help: "Event loops for feeds; otherwise one for each core."
            ),
            SharedFlags.feeds,
            .value(
                "feed-lifetime-seconds", "n", .integer(2...86_400),
                help: "Replace connections to exchanges at this age; only measurements shorten it."),
            .value(
                "dump-dir", "directory", default: "/tmp/fathom-audits",
                help: "Where books that differ from the exchange's own are kept, the newest 20."),
            .value(
                "drain-seconds", "s", .integer(0...86_400), default: "110",
                help: "How long to serve on at most after SIGTERM, until others keep the books."),
        ] + SharedFlags.identity("worker") + SharedFlags.cluster + SharedFlags.exchanges + SharedFlags.linkKey
            + SharedFlags.logging,
        checks: [SharedChecks.exchanges, SharedChecks.linkKey])

    static func configuration(_ arguments: ParsedArguments) -> WorkerConfiguration {
        let identity = Identity(arguments, "worker")
        let host = arguments.string("host") ?? "127.0.0.1"
        let cores = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        var configuration = WorkerConfiguration(
            name: identity.name, uid: identity.uid, namespace: identity.namespace, node: identity.node,
            advertisedAddress: arguments.string("advertise") ?? IPAddress.reachable(host),
            listenAddress: host,
            port: arguments.integer("port") ?? 0, loopCount: arguments.integer("threads") ?? cores,
            kubeconfigPath: arguments.string("kubeconfig"), exchangesFile: arguments.string("exchanges"),
            linkKeyFile: arguments.string("link-key-file"),
            dumpDirectory: arguments.string("dump-dir") ?? "/tmp/fathom-audits",
            feeds: arguments.integer("feeds") ?? 1,
            feedLifetime: arguments.integer("feed-lifetime-seconds").map { .seconds($0) })
        configuration.linkKeySecret = arguments.string("link-key-secret")
        configuration.version = Main.version
        configuration.drainPeriod = .seconds(arguments.integer("drain-seconds") ?? 110)
        configuration.mustHurry = { ProcessLifetime.mustHurry }
        return configuration
    }

    static func run(_ arguments: ParsedArguments) async throws {
        configureLog(arguments)
        try await runWorker(configuration(arguments))
    }
}

/// `fathom gateway`: answers queries.
enum GatewayCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom gateway", section: "gateway",
        summary: "Answer queries over HTTP from the workers' books.",
        flags: [
            .value("host", "address", .address, default: "127.0.0.1", help: "Where clients are served."),
            .value("port", "n", .port, default: "42081", help: "Their port; 0 takes a free one."),
            .value(
                "health-port", "n", .port, default: "0",
                help: "The port of health and metrics; 0 takes a free one."),
            .value("threads", "n", .integer(1...256), help: "Event loops; otherwise one for each core."),
            .value(
                "share-answers", "on|off", .choice(["on", "off"]), default: "on",
                help: "Whether equal queries that have not left for a worker yet share one answer."),
            .value(
                "allowed-host", "name", .address, isRepeatable: true,
                help: "A further name that requests may give as Host while listening on loopback."),
            .value(
                "credential-endpoints", "on|off", .choice(["on", "off"]), default: "off",
                help: "Whether /add_credentials and /remove_credentials do anything."),
            .value(
                "drain-seconds", "s", .integer(0...86_400), default: "10",
                help: "How long to serve on after SIGTERM, until clients have found other gateways."),
            .toggle("access-log", help: "Write every request to the log, without its parameters."),
        ] + GatewayProtectionFlags.all + SharedFlags.identity("gateway") + SharedFlags.cluster
            + SharedFlags.exchanges
            + SharedFlags.linkKey + SharedFlags.logging,
        checks: [SharedChecks.exchanges, SharedChecks.linkKey] + GatewayProtectionFlags.checks)

    static func configuration(_ arguments: ParsedArguments) -> GatewayConfiguration {
        let identity = Identity(arguments, "gateway")
        var configuration = GatewayConfiguration()
        configuration.name = identity.name
        configuration.uid = identity.uid
        configuration.namespace = identity.namespace
        configuration.nodeName = arguments.string("node") ?? configuration.nodeName
        configuration.version = Main.version
        configuration.host = arguments.string("host") ?? configuration.host
        configuration.port = arguments.integer("port") ?? configuration.port
        configuration.healthHost = configuration.host
        configuration.healthPort = arguments.integer("health-port")
        configuration.loopCount =
            arguments.integer("threads") ?? max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        configuration.sharesAnswers = arguments.string("share-answers") != "off"
        configuration.protection = GatewayProtectionFlags.protection(arguments)
        configuration.allowedHosts = arguments.strings("allowed-host")
        configuration.credentialEndpoints = arguments.string("credential-endpoints") == "on"
        configuration.kubeconfig = arguments.string("kubeconfig")
        configuration.writesAccessLog = arguments.has("access-log")
        configuration.linkKeyFile = arguments.string("link-key-file")
        configuration.linkKeySecret = arguments.string("link-key-secret")
        configuration.drainGrace = .seconds(arguments.integer("drain-seconds") ?? 10)
        configuration.mustHurry = { ProcessLifetime.mustHurry }
        return configuration
    }

    static func run(_ arguments: ParsedArguments) async throws {
        configureLog(arguments)
        try await runGateway(configuration(arguments))
    }
}
