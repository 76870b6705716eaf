import Arguments
import FoundationEssentials

/// One subcommand: what it takes, and how its arguments become a run.
protocol Command: Sendable {
    static var specification: CommandSpecification { get }
    /// Runs until done or cancelled; throwing ends the process with exit code 1.
    @concurrent static func run(_ arguments: ParsedArguments) async throws
    /// Whether it runs until a signal tells it to end, and has then done its work; others were interrupted.
    static func endsWhenTold(_ arguments: ParsedArguments) -> Bool
}

extension Command {
    /// The programs of a cluster, which have a section in the configuration file, serve until they are told to end.
    static func endsWhenTold(_ arguments: ParsedArguments) -> Bool { specification.section != nil }
}

/// Flags that several subcommands share.
enum SharedFlags {
    static let logging: [Flag] = [
        .value(
            "log-level", "level", .choice(["debug", "info", "warning", "error"]), default: "info",
            environment: "FATHOM_LOG_LEVEL", help: "The least serious lines that are written."),
        .value(
            "log-format", "format", .choice(["text", "json"]), default: "text",
            environment: "FATHOM_LOG_FORMAT", help: "How lines look: for people, or one JSON object each."),
        .value(
            "lifeline-fd", "n", .integer(3...65_535), isFlagOnly: true,
            help: "End when this inherited descriptor reaches its end."),
    ]
    static let cluster: [Flag] = [
        .value(
            "kubeconfig", "file", .file, environment: "KUBECONFIG",
            help: "How to reach the Kubernetes API; without it the pod's own service account."),
        .value(
            "namespace", "name", .name(limit: 63), environment: "POD_NAMESPACE",
            help: "The namespace to serve; otherwise `default`."),
    ]
    static let feeds = Flag.value(
        "feeds", "n", .integer(1...3), default: "1",
        help: "On how many connections each stream is received; with two, the loss of either costs nothing."
    )
    static let exchanges: [Flag] = [
        .value(
            "exchanges", "file", .file, environment: "FATHOM_EXCHANGES",
            help: "YAML file that overrides the built-in exchange table.")
    ]
    static let linkKey: [Flag] = [
        .value(
            "link-key-secret", "name", .name(limit: 253),
            help: "Secret with the key of the link, `fathom-link` in a cluster; watched by name."),
        .value(
            "link-key-file", "file", .file,
            help: "File with the key of the link: current, and on a second line the previous one."),
    ]

    /// Where a pod learns who it is; by hand the same is said with flags.
    static func identity(_ role: String) -> [Flag] {
        [
            .value(
                "name", "pod", .name(limit: 253), environment: "POD_NAME",
                help: "The name of this \(role)'s pod; otherwise made from the process id."),
            .value(
                "uid", "uid", environment: "POD_UID",
                help: "The uid of this \(role)'s pod; otherwise its name."),
            .value("node", "name", environment: "NODE_NAME", help: "The node that it runs on."),
        ]
    }
}

/// What several subcommands check before they start.
enum SharedChecks {
    /// Without the key of the link nobody is answered, and two sources would be one too many.
    static let linkKey = CommandSpecification.Check(["link-key-file", "link-key-secret"]) { arguments in
        switch (arguments.string("link-key-secret"), arguments.string("link-key-file")) {
        case (nil, nil):
            [
                "--link-key-secret or --link-key-file is required: without the key of the link nobody is answered"
            ]
        case (.some, .some):
            [
                "\(arguments.label("link-key-secret")) and \(arguments.label("link-key-file")) exclude each other"
            ]
        default: []
        }
    }

    /// The override file must fit the exchange table.
    static let exchanges = CommandSpecification.Check(["exchanges"]) { arguments in
        do {
            _ = try exchangeDirectory(arguments.string("exchanges"))
            return []
        } catch let error as ArgumentError {
            return error.mistakes.map { "\(arguments.label("exchanges")): \($0)" }
        } catch {
            return ["\(arguments.label("exchanges")): \(error)"]
        }
    }
}
