import K8sClient

/// One reason among several why an object is invalid.
struct FieldFault: Equatable, Sendable {
    var field: String
    /// For example `FieldValueInvalid`; the words before the detail follow from it.
    var reason: String
    var value: String = ""
    var detail: String = ""

    /// The fault in the words of a real API server.
    var message: String {
        switch reason {
        case "FieldValueRequired": detail.isEmpty ? "Required value" : "Required value: \(detail)"
        case "FieldValueForbidden": "Forbidden: \(detail)"
        case "FieldValueTooLong": "Too long: \(detail)"
        case "FieldValueTooMany": "Too many: \(value): \(detail)"
        case "FieldValueNotSupported": "Unsupported value: \(value): \(detail)"
        case "FieldValueDuplicate": "Duplicate value: \(value)"
        default: "Invalid value: \(value): \(detail)"
        }
    }
}

/// An answer that is an error: the API's `Status` object.
struct StatusError: Error, Equatable, Sendable {
    var code: Int
    var reason: String
    var message: String
    var details: JSONValue?

    init(_ code: Int, _ reason: String, _ message: String, details: JSONValue? = nil) {
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
    }

    var status: JSONValue {
        var status: JSONValue = [
            "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure",
            "message": .string(message), "reason": .string(reason), "code": .from(code),
        ]
        if let details { status["details"] = details }
        return status
    }

    static func badRequest(_ message: String) -> StatusError { StatusError(400, "BadRequest", message) }

    static let unknownPath = StatusError(
        404, "NotFound", "the server could not find the requested resource", details: [:])

    static func notFound(_ type: ResourceType, _ name: String) -> StatusError {
        StatusError(
            404, "NotFound", "\(type.qualifiedPlural) \"\(name)\" not found",
            details: details(type, name, kind: type.plural))
    }

    static func alreadyExists(_ type: ResourceType, _ name: String) -> StatusError {
        StatusError(
            409, "AlreadyExists", "\(type.qualifiedPlural) \"\(name)\" already exists",
            details: details(type, name, kind: type.plural))
    }

    static func conflict(_ type: ResourceType, _ name: String, _ why: String) -> StatusError {
        StatusError(
            409, "Conflict", "Operation cannot be fulfilled on \(type.qualifiedPlural) \"\(name)\": \(why)",
            details: details(type, name, kind: type.plural))
    }

    static let modified =
        "the object has been modified; please apply your changes to the latest version and try again"

    static func forbidden(_ type: ResourceType, _ name: String, _ why: String) -> StatusError {
        StatusError(
            403, "Forbidden", "\(type.qualifiedPlural) \"\(name)\" is forbidden: \(why)",
            details: details(type, name, kind: type.plural))
    }

    static func expired(_ asked: Int64, _ oldest: Int64) -> StatusError {
        StatusError(410, "Expired", "too old resource version: \(asked) (\(oldest))")
    }

    static func unsupportedMediaType(_ sent: String, _ accepted: [String]) -> StatusError {
        StatusError(
            415, "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: "
                + accepted.joined(separator: ", ") + (sent.isEmpty ? "" : " (was \(sent))"))
    }

    static func methodNotAllowed(_ method: String) -> StatusError {
        StatusError(
            405, "MethodNotAllowed", "the server does not allow this method on the requested resource",
            details: [:])
    }

    static func invalid(_ type: ResourceType, _ name: String, _ faults: [FieldFault]) -> StatusError {
        let texts = faults.map { "\($0.field): \($0.message)" }
        let text = texts.count == 1 ? texts[0] : "[" + texts.joined(separator: ", ") + "]"
        let kind = type.group.isEmpty ? type.kind : "\(type.kind).\(type.group)"
        var details = details(type, name, kind: type.kind)
        details["causes"] = .array(
            faults.map {
                [
                    "reason": .string($0.reason), "message": .string($0.message),
                    "field": .string($0.field),
                ]
            })
        return StatusError(422, "Invalid", "\(kind) \"\(name)\" is invalid: \(text)", details: details)
    }

    static func internalError(_ message: String) -> StatusError {
        StatusError(500, "InternalError", "Internal error occurred: \(message)")
    }

    private static func details(_ type: ResourceType, _ name: String, kind: String) -> JSONValue {
        var details: JSONValue = ["name": .string(name), "kind": .string(kind)]
        if !type.group.isEmpty { details["group"] = .string(type.group) }
        return details
    }
}
