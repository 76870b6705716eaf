/// What a command was told, by its arguments, by variables, by the configuration file and by its defaults, in this order.
package struct ParsedArguments: Sendable {
    /// One flag's values and where they came from.
    private struct Given {
        var values: [String]
        var label: String
    }

    private var given: [String: Given] = [:]
    /// The flags that the command line itself gave.
    private var typedFlags: Set<String> = []
    package private(set) var positionals: [String] = []
    /// Whether `--help` was asked for; then nothing else was checked.
    package private(set) var asksForHelp = false

    /// Reads `arguments` (without the command's own name) against `specification`; all mistakes are told at once.
    package init(
        _ arguments: [String], for specification: CommandSpecification, sources: ConfigurationSources
    ) throws(ArgumentError) {
        var line = CommandLineReader(specification)
        line.read(arguments)
        positionals = line.positionals
        if line.asksForHelp {
            asksForHelp = true
            return
        }
        var mistakes = line.mistakes
        for (name, values) in line.values { given[name] = Given(values: values, label: "--\(name)") }
        typedFlags = Set(line.values.keys)
        takeEnvironment(specification, sources, &mistakes)
        let file = takeFile(specification, sources, &mistakes)
        let wrong = checkValues(specification, sources, file, &mistakes)
        for check in specification.checks where wrong.isDisjoint(with: check.flags) {
            mistakes += check.mistakes(self)
        }
        if !mistakes.isEmpty { throw ArgumentError(mistakes: mistakes) }
    }

    /// For commands that are told by flags and their own variables alone.
    package init(
        _ arguments: [String], for specification: CommandSpecification, environment: [String: String]
    ) throws(ArgumentError) {
        try self.init(arguments, for: specification, sources: ConfigurationSources(environment: environment))
    }

    private mutating func takeEnvironment(
        _ specification: CommandSpecification, _ sources: ConfigurationSources, _ mistakes: inout [String]
    ) {
        for flag in specification.flags where given[flag.name] == nil {
            let isSetting = specification.section != nil && !flag.isFlagOnly
            // An empty variable counts as none: templates leave such behind.
            let found = flag.variables(isSetting: isSetting).first {
                !(sources.environment[$0] ?? "").isEmpty
            }
            guard let found, let value = sources.environment[found] else { continue }
            // Kubernetes puts FATHOM_PORT=tcp://10.0.0.1:80 into pods beside a Service named fathom.
            if flag.kind == .port, value.hasPrefix("tcp://") || value.hasPrefix("udp://") { continue }
            let values = flag.isRepeatable ? value.split(separator: ",").map(String.init) : [value]
            given[flag.name] = Given(values: values, label: found)
        }
        guard specification.section != nil else { return }
        // A variable of ours with a slip in it is refused; others that begin alike may belong to anybody.
        let known =
            sources.programs.flatMap(\.settings).map(\.variable) + specification.settings.map(\.variable)
        for name in sources.environment.keys.sorted() where name.hasPrefix("FATHOM_") && !known.contains(name)
        {
            if let near = Suggestion.slip(name, among: known) {
                mistakes.append("\(name): unknown variable; did you mean \(near)?")
            }
        }
    }

    /// Takes what nobody gave before from the file; returns all that the file gives, to be checked too.
    private mutating func takeFile(
        _ specification: CommandSpecification, _ sources: ConfigurationSources, _ mistakes: inout [String]
    ) -> [String: Given] {
        guard let section = specification.section,
            let path = string(CommandSpecification.configurationFile.name),
            case .success(let bytes) = sources.read(path)
        else { return [:] }
        let sections = (sources.programs + [specification]).compactMap(\.section)
        let unique = sections.enumerated().filter { !sections[..<$0.offset].contains($0.element) }.map(
            \.element)
        let file = ConfigurationFile(bytes, path: path, for: specification, sections: unique)
        mistakes += file.mistakes
        var all: [String: Given] = [:]
        for flag in specification.settings {
            guard let values = file.values[flag.name] else { continue }
            let label = ConfigurationFile.label(path, section, flag.key)
            all[flag.name] = Given(values: values, label: label)
            if given[flag.name] == nil { given[flag.name] = all[flag.name] }
        }
        return all
    }

    /// Checks each value by its kind and puts in defaults; returns the flags with a mistake.
    private mutating func checkValues(
        _ specification: CommandSpecification, _ sources: ConfigurationSources, _ file: [String: Given],
        _ mistakes: inout [String]
    ) -> Set<String> {
        var wrong: Set<String> = []
        for flag in specification.flags {
            let fromFile = file[flag.name].flatMap { $0.label == given[flag.name]?.label ? nil : $0 }
            for source in [given[flag.name], fromFile].compactMap(\.self) {
                for value in source.values where !flag.kind.accepts(value, isReadable: sources.isReadable) {
                    mistakes.append("\(source.label): expected \(flag.kind.expected), was '\(value)'")
                    wrong.insert(flag.name)
                }
            }
            guard given[flag.name] == nil else { continue }
            if let value = flag.defaultValue {
                given[flag.name] = Given(values: [value], label: "--\(flag.name)")
            }
        }
        return wrong
    }

    /// How the value of a flag was given, for messages about it: `--port`, `FATHOM_PORT`, `config.yaml: worker.port`.
    package func label(_ name: String) -> String { given[name]?.label ?? "--\(name)" }

    /// The value of a flag if the command line gave it, and not a variable, the file or its default.
    package func typed(_ name: String) -> String? { typedFlags.contains(name) ? string(name) : nil }

    /// Whether a switch is on.
    package func has(_ name: String) -> Bool { string(name) == "true" }

    /// The value of a flag.
    package func string(_ name: String) -> String? { given[name]?.values.last }

    /// All values of a repeatable flag, in order.
    package func strings(_ name: String) -> [String] { given[name]?.values ?? [] }

    /// The value of a flag that takes whole numbers.
    package func integer(_ name: String) -> Int? { string(name).flatMap { Int($0) } }

    /// The value of a flag that takes a time.
    package func duration(_ name: String) -> Duration? {
        string(name).flatMap { ValueKind.seconds($0) }.map { .seconds($0) }
    }

    /// The value of a flag that must be there.
    package func required(_ name: String) throws(ArgumentError) -> String {
        guard let value = string(name), !value.isEmpty else { throw ArgumentError("--\(name) is required") }
        return value
    }

    /// The value of a flag as a whole number within `range`, for tools whose flags are plain texts.
    package func integer(_ name: String, in range: ClosedRange<Int>) throws(ArgumentError) -> Int? {
        guard let text = string(name) else { return nil }
        let kind = ValueKind.integer(range)
        guard let value = Int(text), range.contains(value) else {
            throw ArgumentError("\(label(name)): expected \(kind.expected), was '\(text)'")
        }
        return value
    }

    /// The value of a flag as a port number; 0 means any free port.
    package func port(_ name: String) throws(ArgumentError) -> Int? { try integer(name, in: 0...65_535) }
}
