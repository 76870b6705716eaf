/// One flag that a command takes.
///
/// A flag is written `--name value` or `--name=value`; a switch (no `placeholder`) takes no value.
/// Where `environment` names a variable, that variable is used when the flag is absent.
package struct Flag: Sendable {
    package var name: String
    package var placeholder: String?
    package var environment: String?
    package var defaultValue: String?
    package var isRepeatable: Bool
    package var help: String
    /// The letter of `-o VALUE`; nil: there is none.
    package var short: Character?

    /// A flag with a value; `placeholder` is what the help shows for it.
    package static func value(
        _ name: String, _ placeholder: String, default defaultValue: String? = nil,
        environment: String? = nil,
        isRepeatable: Bool = false, short: Character? = nil, help: String
    ) -> Flag {
        Flag(
            name: name, placeholder: placeholder, environment: environment, defaultValue: defaultValue,
            isRepeatable: isRepeatable, help: help, short: short)
    }

    /// A flag without a value: present or absent.
    package static func toggle(_ name: String, help: String) -> Flag {
        Flag(
            name: name, placeholder: nil, environment: nil, defaultValue: nil, isRepeatable: false, help: help
        )
    }
}

/// What a command is called, what it takes and what it is for: enough to parse its arguments and to print its help.
package struct CommandSpecification: Sendable {
    package var name: String
    package var summary: String
    package var discussion: String
    package var flags: [Flag]
    package var positionals: [String]

    package init(
        name: String, summary: String, discussion: String = "", flags: [Flag], positionals: [String] = []
    ) {
        self.name = name
        self.summary = summary
        self.discussion = discussion
        self.flags = flags
        self.positionals = positionals
    }

    /// The text for `--help`.
    package var help: String {
        var text = "\(summary)\n\nUsage: \(name)"
        if !flags.isEmpty { text += " [options]" }
        for positional in positionals { text += " <\(positional)>" }
        text += "\n"
        if !discussion.isEmpty { text += "\n\(discussion)\n" }
        let rows =
            flags.map { flag in
                ("--\(flag.name)" + (flag.placeholder.map { " <\($0)>" } ?? ""), Self.description(of: flag))
            } + [("--help", "Print this text and exit.")]
        let width = rows.map(\.0.count).max() ?? 0
        text += "\nOptions:\n"
        for (left, right) in rows {
            text += "  \(left)\(String(repeating: " ", count: width - left.count))  \(right)\n"
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
}
