import Arguments
import FoundationEssentials
import Testing
import Worker
import YAML

@testable import fathom

/// The tables of the programs, as they are.
@Suite struct ConfigurationReferenceTests {
    private func repositoryFile(_ path: String) throws -> String {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    @Test func `docs/configuration.md has the tables as the programs are`() throws {
        let text = try repositoryFile("docs/configuration.md")
        #expect(
            text.contains(ConfigurationCommand.reference),
            "write what 'fathom configuration' prints into docs/configuration.md")
    }

    @Test func `no two flags of a program share a name, a variable or a key, and every default is accepted`()
        throws
    {
        for program in Main.programs {
            let names = program.flags.map(\.name)
            #expect(Set(names).count == names.count, "\(program.name)")
            #expect(Set(program.flags.map(\.key)).count == names.count, "\(program.name)")
            for flag in program.flags where flag.kind != .toggle {
                guard let value = flag.defaultValue else { continue }
                let parsed = try ParsedArguments(
                    ["--\(flag.name)", value], for: withoutChecks(program), environment: [:])
                #expect(parsed.string(flag.name) == value)
            }
        }
    }

    private func withoutChecks(_ program: CommandSpecification) -> CommandSpecification {
        var program = program
        program.checks = []
        return program
    }

    @Test func `a gateway without a key says so together with its other mistakes`() throws {
        let error = #expect(throws: ArgumentError.self) {
            try ParsedArguments(["--port", "x"], for: GatewayCommand.specification, environment: [:])
        }
        #expect(error?.mistakes.count == 2)
        #expect(error?.mistakes.first == "--port: expected a whole number from 0 to 65535, was 'x'")
        #expect(error?.mistakes.last?.hasPrefix("--link-key-secret or --link-key-file is required") == true)
    }

    @Test func `a worker's settings reach its configuration`() throws {
        let parsed = try ParsedArguments(
            ["--threads", "3", "--feed-lifetime-seconds=20", "--link-key-secret", "fathom-link"],
            for: WorkerCommand.specification,
            environment: [
                "POD_NAME": "w-1", "POD_UID": "u", "POD_NAMESPACE": "books", "NODE_NAME": "n",
                "POD_IP": "10.0.0.7",
                "FATHOM_FEEDS": "2",
            ])
        let configuration = WorkerCommand.configuration(parsed)
        #expect(configuration.name == "w-1")
        #expect(configuration.uid == "u")
        #expect(configuration.namespace == "books")
        #expect(configuration.node == "n")
        #expect(configuration.advertisedAddress == "10.0.0.7")
        #expect(configuration.loopCount == 3)
        #expect(configuration.feeds == 2)
        #expect(configuration.linkKeySecret == "fathom-link")
        #expect(configuration.feedLifetime == .seconds(20))
    }

    @Test func `a file is checked as a whole, for all programs`() {
        let file = """
            worker: {threads: 0, linkKeyFile: /etc/fathom/link}
            gateway: {prot: 80}
            controler: {}
            """
        #expect(
            ConfigurationCommand.mistakes(Array(file.utf8), "f.yaml").sorted() == [
                "f.yaml: controler: unknown; did you mean controller?",
                "f.yaml: gateway.prot: unknown; did you mean gateway.port?",
                "f.yaml: worker.threads: expected a whole number from 1 to 256, was '0'",
            ])
    }

    @Test func `the file that the chart makes is fine for all programs`() throws {
        let documents = try YAML.parseAll(Array(try repositoryFile("manifests/install.yaml").utf8))
        let files = documents.compactMap { $0["data"]?["config.yaml"]?.text }
        #expect(files.count == 1)
        for file in files { #expect(ConfigurationCommand.mistakes(Array(file.utf8), "config.yaml") == []) }
    }
}
