import Arguments
import FoundationEssentials
import Glibc
import K8sClient

/// The one binary, `fathom <command>`.
///
/// It parses arguments, wires the programs, and owns the process's end.
@main enum Main {
    static let version = "0.1.0"
    static let commands: [any Command.Type] = [
        UpCommand.self, ControllerCommand.self, WorkerCommand.self, GatewayCommand.self,
        APIServerCommand.self,
        StatusCommand.self, StopCommand.self, CreateCommand.self, GetCommand.self, DeleteCommand.self,
        BookCommand.self, TopCommand.self,
        CredentialsAddCommand.self, CredentialsListCommand.self, CredentialsRemoveCommand.self,
        WorkersAddCommand.self, WorkersRemoveCommand.self, WorkersRestartCommand.self,
        ReplayCommand.self, RecordCommand.self, AuditCommand.self, ConfigurationCommand.self,
        CompletionCommand.self,
    ]

    static func main() async {
        ProcessLifetime.prepareSignals()
        ProcessLifetime.raiseDescriptorLimit()
        exit(await start(Array(CommandLine.arguments.dropFirst())))
    }

    /// Finds the command, parses for it, runs it; the result is the exit code, as docs/command-line.md lists them.
    @concurrent static func start(_ arguments: [String]) async -> Int32 {
        guard let name = arguments.first, name != "--help", name != "-h", name != "help" else {
            print(help)
            return arguments.isEmpty ? 2 : 0
        }
        if name == "--version" || name == "version" {
            print("fathom \(version)")
            return 0
        }
        guard let (command, rest) = find(arguments) else {
            let group = commands.map { $0.specification.name }.filter { $0.hasPrefix("fathom \(name) ") }
            if !group.isEmpty, arguments.dropFirst().first.map({ ["--help", "-h"].contains($0) }) == true {
                print(help(of: commands.filter { group.contains($0.specification.name) }))
                return 0
            }
            complain(
                group.isEmpty
                    ? "fathom: unknown command '\(name)'; 'fathom --help' lists the commands"
                    : "fathom \(name): say which of \(group.joined(separator: ", "))")
            return 2
        }
        do {
            let parsed = try ParsedArguments(
                rest, for: command.specification, sources: sources)
            if parsed.asksForHelp {
                print(command.specification.help, terminator: "")
                return 0
            }
            try await ProcessLifetime.run(lifeline: parsed.integer("lifeline-fd")) {
                try await run(command, parsed)
            }
            return 0
        } catch let error as ArgumentError {
            complain("\(command.specification.name): \(error)")
            return 2
        } catch let end as CommandExit {
            if let words = end.words { complain("\(command.specification.name): \(words)") }
            return end.code
        } catch is CancellationError {
            return ExitCode.interrupted
        } catch {
            complain("\(command.specification.name): \(error)")
            return ExitCode.failed
        }
    }

    /// Runs a command; one that was interrupted throws `CancellationError`.
    private static func run(_ command: any Command.Type, _ arguments: ParsedArguments) async throws {
        let endsWhenTold = command.endsWhenTold(arguments)
        do {
            try await command.run(arguments)
        } catch is CancellationError where endsWhenTold {
            return
        } catch is APIError where Task.isCancelled && !endsWhenTold {
            // A call that is cut off while its answer comes fails as if the connection had been lost.
            throw CancellationError()
        }
    }

    /// The command that the first words name, one or two of them, and what follows.
    private static func find(_ arguments: [String]) -> (any Command.Type, [String])? {
        for count in [2, 1] where arguments.count >= count {
            let name = "fathom " + arguments.prefix(count).joined(separator: " ")
            if let command = commands.first(where: { $0.specification.name == name }) {
                return (command, Array(arguments.dropFirst(count)))
            }
        }
        return nil
    }

    /// The commands with a section in the configuration file.
    static var programs: [CommandSpecification] {
        commands.map { $0.specification }.filter { $0.section != nil }
    }

    private static var sources: ConfigurationSources {
        ConfigurationSources(environment: ProcessLifetime.environment, programs: programs) { path in
            Result { try [UInt8](Data(contentsOf: URL(filePath: path))) }
                .mapError { _ in ArgumentError("cannot read \(path)") }
        }
    }

    static var help: String {
        """
        Fathom keeps Binance order books as shared infrastructure and answers queries about them over HTTP.

        Usage: fathom <command> [options]

        \(help(of: commands))

        'fathom <command> --help' tells a command's options.
        """
    }

    private static func help(of commands: [any Command.Type]) -> String {
        let width = commands.map { $0.specification.name.count }.max() ?? 0
        return commands.map { command in
            let name = command.specification.name
            let blanks = String(repeating: " ", count: width - name.count)
            return "  \(name)\(blanks)  \(command.specification.summary)"
        }.joined(separator: "\n")
    }

    private static func complain(_ text: String) {
        let line = Array((text + "\n").utf8)
        unsafe line.withUnsafeBytes { _ = unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
