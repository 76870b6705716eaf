import Arguments
import Testing

@Suite struct ParsedArgumentsTests {
    let specification = CommandSpecification(
        name: "fathom test", summary: "A command.",
        flags: [
            .value("port", "n", default: "42081", environment: "PORT", help: "The port."),
            .value("replay", "dir", isRepeatable: true, help: "A recording."),
            .toggle("simulate", help: "Use the simulator."),
        ], positionals: ["file"])

    func parse(_ arguments: [String], environment: [String: String] = [:]) throws -> ParsedArguments {
        try ParsedArguments(arguments, for: specification, environment: environment)
    }

    @Test func `values come from the flag, then the environment, then the default`() throws {
        #expect(try parse(["f"]).port("port") == 42081)
        #expect(try parse(["f"], environment: ["PORT": "7"]).port("port") == 7)
        #expect(try parse(["--port=8", "f"], environment: ["PORT": "7"]).port("port") == 8)
        #expect(try parse(["--port", "9", "f"]).port("port") == 9)
    }

    @Test func `repeatable flags keep their order, switches are seen, positionals are kept`() throws {
        let parsed = try parse(["--replay", "a", "--simulate", "f", "--replay=b"])
        #expect(parsed.strings("replay") == ["a", "b"])
        #expect(parsed.has("simulate"))
        #expect(parsed.positionals == ["f"])
    }

    @Test(arguments: [
        (["--prot=1", "f"], "unknown option --prot; did you mean --port?"),
        (["--frobnicate", "f"], "unknown option --frobnicate; 'fathom test --help' lists the options"),
        (["f", "--port"], "--port needs a value <n>"),
        (["--simulate=1", "f"], "--simulate: expected true or false, was '1'"),
        (["--port=1", "--port=2", "f"], "--port is given twice"),
        ([], "missing argument <file>"),
        (["f", "g"], "unexpected argument 'g'"),
    ])
    func `a mistake is named`(arguments: [String], message: String) {
        #expect(throws: ArgumentError(message)) { try parse(arguments) }
    }

    @Test func `a number out of range says what was expected`() throws {
        let parsed = try parse(["--port", "x", "f"])
        #expect(throws: ArgumentError("--port: expected a whole number from 0 to 65535, was 'x'")) {
            try parsed.port("port")
        }
    }

    @Test func `a short letter stands for its flag`() throws {
        let specification = CommandSpecification(
            name: "fathom test", summary: "", discussion: "",
            flags: [.value("output", "format", short: "o", help: "")])
        let parsed = try ParsedArguments(["-o", "json"], for: specification, environment: [:])
        #expect(parsed.string("output") == "json")
        #expect(throws: ArgumentError("--output needs a value <format>")) {
            try ParsedArguments(["-o"], for: specification, environment: [:])
        }
    }

    @Test func `help wins over mistakes and lists every flag`() throws {
        #expect(try parse(["--help", "--prot"]).asksForHelp)
        for flag in specification.flags { #expect(specification.help.contains("--\(flag.name)")) }
    }
}

@Suite struct `arguments without a flag` {
    private func parse(_ arguments: [String], _ positionals: [String]) throws(ArgumentError) -> [String] {
        let specification = CommandSpecification(
            name: "fathom test", summary: "Tests.", flags: [.toggle("quick", help: "Quick.")],
            positionals: positionals)
        return try ParsedArguments(arguments, for: specification, environment: [:]).positionals
    }

    @Test func `some may be left out, some come in any number`() throws {
        #expect(try parse([], ["[count]"]) == [])
        #expect(try parse(["2"], ["[count]"]) == ["2"])
        #expect(try parse(["a", "--quick", "b", "c"], ["market..."]) == ["a", "b", "c"])
        #expect(try parse([], ["[market...]"]) == [])
        #expect(try parse(["x", "a", "b"], ["verb", "[market...]"]) == ["x", "a", "b"])
    }

    @Test func `one too few or too many is a mistake that names it`() {
        #expect(throws: ArgumentError("missing argument <market>")) { try parse([], ["market..."]) }
        #expect(throws: ArgumentError("missing argument <verb>")) { try parse([], ["verb", "[market...]"]) }
        #expect(throws: ArgumentError("unexpected argument 'b'")) { try parse(["a", "b"], ["[count]"]) }
    }

    @Test func `the help shows which is which`() {
        let specification = CommandSpecification(
            name: "fathom test", summary: "Tests.", flags: [], positionals: ["verb", "[market...]"])
        #expect(specification.help.contains("Usage: fathom test <verb> [market...]\n"))
    }
}
