import K8sClient

/// What Kubernetes allows in names and labels.
enum NameRules {
    static func faults(in metadata: JSONValue, _ type: ResourceType) -> [FieldFault] {
        var faults: [FieldFault] = []
        let name = metadata["name"]?.text ?? ""
        if name.isEmpty {
            return [
                FieldFault(
                    field: "metadata.name", reason: "FieldValueRequired",
                    detail: "name or generateName is required")
            ]
        }
        let shown = JSONValue.string(name).jsonText
        func invalid(_ detail: String) {
            faults.append(
                FieldFault(field: "metadata.name", reason: "FieldValueInvalid", value: shown, detail: detail))
        }
        switch type.nameRule {
        case .subdomain where !isSubdomain(name):
            invalid(
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
                    + "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
                    + "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')")
        case .label where !isLabel(name):
            invalid(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
                    + "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
                    + "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')")
        case .pathSegment where name == "." || name == ".." || name.contains { "/%".contains($0) }:
            invalid("may not be '.' or '..' or contain '/' or '%'")
        default: break
        }
        for (key, value) in metadata["labels"]?.fields ?? [:] {
            if !isQualified(key) || !isLabelValue(value.text ?? " ") {
                faults.append(
                    FieldFault(
                        field: "metadata.labels", reason: "FieldValueInvalid",
                        value: JSONValue.string(isQualified(key) ? value.text ?? value.jsonText : key)
                            .jsonText,
                        detail:
                            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
                            + "'.', and must start and end with an alphanumeric character"))
            }
        }
        for (key, value) in metadata["annotations"]?.fields ?? [:]
        where value.text == nil || !isQualified(key.lowercased()) {
            faults.append(
                FieldFault(
                    field: "metadata.annotations", reason: "FieldValueInvalid",
                    value: JSONValue.string(key).jsonText,
                    detail: "must be a qualified name with a string value"))
        }
        return faults
    }

    static func isLabel(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 63
            && text.utf8.allSatisfy { isLowerAlphanumeric($0) || $0 == UInt8(ascii: "-") }
            && text.utf8.first.map(isLowerAlphanumeric) ?? false
            && text.utf8.last.map(isLowerAlphanumeric) ?? false
    }

    static func isSubdomain(_ text: String) -> Bool {
        text.utf8.count <= 253
            && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { part in
                !part.isEmpty && part.utf8.allSatisfy { isLowerAlphanumeric($0) || $0 == UInt8(ascii: "-") }
                    && part.utf8.first.map(isLowerAlphanumeric) ?? false
                    && part.utf8.last.map(isLowerAlphanumeric) ?? false
            }
    }

    static func isQualified(_ key: String) -> Bool {
        let parts = key.split(separator: "/", omittingEmptySubsequences: false)
        guard let last = parts.last, parts.count <= 2, !last.isEmpty else { return false }
        return isLabelValue(String(last)) && (parts.count == 1 || isSubdomain(String(parts[0])))
    }

    static func isLabelValue(_ text: String) -> Bool {
        func isAlphanumeric(_ byte: UInt8) -> Bool { isLowerAlphanumeric(byte | 0x20) && byte != 0x10 }
        guard let first = text.utf8.first, let last = text.utf8.last else { return true }
        return text.utf8.count <= 63 && isAlphanumeric(first) && isAlphanumeric(last)
            && text.utf8.allSatisfy { isAlphanumeric($0) || "-_.".utf8.contains($0) }
    }

    private static func isLowerAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x7a).contains(byte)
    }
}
