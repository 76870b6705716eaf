import Arguments
import Glibc

/// Flags of the commands that talk to a running cluster.
enum ClientFlags {
    static let gateway = Flag.value(
        "gateway", "URL", environment: "FATHOM_GATEWAY",
        help: "The gateway to ask, such as http://127.0.0.1:42081.")
    /// Tokens are secrets: a flag would show them to everybody who lists processes.
    static let tokenFile = Flag.value(
        "token-file", "file", environment: "FATHOM_TOKEN_FILE",
        help: "File with the bearer token for the gateway, where it asks for one.")
    static let caFile = Flag.value(
        "ca-file", "file", environment: "FATHOM_CA_FILE",
        help: "Authorities to trust for a gateway with https instead of the system's.")
    static let kubernetes: [Flag] = [
        .value(
            "kubeconfig", "file",
            help:
                "How to reach the Kubernetes API; without it and without a local cluster $KUBECONFIG or ~/.kube/config."
        ),
        .value("context", "name", help: "The context of the kubeconfig; otherwise its current one."),
        .value("namespace", "name", help: "The namespace of Fathom; otherwise the context's."),
    ]
    static let dataDirectory = Flag.value(
        "data-dir", "directory", default: "./.fathom", environment: "FATHOM_DATA_DIR",
        help: "The data directory of the local cluster.")
    /// For commands that a gateway or the Kubernetes API can answer.
    static let target = [gateway, tokenFile, caFile] + kubernetes + [dataDirectory]

    static let exchange = Flag.value(
        "exchange", "NAME", default: "binance.com", environment: "FATHOM_EXCHANGE", help: "The exchange.")
    static let output = Flag.value(
        "output", "table|json", default: "table", short: "o",
        help:
            "How to print the result; -o is short for it. A table is tab-separated unless it goes to a terminal."
    )

    /// Whether JSON is wanted.
    static func wantsJSON(_ arguments: ParsedArguments) throws(ArgumentError) -> Bool {
        switch arguments.string("output") {
        case "json": return true
        case "table": return false
        case let other: throw ArgumentError("--output: expected table or json, was '\(other ?? "")'")
        }
    }

    /// Whether a view goes on until it is told to end.
    static func isLive(_ arguments: ParsedArguments) -> Bool {
        !arguments.has("once") && (Screen.isTerminal || arguments.string("output") == "json")
    }
}

/// The exit codes of all commands beside 0 (done); docs/command-line.md lists them.
enum ExitCode {
    /// It was refused, or the answer is bad news.
    static let failed: Int32 = 1
    /// No cluster was found, or it cannot be reached.
    static let unreachable: Int32 = 3
    /// A signal came before it was done, 130 for Ctrl-C and 143 for SIGTERM, as shells say it.
    static var interrupted: Int32 { 128 + (ProcessLifetime.endingSignal ?? SIGTERM) }
}
