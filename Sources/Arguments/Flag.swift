/// One thing that a command can be told.
///
/// A flag is written `--some-name value` or `--some-name=value`; a switch (kind `.toggle`) needs no value. A program with a section
/// in the configuration file takes the same from the variable `FATHOM_SOME_NAME` and from the key `someName`.
package struct Flag: Sendable {
    package var name: String
    package var kind: ValueKind
    /// What the help shows for the value.
    package var placeholder: String
    /// A variable of another origin that is read too, such as `POD_NAME` or `KUBECONFIG`.
    package var environment: String?
    package var defaultValue: String?
    package var isRepeatable: Bool
    /// Whether it can only be given as a flag: it makes sense for one process and not for a program.
    package var isFlagOnly: Bool
    package var help: String
    /// The letter of `-o VALUE`; nil: there is none.
    package var short: Character?

    /// A flag with a value; `placeholder` is what the help shows for it.
    package static func value(
        _ name: String, _ placeholder: String, _ kind: ValueKind = .text,
        default defaultValue: String? = nil, environment: String? = nil,
        isRepeatable: Bool = false, isFlagOnly: Bool = false,
        short: Character? = nil, help: String
    ) -> Flag {
        Flag(
            name: name, kind: kind, placeholder: placeholder, environment: environment,
            defaultValue: defaultValue, isRepeatable: isRepeatable, isFlagOnly: isFlagOnly, help: help,
            short: short)
    }

    /// A flag that is on or off, and off unless given.
    package static func toggle(_ name: String, help: String) -> Flag {
        Flag(
            name: name, kind: .toggle, placeholder: "", isRepeatable: false, isFlagOnly: false, help: help)
    }

    /// The variable of the flag `--some-name`: `FATHOM_SOME_NAME`.
    package var variable: String {
        "FATHOM_" + String(name.map { $0 == "-" ? "_" : $0 }).uppercased()
    }

    /// The key of the flag `--some-name` in a section of the file: `someName`.
    package var key: String {
        let words = name.split(separator: "-")
        return words.dropFirst().reduce(words.first.map(String.init) ?? "") { text, word in
            text + word.prefix(1).uppercased() + word.dropFirst()
        }
    }

    /// The variables that are read for it, the first one wins.
    func variables(isSetting: Bool) -> [String] {
        guard isSetting else { return [environment].compactMap(\.self) }
        return [variable] + [environment].compactMap(\.self).filter { $0 != variable }
    }
}
