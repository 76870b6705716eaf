import K8sClient

/// Which objects a list, a watch or a delete of many is about.
struct Selection: Sendable {
    var labels: [LabelRequirement] = []
    /// Dotted path, wanted value, whether equality is wanted.
    var fields: [(path: String, value: String, isEqual: Bool)] = []

    init(labelSelector: String?, fieldSelector: String?, for type: ResourceType) throws(StatusError) {
        if let labelSelector { labels = try LabelSelectorParser.requirements(labelSelector) }
        for part in (fieldSelector ?? "").split(separator: ",") {
            let isEqual = !part.contains("!=")
            let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard halves.count == 2 else {
                throw .badRequest("invalid selector: '\(part)'; can't understand '\(part)'")
            }
            let path = String(halves[0].filter { $0 != "!" && $0 != " " })
            guard
                ["metadata.name", "metadata.namespace"].contains(path) || type.selectableFields.contains(path)
            else { throw .badRequest("field label not supported: \(path)") }
            fields.append((path, String(halves[1].drop { $0 == "=" }), isEqual))
        }
    }

    func matches(_ object: JSONValue) -> Bool {
        for field in fields {
            let value =
                object.at(field.path.split(separator: ".").map(String.init))
                ?? (field.path == "source" ? object.at("source", "component") : .none)
            let text = value?.text ?? (value == nil || value == .null ? "" : value?.jsonText ?? "")
            guard (text == field.value) == field.isEqual else { return false }
        }
        guard !labels.isEmpty else { return true }
        let present = object.at("metadata", "labels")
        return labels.allSatisfy { requirement in
            switch requirement {
            case .isOneOf(let key, let values): present?[key]?.text.map(values.contains) ?? false
            case .isNoneOf(let key, let values): !(present?[key]?.text.map(values.contains) ?? false)
            case .exists(let key): present?[key] != nil
            case .isAbsent(let key): present?[key] == nil
            }
        }
    }
}
