import Arguments
import Testing

/// One program, told by flags, variables and a file.
@Suite struct ConfigurationTests {
    static let worker = CommandSpecification(
        name: "fathom worker", section: "worker", summary: "Keeps books.",
        flags: [
            .value("port", "n", .port, default: "8082", help: "The port."),
            .value("log-level", "level", .choice(["debug", "info"]), default: "info", help: "Which lines."),
            .value("link-key-rotation", "time", .duration(60...86_400 * 365), help: "How often."),
            .value("name", "pod", .name(limit: 20), environment: "POD_NAME", help: "Who."),
            .value("allowed-host", "name", .address, isRepeatable: true, help: "More hosts."),
            .value("key-file", "file", .file, help: "A file."),
            .value("lifeline-fd", "n", .integer(3...9), isFlagOnly: true, help: "A descriptor."),
            .toggle("simulate", help: "Simulate."),
        ],
        checks: [
            .init(["port", "simulate"]) { arguments in
                arguments.has("simulate") && arguments.integer("port") == 1
                    ? ["\(arguments.label("port")): port 1 cannot be simulated"] : []
            }
        ])
    static let gateway = CommandSpecification(
        name: "fathom gateway", section: "gateway", summary: "Answers.",
        flags: [.value("health-port", "n", .port, help: "The port.")])

    func parse(
        _ arguments: [String] = [], _ environment: [String: String] = [:], file: String? = nil
    ) throws(ArgumentError) -> ParsedArguments {
        let sources = ConfigurationSources(environment: environment, programs: [Self.worker, Self.gateway]) {
            path in
            guard path == "c.yaml", let file else { return .failure(ArgumentError("cannot read \(path)")) }
            return .success(Array(file.utf8))
        }
        let all = file == nil ? arguments : arguments + ["--config", "c.yaml"]
        return try ParsedArguments(all, for: Self.worker, sources: sources)
    }

    func mistakes(
        _ arguments: [String] = [], _ environment: [String: String] = [:], file: String? = nil
    ) -> [String] {
        do throws(ArgumentError) {
            _ = try parse(arguments, environment, file: file)
            return []
        } catch { return error.mistakes }
    }

    @Test func `the flag wins over the variable, the variable over the file, the file over the default`()
        throws
    {
        let file = "worker: {port: 3}"
        #expect(try parse(["--port", "1"], ["FATHOM_PORT": "2"], file: file).integer("port") == 1)
        #expect(try parse([], ["FATHOM_PORT": "2"], file: file).integer("port") == 2)
        #expect(try parse([], [:], file: file).integer("port") == 3)
        #expect(try parse([], ["FATHOM_PORT": ""], file: file).integer("port") == 3)
        #expect(try parse().integer("port") == 8082)
    }

    @Test func `what was typed is told from what came from elsewhere`() throws {
        #expect(try parse(["--log-level=debug"]).typed("log-level") == "debug")
        #expect(try parse([], ["FATHOM_LOG_LEVEL": "debug"]).typed("log-level") == nil)
        #expect(try parse([], [:], file: "worker: {logLevel: debug}").typed("log-level") == nil)
        #expect(try parse().typed("log-level") == nil)
    }

    @Test func `our variable wins over the one of the pod`() throws {
        #expect(try parse([], ["POD_NAME": "b", "FATHOM_NAME": "a"]).string("name") == "a")
        #expect(try parse([], ["POD_NAME": "b"]).string("name") == "b")
    }

    @Test func `every kind of value is read from the file`() throws {
        let parsed = try parse(
            [], [:],
            file: """
                worker:
                  logLevel: debug
                  linkKeyRotation: 30d
                  allowedHost: [a.example, "::1"]
                  simulate: true
                  name:
                gateway:
                  healthPort: 9090
                """)
        #expect(parsed.string("log-level") == "debug")
        #expect(parsed.duration("link-key-rotation") == .seconds(30 * 86_400))
        #expect(parsed.strings("allowed-host") == ["a.example", "::1"])
        #expect(parsed.has("simulate"))
        #expect(parsed.string("name") == nil)
    }

    @Test func `lists in a variable are separated by commas, and a switch can be turned off again`() throws {
        let parsed = try parse(
            ["--simulate=false"], ["FATHOM_ALLOWED_HOST": "a,b", "FATHOM_SIMULATE": "true"])
        #expect(parsed.strings("allowed-host") == ["a", "b"])
        #expect(!parsed.has("simulate"))
    }

    @Test func `all mistakes of all sources are told at once, each by the key that was given`() {
        let found = mistakes(
            ["--prot", "1", "--log-level=loud"],
            ["FATHOM_PORT": "x", "POD_NAME": "Upper", "FATHOM_LOG_LEVLE": "info"],
            file: """
                worker:
                  port: 70000
                  linkKeyRotation: 30
                  log-level: info
                  frobnicate: 1
                  allowedHost: {a: b}
                wroker: {}
                """)
        #expect(
            found == [
                "unknown option --prot; did you mean --port?",
                "FATHOM_LOG_LEVLE: unknown variable; did you mean FATHOM_LOG_LEVEL?",
                "c.yaml: wroker: unknown; did you mean worker?",
                "c.yaml: worker.log-level: unknown; did you mean worker.logLevel?",
                "c.yaml: worker.frobnicate: unknown; docs/configuration.md lists the keys",
                "c.yaml: worker.allowedHost: expected an address or a host name, was a mapping, a list or a fraction",
                "FATHOM_PORT: expected a whole number from 0 to 65535, was 'x'",
                "c.yaml: worker.port: expected a whole number from 0 to 65535, was '70000'",
                "--log-level: expected debug or info, was 'loud'",
                "c.yaml: worker.linkKeyRotation: expected a time such as 90s, 15m, 12h or 30d, from 1m to 365d, was '30'",
                "POD_NAME: expected a name of lower case letters, digits, '-' and '.', at most 20 characters long, was 'Upper'",
            ])
    }

    @Test(arguments: [
        ("worker: [1]", "c.yaml: worker: expected a mapping of keys and values"),
        ("- a", "c.yaml: expected a mapping with sections of worker, gateway"),
        (
            "worker: {lifelineFd: 4}",
            "c.yaml: worker.lifelineFd: unknown; docs/configuration.md lists the keys"
        ),
        ("worker: {config: a}", "c.yaml: worker.config: unknown; docs/configuration.md lists the keys"),
        (
            "worker: {port: 1.5}",
            "c.yaml: worker.port: expected a whole number from 0 to 65535, was a mapping, a list or a fraction"
        ),
        ("worker: {keyFile: /gone}", "c.yaml: worker.keyFile: expected a file that can be read, was '/gone'"),
        ("worker: {port: 1, simulate: true}", "c.yaml: worker.port: port 1 cannot be simulated"),
    ])
    func `a mistake in the file is named by its place`(file: String, mistake: String) {
        #expect(mistakes([], [:], file: file) == [mistake])
    }

    @Test func `YAML that cannot be read says where`() {
        #expect(mistakes([], [:], file: "worker: {").first?.hasPrefix("c.yaml: expected YAML: line ") == true)
        #expect(mistakes(["--config", "gone"]) == ["--config: expected a file that can be read, was 'gone'"])
    }

    @Test func `what Kubernetes and others put into the environment is no mistake`() throws {
        let parsed = try parse(
            [],
            [
                "FATHOM_PORT": "tcp://10.0.0.1:80", "FATHOM_PORT_80_TCP": "tcp://10.0.0.1:80",
                "FATHOM_SERVICE_HOST": "10.0.0.1", "FATHOM_BIN": "/bin", "FATHOM_HEALTH_PORT": "9090",
            ])
        #expect(parsed.integer("port") == 8082)
    }

    @Test func `a mistake in another program's section stops only that program`() throws {
        #expect(try parse([], [:], file: "gateway: {healthPort: x}").integer("port") == 8082)
    }

    @Test func `a number is not taken from the next option`() {
        #expect(mistakes(["--port", "--simulate"]) == ["--port needs a value <n>"])
    }

    @Test(arguments: [
        ("0s", false), ("59s", false), ("1m", true), ("365d", true), ("9000h", false), ("d", false),
        ("1w", false), ("-1d", false), ("99999999999999999999d", false), ("9223372036854775807d", false),
    ])
    func `times have a unit and limits`(text: String, isFine: Bool) {
        #expect(mistakes(["--link-key-rotation", text]).isEmpty == isFine)
    }
}
