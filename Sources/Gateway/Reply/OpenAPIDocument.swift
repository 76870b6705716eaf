internal import DepthCacheAPI
internal import K8sClient

/// The OpenAPI 3.1 document of `/v1`, made from the table that requests are routed and checked by.
struct OpenAPIDocument {
    var version: String
    /// Which exchanges there are.
    var known: MarketDirectory

    var json: JSONValue {
        var paths: [String: JSONValue] = [:]
        for operation in V1Operation.table {
            var item = paths[operation.resource.rawValue]?.fields ?? [:]
            item[operation.method.lowercased()] = describe(operation)
            paths[operation.resource.rawValue] = .object(item)
        }
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "Fathom", "version": .string(version),
                "description":
                    "Order books of Binance markets. Numbers of books are text, as the exchange sent them; times are milliseconds since 1970.",
                "license": ["name": "MIT", "identifier": "MIT"],
            ],
            "paths": .object(paths),
            "components": [
                "schemas": .object(OpenAPISchemas.all),
                "securitySchemes": ["token": ["type": "http", "scheme": "bearer"]],
            ],
            // Which requests need a token is a setting of the gateway.
            "security": [["token": []], [:]],
        ]
    }

    private func describe(_ operation: V1Operation) -> JSONValue {
        var item: [String: JSONValue] = [
            "operationId": .string(operation.name.rawValue), "summary": .string(operation.summary),
        ]
        var parameters = operation.parameters.filter { $0.place != .body }.map(parameter)
        if operation.name == .getBook {
            parameters.append([
                "name": "If-None-Match", "in": "header", "required": false, "schema": ["type": "string"],
                "description": "The ETag of a book that the client has: 304 if it has not changed",
            ])
        }
        if !parameters.isEmpty { item["parameters"] = .array(parameters) }
        if operation.hasBody { item["requestBody"] = body(operation) }
        item["responses"] = responses(operation)
        return .object(item)
    }

    private func parameter(_ parameter: V1Parameter) -> JSONValue {
        var item: JSONValue = [
            "name": .string(parameter.name), "in": .string(parameter.place.rawValue),
            "required": .bool(parameter.isRequired), "description": .string(parameter.about),
            "schema": parameter.schema(known), "example": parameter.example,
        ]
        if case .markets = parameter.kind {
            item["style"] = "form"
            item["explode"] = false
        }
        return item
    }

    private func body(_ operation: V1Operation) -> JSONValue {
        let fields = operation.parameters.filter { $0.place == .body }
        let properties = fields.map { field -> (String, JSONValue) in
            var schema = field.schema(known)
            schema["description"] = .string(field.about)
            schema["examples"] = [field.example]
            return (field.name, schema)
        }
        let schema: JSONValue = [
            "type": "object", "additionalProperties": false,
            "required": .array(fields.filter(\.isRequired).map { .string($0.name) }),
            "properties": .object(Dictionary(uniqueKeysWithValues: properties)),
        ]
        return ["required": true, "content": ["application/json": ["schema": schema]]]
    }

    private func responses(_ operation: V1Operation) -> JSONValue {
        var all: [String: JSONValue] = [:]
        for answer in operation.answers { all["\(answer.status)"] = response(answer) }
        let usual: [V1Operation.Answer] = [
            .init(
                status: 400, about: "A parameter is wrong or missing; the problem names it", schema: "Problem"
            ),
            .init(
                status: 401, about: "A token is needed, or this one is unknown", schema: "Problem",
                headers: ["WWW-Authenticate"]),
            .init(
                status: 403, about: "Not from this page, under this name, or with this token",
                schema: "Problem"),
            .init(status: 405, about: "Another method", schema: "Problem", headers: ["Allow"]),
            .init(
                status: 429, about: "More requests than are taken from one client", schema: "Problem",
                headers: ["Retry-After"]),
        ]
        for answer in usual where all["\(answer.status)"] == nil {
            all["\(answer.status)"] = response(answer)
        }
        return .object(all)
    }

    private func response(_ answer: V1Operation.Answer) -> JSONValue {
        var item: JSONValue = ["description": .string(answer.about)]
        if let schema = answer.schema {
            let type = schema == "Problem" ? "application/problem+json" : "application/json"
            item["content"] = .object([
                type: ["schema": ["$ref": .string("#/components/schemas/\(schema)")]]
            ])
        }
        if !answer.headers.isEmpty {
            let headers = answer.headers.map { ($0, ["schema": ["type": "string"]] as JSONValue) }
            item["headers"] = .object(Dictionary(uniqueKeysWithValues: headers))
        }
        return item
    }
}
