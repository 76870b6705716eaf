import Arguments
import FoundationEssentials
import Glibc

/// The one binary, `fathom <command>`.
///
/// It parses arguments, wires the programs, and owns the process's end.
@main enum Main {
    static let version = "0.1.0"
    static let commands: [any Command.Type] = [
        UpCommand.self, ControllerCommand.self, WorkerCommand.self, GatewayCommand.self,
        APIServerCommand.self,
        ReplayCommand.self, RecordCommand.self, AuditCommand.self, ConfigurationCommand.self,
    ]

    static func main() async {
        ProcessLifetime.prepareSignals()
        ProcessLifetime.raiseDescriptorLimit()
        exit(await start(Array(CommandLine.arguments.dropFirst())))
    }

    /// Finds the command, parses for it, runs it; the result is the exit code (0 done, 1 failed, 2 misused).
    @concurrent static func start(_ arguments: [String]) async -> Int32 {
        guard let name = arguments.first, name != "--help", name != "-h", name != "help" else {
            print(help)
            return arguments.isEmpty ? 2 : 0
        }
        if name == "--version" || name == "version" {
            print("fathom \(version)")
            return 0
        }
        guard let command = commands.first(where: { $0.specification.name == "fathom \(name)" }) else {
            complain("fathom: unknown command '\(name)'; 'fathom --help' lists the commands")
            return 2
        }
        do {
            let parsed = try ParsedArguments(
                Array(arguments.dropFirst()), for: command.specification,
                sources: sources)
            if parsed.asksForHelp {
                print(command.specification.help, terminator: "")
                return 0
            }
            try await ProcessLifetime.run(lifeline: parsed.integer("lifeline-fd")) {
                try await command.run(parsed)
            }
            return 0
        } catch let error as ArgumentError {
            complain("\(command.specification.name): \(error)")
            return 2
        } catch let end as CommandExit {
            if let words = end.words { complain("\(command.specification.name): \(words)") }
            return end.code
        } catch is CancellationError {
            return 0
        } catch {
            complain("\(command.specification.name): \(error)")
            return 1
        }
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
        let width = commands.map { $0.specification.name.count }.max() ?? 0
        let rows = commands.map { command in
            let name = command.specification.name
            return
                "  \(name)\(String(repeating: " ", count: width - name.count))  \(command.specification.summary)"
        }
        return """
            Fathom keeps Binance order books as shared infrastructure and answers queries about them over HTTP.

            Usage: fathom <command> [options]

            \(rows.joined(separator: "\n"))

            'fathom <command> --help' tells a command's options.
            """
    }

    private static func complain(_ text: String) {
        let line = Array((text + "\n").utf8)
        unsafe line.withUnsafeBytes { _ = unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
