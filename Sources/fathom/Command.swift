import Arguments

/// One subcommand: what it takes, and how its arguments become a run.
protocol Command: Sendable {
    static var specification: CommandSpecification { get }
    /// Runs until done or cancelled; throwing ends the process with exit code 1.
    @concurrent static func run(_ arguments: ParsedArguments) async throws
}

/// Flags that several subcommands share.
enum SharedFlags {
    static let logging: [Flag] = [
        .value(
            "log-level", "level", default: "info", environment: "FATHOM_LOG_LEVEL",
            help: "debug, info, warning or error."),
        .value(
            "log-format", "format", default: "text", environment: "FATHOM_LOG_FORMAT", help: "text or json."),
        .value("lifeline-fd", "n", help: "End when this inherited descriptor reaches its end."),
    ]
    static let cluster: [Flag] = [
        .value(
            "kubeconfig", "file", environment: "KUBECONFIG",
            help: "How to reach the Kubernetes API; without it the pod's own service account."),
        .value(
            "namespace", "name", environment: "POD_NAMESPACE",
            help: "The namespace to serve; otherwise the kubeconfig's or the pod's own."),
    ]
    static let feeds = Flag.value(
        "feeds", "n", default: "1",
        help:
            "On how many connections (1 to 3) each stream is received; with two, the loss of either costs nothing."
    )
    static let exchanges: [Flag] = [
        .value(
            "exchanges", "file", environment: "FATHOM_EXCHANGES",
            help: "YAML file that overrides the built-in exchange table.")
    ]
    static let linkKey: [Flag] = [
        .value(
            "link-key-file", "file", environment: "FATHOM_LINK_KEY_FILE",
            help: "File with the key of the link: current, and on a second line the previous one.")
    ]

    /// Where a pod learns who it is; by hand the same is said with flags.
    static func identity(_ role: String) -> [Flag] {
        [
            .value("name", "pod", environment: "POD_NAME", help: "The name of this \(role)'s pod."),
            .value("uid", "uid", environment: "POD_UID", help: "The uid of this \(role)'s pod."),
            .value("node", "name", environment: "NODE_NAME", help: "The node that it runs on."),
        ]
    }
}
