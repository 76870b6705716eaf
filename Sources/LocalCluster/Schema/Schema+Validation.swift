import K8sClient

extension Schema {
    /// Everything about `value` that the schema forbids; `old` is the stored value, for transition rules.
    func faults(in value: JSONValue, old: JSONValue?, path: String) -> [FieldFault] {
        if value == .null && isNullable { return [] }
        if let fault = typeFault(value, path) { return [fault] }
        var faults = valueFaults(value, path)
        if let fields = value.fields { faults += fieldFaults(fields, old, path) }
        if let elements = value.elements { faults += elementFaults(elements, path) }
        guard faults.isEmpty else { return faults }
        for rule in rules {
            if let message = rule.violation(self: value, old: old) {
                let shown = value.fields == nil && value.elements == nil ? value.jsonText : "\"\(type)\""
                faults.append(
                    FieldFault(field: path, reason: "FieldValueInvalid", value: shown, detail: message))
            }
        }
        return faults
    }

    private func typeFault(_ value: JSONValue, _ path: String) -> FieldFault? {
        let actual = value.schemaType
        let fits: Bool
        if isIntOrString {
            fits = actual == "integer" || actual == "string"
        } else if type.isEmpty {
            fits = true
        } else {
            fits = actual == type || (type == "number" && actual == "integer")
        }
        guard !fits else { return nil }
        return FieldFault(
            field: path, reason: "FieldValueTypeInvalid", value: "\"\(actual)\"",
            detail:
                "\(path) in body must be of type \(isIntOrString ? "integer or string" : type): \"\(actual)\""
        )
    }

    private func valueFaults(_ value: JSONValue, _ path: String) -> [FieldFault] {
        var faults: [FieldFault] = []
        func add(_ detail: String, reason: String = "FieldValueInvalid") {
            faults.append(FieldFault(field: path, reason: reason, value: value.jsonText, detail: detail))
        }
        if let number = value.real {
            if let least = raw["minimum"]?.real {
                let isExclusive = raw["exclusiveMinimum"] == true
                if isExclusive ? number <= least : number < least {
                    add(
                        "\(path) in body should be greater than \(isExclusive ? "" : "or equal to ")\(raw["minimum"]?.jsonText ?? "")"
                    )
                }
            }
            if let most = raw["maximum"]?.real {
                let isExclusive = raw["exclusiveMaximum"] == true
                if isExclusive ? number >= most : number > most {
                    add(
                        "\(path) in body should be less than \(isExclusive ? "" : "or equal to ")\(raw["maximum"]?.jsonText ?? "")"
                    )
                }
            }
            if raw["format"] == "int32", number < -2_147_483_648 || number > 2_147_483_647 {
                add("\(path) in body must be of type int32: \(value.jsonText)")
            }
        }
        if let text = value.text { faults += textFaults(text, path) }
        if let allowed = raw["enum"]?.elements, !allowed.contains(value) {
            add(
                "supported values: " + allowed.map(\.jsonText).joined(separator: ", "),
                reason: "FieldValueNotSupported")
        }
        return faults
    }

    private func textFaults(_ text: String, _ path: String) -> [FieldFault] {
        var faults: [FieldFault] = []
        func add(_ detail: String, reason: String = "FieldValueInvalid") {
            faults.append(
                FieldFault(
                    field: path, reason: reason, value: JSONValue.string(text).jsonText, detail: detail))
        }
        let count = text.unicodeScalars.count
        if let least = raw["minLength"]?.whole, count < least {
            add("\(path) in body should be at least \(least) chars long")
        }
        if let most = raw["maxLength"]?.whole, count > most {
            add("may not be more than \(most) bytes", reason: "FieldValueTooLong")
        }
        if let pattern = raw["pattern"]?.text, let regex = try? Regex(pattern),
            (try? regex.firstMatch(in: text)) == nil
        {
            add("\(path) in body should match '\(pattern)'")
        }
        if raw["format"] == "date-time", Clock.parse(text) == nil {
            add("\(path) in body must be of type date-time: \"\(text)\"")
        }
        return faults
    }

    private func fieldFaults(_ fields: [String: JSONValue], _ old: JSONValue?, _ path: String) -> [FieldFault]
    {
        var faults: [FieldFault] = []
        func childPath(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }
        for name in required where fields[name] == nil {
            faults.append(FieldFault(field: childPath(name), reason: "FieldValueRequired"))
        }
        if let most = raw["maxProperties"]?.whole, fields.count > most {
            faults.append(
                FieldFault(
                    field: path, reason: "FieldValueTooMany", value: String(fields.count),
                    detail: "must have at most \(most) items"))
        }
        for (name, value) in fields.sorted(by: { $0.key < $1.key }) {
            guard let schema = child(name) else { continue }
            faults += schema.faults(in: value, old: old?[name], path: childPath(name))
        }
        return faults
    }

    private func elementFaults(_ elements: [JSONValue], _ path: String) -> [FieldFault] {
        var faults: [FieldFault] = []
        if let least = raw["minItems"]?.whole, elements.count < least {
            faults.append(
                FieldFault(
                    field: path, reason: "FieldValueInvalid", value: String(elements.count),
                    detail: "\(path) in body should have at least \(least) items"))
        }
        if let most = raw["maxItems"]?.whole, elements.count > most {
            faults.append(
                FieldFault(
                    field: path, reason: "FieldValueTooMany", value: String(elements.count),
                    detail: "must have at most \(most) items"))
        }
        var seen: Set<String> = []
        for (index, element) in elements.enumerated() {
            let place = "\(path)[\(index)]"
            let identity: String? =
                switch listType {
                case .atomic: nil
                case .set: element.jsonText
                case .map(let keys):
                    JSONValue.object(element.fields?.filter { keys.contains($0.key) } ?? [:]).jsonText
                }
            if let identity, !seen.insert(identity).inserted {
                faults.append(FieldFault(field: place, reason: "FieldValueDuplicate", value: identity))
            }
            // Items of a list have no old value here: transition rules inside lists need correlation by key.
            faults += items?.faults(in: element, old: nil, path: place) ?? []
        }
        return faults
    }
}
