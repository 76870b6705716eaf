/// What a command is called, what it takes and what it is for: enough to parse its arguments, to read its section of the configuration
/// file, to print its help and to write its reference.
package struct CommandSpecification: Sendable {
    /// Something that must hold between several flags, or that only the program can judge.
    package struct Check: Sendable {
        /// It is made only if the values of these flags are fine by themselves.
        var flags: [String]
        /// What is wrong; none: nothing.
        var mistakes: @Sendable (ParsedArguments) -> [String]

        package init(_ flags: [String], _ mistakes: @escaping @Sendable (ParsedArguments) -> [String]) {
            self.flags = flags
            self.mistakes = mistakes
        }
    }

    package var name: String
    /// The program's section in the configuration file; nil: it is told by flags alone.
    package var section: String?
    package var summary: String
    package var discussion: String
    package var flags: [Flag]
    /// Arguments without a flag: `name`, `[name]` where it may be left out, and last `name...` or `[name...]` for several.
    package var positionals: [String]
    package var checks: [Check]

    package init(
        name: String, section: String? = nil, summary: String, discussion: String = "", flags: [Flag],
        positionals: [String] = [], checks: [Check] = []
    ) {
        self.name = name
        self.section = section
        self.summary = summary
        self.discussion = discussion
        self.flags = section == nil ? flags : flags + [Self.configurationFile]
        self.positionals = positionals
        self.checks = checks
    }

    static let configurationFile = Flag.value(
        "config", "file", .file, help: "YAML file with a section for each program.")

    /// The flags that can also be given as variables and in the file.
    var settings: [Flag] { section == nil ? [] : flags.filter { !$0.isFlagOnly } }

    /// The text for `--help`.
    package var help: String {
        var text = "\(summary)\n\nUsage: \(name)"
        if !flags.isEmpty { text += " [options]" }
        for positional in positionals {
            text += positional.hasPrefix("[") ? " \(positional)" : " <\(positional)>"
        }
        text += "\n"
        if !discussion.isEmpty { text += "\n\(discussion)\n" }
        let rows =
            flags.map { flag in
                let value = flag.kind == .toggle ? "" : " <\(flag.placeholder)>"
                return ("--\(flag.name)\(value)", Self.description(of: flag))
            } + [("--help", "Print this text and exit.")]
        let width = rows.map(\.0.count).max() ?? 0
        text += "\nOptions:\n"
        for (left, right) in rows {
            text += "  \(left)\(String(repeating: " ", count: width - left.count))  \(right)\n"
        }
        if let section {
            text += """

                An option --some-name is also read from the variable FATHOM_SOME_NAME and from the key someName in section
                '\(section)' of the file. The option wins over the variable, the variable over the file.

                """
        }
        return text
    }

    private static func description(of flag: Flag) -> String {
        var text = flag.help
        if flag.isRepeatable { text += " May be given several times." }
        if let value = flag.defaultValue { text += " Default: \(value)." }
        if let variable = flag.environment { text += " Environment: \(variable)." }
        return text
    }

    /// The rows of the reference, as a Markdown table.
    package var reference: String {
        var text =
            "| flag | variable | key in the file | value | default | meaning |\n|---|---|---|---|---|---|\n"
        for flag in settings {
            let variables = flag.variables(isSetting: true)
            let isInFile = flag.name != Self.configurationFile.name
            let cells = [
                "`--\(flag.name)`", variables.map { "`\($0)`" }.joined(separator: ", "),
                isInFile ? "`\(flag.key)`" : "",
                flag.kind.expected + (flag.isRepeatable ? "; several" : ""),
                flag.defaultValue.map { "`\($0)`" } ?? (flag.kind == .toggle ? "`false`" : ""),
                flag.help,
            ]
            text += "| " + cells.joined(separator: " | ") + " |\n"
        }
        return text
    }
}
