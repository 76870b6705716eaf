internal import K8sClient

/// What the answers of `/v1` look like.
enum OpenAPISchemas {
    static let all: [String: JSONValue] = [
        "Book": book, "Books": books, "DepthCache": depthCache,
        "DepthCacheList": object(["depthcaches": list(reference("DepthCache"))]), "Audit": audit,
        "Cluster": cluster,
        "Problem": problem, "Document": ["type": "object", "required": ["openapi", "info", "paths"]],
    ]

    private static let text: JSONValue = ["type": "string"]
    private static let whole: JSONValue = ["type": "integer", "format": "int64"]
    private static let flag: JSONValue = ["type": "boolean"]
    private static let wholeOrNull: JSONValue = ["type": ["integer", "null"], "format": "int64"]
    private static let textOrNull: JSONValue = ["type": ["string", "null"]]
    private static let decimal: JSONValue = ["type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?$"]
    private static let level: JSONValue = [
        "description": "Price and quantity, as the exchange sent them", "type": "array", "items": decimal,
        "minItems": 2, "maxItems": 2,
    ]

    private static let coverage: JSONValue = object([
        "levels": about(whole, "Levels of the side that are known"),
        "to": about(textOrNull, "The side is complete up to this price; null: to its end"),
        "complete": about(
            flag, "False if limit or threshold would have taken levels beyond what is known"),
    ])

    private static let book: JSONValue = object(
        [
            "exchange": text, "market": text,
            "update_id": about(whole, "The exchange's id of the last change that is in the book"),
            "event_time": about(wholeOrNull, "The exchange's time of it; null: it sent none"),
            "received_time": about(whole, "When it was received"),
            "age": about(whole, "Milliseconds from then to the answer, by the worker's clock"),
            "bids": about(list(level), "From the highest price down"),
            "asks": about(list(level), "From the lowest price up"),
            "coverage": object(["bids": coverage, "asks": coverage]),
            "worker": about(text, "Who has answered"),
            "failover": about(text, "Which copies were asked before in vain, and why"),
        ], optional: ["failover"])

    private static let books: JSONValue = object([
        "books": list(reference("Book")),
        "problems": about(list(reference("Problem")), "One for each market that could not be read"),
    ])

    private static let depthCache: JSONValue = object([
        "exchange": text, "market": text, "name": text, "uid": text,
        "replicas": about(whole, "Copies that are wanted"),
        "ready_replicas": about(whole, "Copies that are in sync"),
        "depth": about(whole, "Levels per side that should be covered"), "update_interval": wholeOrNull,
        "refresh_interval": wholeOrNull, "created_time": whole, "ready": flag,
        "reason": about(text, "The reason of the condition Ready"), "message": text,
        "copies": list(
            object([
                "worker": text, "worker_uid": text, "node": text, "in_sync": flag, "restarts": whole,
                "created_time": whole,
            ])),
    ])

    private static let auditedSide: JSONValue = object([
        "match": about(whole, "Levels that are the exchange's"),
        "drift": about(whole, "Levels with another quantity"),
        "orphaned": about(whole, "Levels that the exchange does not have"),
        "missed": about(whole, "Levels that only the exchange has"),
        "compared_to": about(textOrNull, "The price up to which was compared; null: to the side's end"),
    ])

    private static let audit: JSONValue = object([
        "exchange": text, "market": text,
        "replicas": list(
            object(
                [
                    "worker": text,
                    "outcome": ["type": "string", "enum": ["exact", "mismatch", "unavailable"]],
                    "reason": about(text, "Why it could not be compared"),
                    "update_id": about(whole, "The id of both books"), "duration_ms": whole,
                    "asks": auditedSide, "bids": auditedSide,
                    "dump": about(text, "Where the worker has written both books down"),
                ], optional: ["reason", "update_id", "duration_ms", "asks", "bids", "dump"])),
    ])

    private static let cluster: JSONValue = object([
        "version": text, "gateway": about(text, "Who has answered"),
        "kubernetes": object([
            "reachable": flag,
            "trouble": about(textOrNull, "Why it cannot be reached; all else is then the last known state"),
        ]),
        "depthcaches": object(["total": whole, "ready": whole]),
        "workers": list(
            object([
                "name": text, "uid": text, "node": text, "address": text, "port": whole, "copies": whole,
                "link": ["type": "string", "enum": ["up", "suspect", "connecting", "down", "none"]],
                "last_seen": whole,
            ])),
        "gateways": list(object(["name": text, "uid": text, "node": text, "ready": flag])),
    ])

    private static let problem: JSONValue = [
        "description": "RFC 9457", "type": "object",
        "required": ["type", "title", "status", "detail", "error_id"],
        "properties": [
            "type": text, "title": text, "status": whole, "detail": text,
            "error_id": ["type": "string", "pattern": "^#[0-9]{4}$"],
            "parameter": about(text, "The parameter that is wrong"),
            "expected": about(text, "What was expected of it"), "exchange": text, "market": text,
            "update_id": about(whole, "Where the book stands"),
            "workers": list(object(["worker": text, "reason": text])),
        ],
    ]

    private static func reference(_ name: String) -> JSONValue {
        ["$ref": .string("#/components/schemas/\(name)")]
    }

    private static func list(_ items: JSONValue) -> JSONValue { ["type": "array", "items": items] }

    private static func about(_ schema: JSONValue, _ words: String) -> JSONValue {
        var schema = schema
        schema["description"] = .string(words)
        return schema
    }

    private static func object(_ properties: [String: JSONValue], optional: Set<String> = []) -> JSONValue {
        [
            "type": "object", "properties": .object(properties),
            "required": .array(
                properties.keys.sorted().filter { !optional.contains($0) }.map { .string($0) }),
        ]
    }
}
