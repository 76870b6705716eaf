import YAML

/// One program's section of the configuration file: what it gives, and what is wrong with it.
struct ConfigurationFile {
    private(set) var values: [String: [String]] = [:]
    private(set) var mistakes: [String] = []
    private let path: String
    private let specification: CommandSpecification

    /// Reads `bytes`, the content of `path`, for the program of `specification`.
    init(_ bytes: [UInt8], path: String, for specification: CommandSpecification, sections: [String]) {
        self.path = path
        self.specification = specification
        let document: YAMLValue
        do throws(YAMLError) {
            document = try YAML.parse(bytes)
        } catch {
            mistakes.append("\(path): expected YAML: \(error)")
            return
        }
        if document.isNull { return }
        let known = sections.joined(separator: ", ")
        guard let entries = document.entries else {
            mistakes.append("\(path): expected a mapping with sections of \(known)")
            return
        }
        for entry in entries where !sections.contains(entry.key) {
            mistakes.append(unknown(entry.key, among: sections, otherwise: "expected one of \(known)"))
        }
        if let own = entries.first(where: { $0.key == specification.section }) { readSection(own) }
    }

    /// How a key of the section is called in messages.
    static func label(_ path: String, _ section: String, _ key: String) -> String {
        "\(path): \(section).\(key)"
    }

    private func unknown(_ key: String, among known: [String], otherwise: String, _ prefix: String = "")
        -> String
    {
        let near = Suggestion.nearest(to: key, among: known)
        let advice = near.map { "did you mean \(prefix)\($0)?" } ?? otherwise
        return "\(path): \(prefix)\(key): unknown; \(advice)"
    }

    private mutating func readSection(_ section: YAMLValue.Entry) {
        if section.value.isNull { return }
        guard let entries = section.value.entries else {
            mistakes.append("\(path): \(section.key): expected a mapping of keys and values")
            return
        }
        let flags = specification.settings.filter { $0.name != CommandSpecification.configurationFile.name }
        for entry in entries {
            guard let flag = flags.first(where: { $0.key == entry.key }) else {
                let all = "docs/configuration.md lists the keys"
                mistakes.append(
                    unknown(entry.key, among: flags.map(\.key), otherwise: all, section.key + "."))
                continue
            }
            read(entry.value, of: flag, Self.label(path, section.key, flag.key))
        }
    }

    private mutating func read(_ value: YAMLValue, of flag: Flag, _ label: String) {
        if value.isNull { return }
        let elements = flag.isRepeatable ? value.elements ?? [value] : [value]
        let texts = elements.map(Self.text)
        guard !texts.contains(nil) else {
            mistakes.append("\(label): expected \(flag.kind.expected), was a mapping, a list or a fraction")
            return
        }
        values[flag.name] = texts.compactMap(\.self)
    }

    private static func text(_ value: YAMLValue) -> String? {
        switch value {
        case .string(let text): text
        case .int(let number): String(number)
        case .bool(let value): value ? "true" : "false"
        case .null, .double, .sequence, .mapping: nil
        }
    }
}
