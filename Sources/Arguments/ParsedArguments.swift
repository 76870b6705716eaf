/// A mistake in the arguments, in words for the person who typed them.
package struct ArgumentError: Error, Equatable, CustomStringConvertible {
    package var description: String

    package init(_ description: String) { self.description = description }
}

/// Arguments that fit a `CommandSpecification`.
package struct ParsedArguments: Sendable {
    private var values: [String: [String]] = [:]
    private var toggles: Set<String> = []
    package private(set) var positionals: [String] = []
    /// Whether `--help` was asked for; then nothing else was checked.
    package private(set) var asksForHelp = false

    /// Reads `arguments` (without the command's own name) against `specification`.
    package init(
        _ arguments: [String], for specification: CommandSpecification, environment: [String: String]
    ) throws(ArgumentError) {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--help" || argument == "-h" {
                asksForHelp = true
                return
            }
            if argument.utf8.count == 2, argument.first == "-",
                let flag = specification.flags.first(where: { $0.short != nil && $0.short == argument.last })
            {
                try readFlag(Substring(flag.name), following: &rest, specification)
                continue
            }
            guard argument.hasPrefix("--") else {
                positionals.append(argument)
                continue
            }
            try readFlag(argument.dropFirst(2), following: &rest, specification)
        }
        try checkPositionals(specification)
        for flag in specification.flags where values[flag.name] == nil && flag.placeholder != nil {
            let fromEnvironment = flag.environment.flatMap { environment[$0] }
            if let value = fromEnvironment ?? flag.defaultValue { values[flag.name] = [value] }
        }
    }

    private mutating func readFlag(
        _ text: Substring, following rest: inout ArraySlice<String>, _ specification: CommandSpecification
    ) throws(ArgumentError) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0])
        guard let flag = specification.flags.first(where: { $0.name == name }) else {
            throw ArgumentError("unknown option --\(name); '\(specification.name) --help' lists the options")
        }
        guard flag.placeholder != nil else {
            guard parts.count == 1 else { throw ArgumentError("--\(name) takes no value") }
            toggles.insert(name)
            return
        }
        let inline = parts.count == 2 ? String(parts[1]) : nil
        guard let value = inline ?? rest.popFirst() else {
            throw ArgumentError("--\(name) needs a value <\(flag.placeholder ?? "")>")
        }
        guard flag.isRepeatable || values[name] == nil else {
            throw ArgumentError("--\(name) is given twice")
        }
        values[name, default: []].append(value)
    }

    private func checkPositionals(_ specification: CommandSpecification) throws(ArgumentError) {
        if positionals.count > specification.positionals.count {
            throw ArgumentError("unexpected argument '\(positionals[specification.positionals.count])'")
        }
        if positionals.count < specification.positionals.count {
            throw ArgumentError("missing argument <\(specification.positionals[positionals.count])>")
        }
    }

    /// Whether a switch was given.
    package func has(_ name: String) -> Bool { toggles.contains(name) }

    /// The value of a flag, from the arguments, the environment or the default.
    package func string(_ name: String) -> String? { values[name]?.last }

    /// All values of a repeatable flag, in order.
    package func strings(_ name: String) -> [String] { values[name] ?? [] }

    /// The value of a flag that must be there.
    package func required(_ name: String) throws(ArgumentError) -> String {
        guard let value = string(name), !value.isEmpty else { throw ArgumentError("--\(name) is required") }
        return value
    }

    /// The value of a flag as a whole number within `range`.
    package func integer(_ name: String, in range: ClosedRange<Int>) throws(ArgumentError) -> Int? {
        guard let text = string(name) else { return nil }
        guard let value = Int(text), range.contains(value) else {
            throw ArgumentError(
                "--\(name): expected a whole number from \(range.lowerBound) to \(range.upperBound), was '\(text)'"
            )
        }
        return value
    }

    /// The value of a flag as a port number; 0 means any free port.
    package func port(_ name: String) throws(ArgumentError) -> Int? { try integer(name, in: 0...65_535) }
}
