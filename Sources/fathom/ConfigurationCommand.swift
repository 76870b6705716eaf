import Arguments
import FoundationEssentials

/// `fathom configuration`: tells what the programs can be told, and checks a file before they read it.
enum ConfigurationCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom configuration",
        summary: "Print every setting of every program, or check a configuration file.",
        discussion: """
            Without --check the tables of docs/configuration.md are printed. With it, all sections of the file are checked as
            the programs check them, but for files that the settings name and that are elsewhere.
            Exit code: 0 the file is fine, 2 it has mistakes.
            """,
        flags: [.value("check", "file", .file, help: "The file to check.")])

    /// The tables of docs/configuration.md.
    static var reference: String {
        Main.programs.map { "### \($0.name)\n\n\($0.summary)\n\n\($0.reference)" }.joined(separator: "\n")
    }

    static func run(_ arguments: ParsedArguments) async throws {
        guard let path = arguments.string("check") else {
            print(reference, terminator: "")
            return
        }
        let bytes = try [UInt8](Data(contentsOf: URL(filePath: path)))
        let mistakes = mistakes(bytes, path)
        if !mistakes.isEmpty { throw ArgumentError(mistakes: mistakes) }
        print("\(path): fine")
    }

    /// All mistakes of all sections; one about the whole file is told once.
    static func mistakes(_ bytes: [UInt8], _ path: String) -> [String] {
        var all: [String] = []
        for program in Main.programs {
            var program = program
            program.checks = []
            // Files are where the program runs, not where the file is written.
            for index in program.flags.indices
            where program.flags[index].kind == .file && program.flags[index].name != "config" {
                program.flags[index].kind = .text
            }
            let sources = ConfigurationSources(environment: [:], programs: Main.programs) { _ in
                .success(bytes)
            }
            do throws(ArgumentError) {
                _ = try ParsedArguments(["--config", path], for: program, sources: sources)
            } catch {
                all += error.mistakes.filter { !all.contains($0) }
            }
        }
        return all
    }
}
