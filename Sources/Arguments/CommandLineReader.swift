/// Takes a command line apart; values are judged later, with those of the other sources.
struct CommandLineReader {
    private let specification: CommandSpecification
    private(set) var values: [String: [String]] = [:]
    private(set) var positionals: [String] = []
    private(set) var asksForHelp = false
    private(set) var mistakes: [String] = []

    init(_ specification: CommandSpecification) { self.specification = specification }

    mutating func read(_ arguments: [String]) {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--help" || argument == "-h" {
                asksForHelp = true
                return
            }
            if argument.utf8.count == 2, argument.first == "-",
                let flag = specification.flags.first(where: { $0.short != nil && $0.short == argument.last })
            {
                readFlag(Substring(flag.name), following: &rest)
            } else if argument.hasPrefix("--") {
                readFlag(argument.dropFirst(2), following: &rest)
            } else {
                positionals.append(argument)
            }
        }
        checkPositionals()
    }

    private mutating func readFlag(_ text: Substring, following rest: inout ArraySlice<String>) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0])
        guard let flag = specification.flags.first(where: { $0.name == name }) else {
            let near = Suggestion.nearest(to: name, among: specification.flags.map(\.name))
            let advice =
                near.map { "did you mean --\($0)?" } ?? "'\(specification.name) --help' lists the options"
            mistakes.append("unknown option --\(name); \(advice)")
            // What follows is most likely its value, and no mistake of its own.
            let isValue = parts.count == 1 && specification.positionals.isEmpty
            if isValue, let next = rest.first, !next.hasPrefix("-") { rest.removeFirst() }
            return
        }
        let inline = parts.count == 2 ? String(parts[1]) : nil
        var value = inline ?? (flag.kind == .toggle ? "true" : nil)
        // A text may look like an option; a number, a file or a name does not.
        if value == nil, flag.kind == .text || rest.first?.hasPrefix("--") == false {
            value = rest.popFirst()
        }
        guard let value else {
            mistakes.append("--\(name) needs a value <\(flag.placeholder)>")
            return
        }
        guard flag.isRepeatable || flag.kind == .toggle || values[name] == nil else {
            mistakes.append("--\(name) is given twice")
            return
        }
        if flag.isRepeatable { values[name, default: []].append(value) } else { values[name] = [value] }
    }

    private mutating func checkPositionals() {
        let wanted = specification.positionals
        if wanted.last?.contains("...") != true {
            for extra in positionals.dropFirst(wanted.count) {
                mistakes.append("unexpected argument '\(extra)'")
            }
        }
        for missing in wanted.dropFirst(positionals.count) where !missing.hasPrefix("[") {
            mistakes.append("missing argument <\(missing.filter { $0 != "." })>")
        }
    }
}
