import Arguments

/// `fathom completion`: lets a shell complete commands and options.
enum CompletionCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom completion", summary: "Print the completion script of a shell, bash or zsh.",
        discussion: """
            bash: add  source <(fathom completion bash)  to ~/.bashrc.
            zsh: add  source <(fathom completion zsh)  to ~/.zshrc, behind compinit.
            """,
        flags: [], positionals: ["bash|zsh"])

    static func run(_ arguments: ParsedArguments) async throws {
        let completion = Completion(Main.commands.map { $0.specification })
        switch arguments.positionals[0] {
        case "bash": Screen.write(completion.bash)
        case "zsh": Screen.write(completion.zsh)
        case let other: throw ArgumentError("<bash|zsh>: expected bash or zsh, was '\(other)'")
        }
    }
}

/// What can follow what on a command line, as scripts for shells.
struct Completion {
    private let commands: [CommandSpecification]

    init(_ commands: [CommandSpecification]) { self.commands = commands }

    private func words(_ command: CommandSpecification) -> [String] {
        command.name.split(separator: " ").dropFirst().map(String.init)
    }

    private var firstWords: [String] {
        Set(commands.compactMap { words($0).first }).sorted() + ["--help", "--version"]
    }

    /// `credentials` with `add`, `list` and so on.
    private var groups: [(name: String, words: [String])] {
        let pairs = commands.map(words).filter { $0.count == 2 }
        return Set(pairs.map { $0[0] }).sorted().map { name in
            (name, pairs.filter { $0[0] == name }.map { $0[1] }.sorted())
        }
    }

    /// The options of a command, and the words that stand for its arguments where these are a choice.
    private func options(_ command: CommandSpecification) -> [String] {
        var words: [String] = []
        if let choice = command.positionals.first, choice.contains("|"), !choice.contains("...") {
            words = choice.split(separator: "|").map { String($0) }
        }
        for flag in command.flags {
            words.append("--\(flag.name)")
            if let short = flag.short { words.append("-\(short)") }
        }
        words.append("--help")
        return words
    }

    /// What may follow an option: words, files, or something that nobody knows (nil).
    private enum Values {
        case words([String])
        case files
        case anything
    }

    private func values(_ flag: Flag) -> Values? {
        switch flag.kind {
        case .toggle: return nil
        case .choice(let words): return .words(words)
        case .file: return .files
        default: break
        }
        if flag.placeholder.contains("|") {
            return .words(flag.placeholder.split(separator: "|").map(String.init))
        }
        return ["file", "directory", "dir"].contains(flag.placeholder) ? .files : .anything
    }

    /// One line for each option with a value: its pattern, and what `render` makes of what may follow.
    private func valueCases(_ pattern: (String) -> String, _ render: (Values) -> String) -> String {
        var text = ""
        for command in commands {
            let name = words(command).joined(separator: " ")
            for flag in command.flags {
                guard let values = values(flag) else { continue }
                var forms = ["'\(name) --\(flag.name)'"]
                if let short = flag.short { forms.append("'\(name) -\(short)'") }
                text += "        \(pattern(forms.joined(separator: "|"))) \(render(values)) ;;\n"
            }
        }
        return text
    }

    /// One line for each command, with all that can follow it.
    private func optionCases(_ render: (_ name: String, _ options: String) -> String) -> String {
        var text = ""
        for command in commands {
            let name = words(command).joined(separator: " ")
            text += "        \(render(name, options(command).joined(separator: " "))) ;;\n"
        }
        return text
    }

    var bash: String {
        let groupCases = groups.map { group in
            """
                    \(group.name))
                        if [ "$COMP_CWORD" -eq 2 ]; then
                            COMPREPLY=($(compgen -W "\(group.words.joined(separator: " "))" -- "$current"))
                            return
                        fi
                        command="$command ${COMP_WORDS[2]}"
                        ;;

            """
        }.joined()
        let values = valueCases({ "\($0))" }) { values in
            switch values {
            case .words(let words):
                "COMPREPLY=($(compgen -W \"\(words.joined(separator: " "))\" -- \"$current\")); return"
            case .files: "COMPREPLY=($(compgen -f -- \"$current\")); return"
            case .anything: "return"
            }
        }
        let options = optionCases { name, options in "'\(name)') words=\"\(options)\"" }
        return """
            # Completion of fathom for bash; written by 'fathom completion bash'.
            _fathom() {
                local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
                local command=${COMP_WORDS[1]} words=
                COMPREPLY=()
                if [ "$COMP_CWORD" -eq 1 ]; then
                    COMPREPLY=($(compgen -W "\(firstWords.joined(separator: " "))" -- "$current"))
                    return
                fi
                case "$command" in
            \(groupCases)    esac
                case "$command $previous" in
            \(values)    esac
                case "$command" in
            \(options)    esac
                COMPREPLY=($(compgen -W "$words" -- "$current"))
            }
            complete -F _fathom fathom

            """
    }

    var zsh: String {
        let groupCases = groups.map { group in
            """
                    (\(group.name))
                        if (( CURRENT == 3 )); then
                            compadd -- \(group.words.joined(separator: " "))
                            return
                        fi
                        command="$command $words[3]"
                        ;;

            """
        }.joined()
        let values = valueCases({ "(\($0))" }) { values in
            switch values {
            case .words(let words): "compadd -- \(words.joined(separator: " ")); return"
            case .files: "_files; return"
            case .anything: "return"
            }
        }
        let options = optionCases { name, options in "('\(name)') compadd -- \(options)" }
        return """
            #compdef fathom
            # Completion of fathom for zsh; written by 'fathom completion zsh'.
            _fathom() {
                local command=$words[2] previous=$words[CURRENT-1]
                if (( CURRENT == 2 )); then
                    compadd -- \(firstWords.joined(separator: " "))
                    return
                fi
                case "$command" in
            \(groupCases)    esac
                case "$command $previous" in
            \(values)    esac
                case "$command" in
            \(options)    esac
            }
            compdef _fathom fathom

            """
    }
}
