import Arguments
import Binance
import DepthCacheAPI
import Glibc
import K8sClient

/// `fathom credentials add`: keeps a key of an exchange as a Secret.
enum CredentialsAddCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom credentials add",
        summary: "Keep an API key and its secret for the workers, as a Secret.",
        discussion: """
            Both are asked for on the terminal, without showing them, or read from standard input: the key in the first line, the
            secret in the second. They are never taken from arguments, which everybody on the machine can see. Prints the id.
            """,
        flags: [
            .value(
                "account-group", "NAME", default: "binance.com",
                help: "Which exchanges they are for: \(groups.joined(separator: ", ")).")
        ] + ClientFlags.kubernetes + [ClientFlags.dataDirectory])

    static let groups = Set(Exchange.documented.map(\.accountGroup)).sorted()

    static func run(_ arguments: ParsedArguments) async throws {
        let group = arguments.string("account-group") ?? "binance.com"
        guard groups.contains(group) else {
            throw ArgumentError(
                "--account-group: expected one of \(groups.joined(separator: ", ")), was '\(group)'")
        }
        let client = try ClusterTarget(arguments).requireKubernetes(for: "credentials are kept")
        let key = try SecretInput.line("API key: ")
        let secret = try SecretInput.line("API secret: ")
        let object = ExchangeCredentials.secret(group: group, key: key, secret: secret)
        if let problem = ExchangeCredentials.problem(in: object, knownGroups: Set(groups)) {
            throw CommandExit(code: ExitCode.failed, words: problem)
        }
        try await client.create(object)
        Screen.write("\(object.metadata.name ?? "")\n")
    }
}

/// `fathom credentials list`: what there is, masked.
enum CredentialsListCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom credentials list", summary: "List the credentials of the workers, masked.",
        discussion: "Read from what the controller publishes, so new ones show after a moment.",
        flags: [ClientFlags.output] + ClientFlags.target)

    static func run(_ arguments: ParsedArguments) async throws {
        let wantsJSON = try ClientFlags.wantsJSON(arguments)
        let entries = try await entries(try ClusterTarget(arguments))
        if wantsJSON { return Screen.write(JSONValue.array(entries).rendered + "\n") }
        if entries.isEmpty, Screen.isTerminal {
            return Screen.write("No credentials; 'fathom credentials add' keeps some.\n")
        }
        TextTable(
            titles: ["ID", "ACCOUNT GROUP", "KEY", "WORKERS", "AGE", "PROBLEM"],
            rows: entries.map { entry in
                let workers = (entry["assigned_dcns"]?.elements ?? []).compactMap(\.text)
                return [
                    entry["id"]?.text ?? "", entry["account_group"]?.text ?? "",
                    entry["api_key_preview"]?.text ?? "", String(workers.count),
                    entry["added_timestamp"]?.double.map { Age.text(seconds: Screen.now - $0) } ?? "-",
                    entry["problem"]?.text ?? "-",
                ]
            }
        ).print()
    }

    private static func entries(_ target: ClusterTarget) async throws -> [JSONValue] {
        guard let kubernetes = target.kubernetes else {
            return try await target.gateway().ask("/get_credentials_list")["credentials"]?.elements ?? []
        }
        let map = try await kubernetes.find(ConfigMap.self, ExchangeCredentials.configMapName)
        return (map?.data ?? [:]).sorted { $0.key < $1.key }.compactMap {
            try? JSONValue(parsing: Array($0.value.utf8))
        }
    }
}

/// `fathom credentials remove`: deletes such a Secret.
enum CredentialsRemoveCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom credentials remove",
        summary: "Delete credentials by their id; workers stop using them.",
        flags: ClientFlags.kubernetes + [ClientFlags.dataDirectory], positionals: ["id"])

    static func run(_ arguments: ParsedArguments) async throws {
        let client = try ClusterTarget(arguments).requireKubernetes(for: "credentials are removed")
        let id = arguments.positionals[0]
        // Other Secrets of the namespace are none of this command's business.
        guard let secret = try await client.find(Secret.self, id),
            secret.type == ExchangeCredentials.secretType
        else {
            throw CommandExit(
                code: ExitCode.failed,
                words: "there are no credentials '\(id)'; 'fathom credentials list' shows the ids")
        }
        try await client.delete(Secret.self, id, uid: secret.metadata.uid)
        Screen.write("\(id) removed\n")
    }
}

/// Secrets that people type or programs send.
private enum SecretInput {
    /// A line of standard input; on a terminal `prompt` asks for it and nothing that is typed shows.
    static func line(_ prompt: String) throws -> String {
        var settings = termios()
        let isTerminal = unsafe tcgetattr(STDIN_FILENO, &settings) == 0
        var silent = settings
        silent.c_lflag &= ~tcflag_t(ECHO)
        if isTerminal {
            Screen.write(prompt, to: STDERR_FILENO)
            // Nothing that was typed before the echo ended may show or count.
            unsafe tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent)
        }
        defer {
            if isTerminal {
                unsafe tcsetattr(STDIN_FILENO, TCSADRAIN, &settings)
                Screen.write("\n", to: STDERR_FILENO)
            }
        }
        guard let line = try read(), !line.isEmpty else {
            throw CommandExit(
                code: ExitCode.failed,
                words: "expected two lines on standard input: the API key and its secret")
        }
        return line
    }

    /// Looks up from the wait now and then: Ctrl-C must not leave a terminal behind that shows nothing.
    private static func read() throws -> String? {
        var bytes: [UInt8] = []
        while true {
            var wait = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
            let isReadable = unsafe poll(&wait, 1, 100) > 0
            if Task.isCancelled { throw CommandExit(code: ExitCode.interrupted, words: "nothing was kept") }
            guard isReadable else { continue }
            var byte: UInt8 = 0
            let count = unsafe Glibc.read(STDIN_FILENO, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count == 1, byte != UInt8(ascii: "\n") else {
                return count == 1 || !bytes.isEmpty ? String(decoding: bytes, as: UTF8.self) : nil
            }
            bytes.append(byte)
        }
    }
}
