import Arguments
import FoundationEssentials
import Testing

@testable import fathom

/// The page about the command line, as the commands are.
@Suite struct CommandLineReferenceTests {
    private static let clients: [any Command.Type] = [
        StatusCommand.self, StopCommand.self, CreateCommand.self, GetCommand.self, DeleteCommand.self,
        BookCommand.self, TopCommand.self, CredentialsAddCommand.self, CredentialsListCommand.self,
        CredentialsRemoveCommand.self, WorkersAddCommand.self, WorkersRemoveCommand.self,
        WorkersRestartCommand.self, AuditCommand.self, CompletionCommand.self,
    ]

    @Test(arguments: clients.map { $0.specification.help })
    func `docs/command-line.md has what --help prints`(help: String) throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: "docs/command-line.md"), encoding: .utf8)
        #expect(text.contains("```text\n\(help)```"), "write what '--help' prints into docs/command-line.md")
    }

    @Test func `every default of every command is accepted, and no two options share a name`() throws {
        for command in Main.commands.map({ $0.specification }) where command.section == nil {
            let names = command.flags.map(\.name)
            #expect(Set(names).count == names.count, "\(command.name)")
            #expect(command.name.hasPrefix("fathom "))
        }
    }

    @Test func `no option takes a secret`() {
        for flag in Self.clients.flatMap({ $0.specification.flags }) {
            let isFile = flag.name.hasSuffix("-file")
            #expect(
                isFile || !["secret", "token", "password", "api-key"].contains { flag.name.contains($0) })
        }
    }

    @Test func `both completions know every command and every option`() {
        let completion = Completion(Main.commands.map { $0.specification })
        for script in [completion.bash, completion.zsh] {
            for command in Main.commands.map({ $0.specification }) {
                let name = command.name.dropFirst("fathom ".count)
                let line = script.split(separator: "\n").first { $0.contains("'\(name)')") }
                for flag in command.flags {
                    #expect(line?.contains("--\(flag.name)") == true, "\(name) \(flag.name)")
                }
            }
        }
    }
}
