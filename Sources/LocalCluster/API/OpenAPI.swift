import K8sClient

extension APICore {
    /// `/openapi/v2` and `/openapi/v3`, as far as kubectl's apply, create, edit and explain read them.
    func openAPI(_ request: APIRequest, _ parts: [String]) throws(StatusError) -> APIAnswer {
        if parts.count == 2, parts[1] == "v2" { return openAPIv2(request) }
        guard parts.count >= 2, parts[1] == "v3" else { throw StatusError.unknownPath }
        if parts.count == 2 {
            var paths: [String: JSONValue] = [:]
            for group in registry.groups {
                for version in group.versions {
                    let path = group.group.isEmpty ? "api/\(version)" : "apis/\(group.group)/\(version)"
                    // The revision of the definitions would do as a hash; kubectl only caches by it.
                    paths[path] = [
                        "serverRelativeURL": .string("/openapi/v3/\(path)?hash=\(hash(group.group, version))")
                    ]
                }
            }
            return .json(["paths": .object(paths)])
        }
        let (group, version) =
            parts[2] == "api" ? ("", parts.last ?? "") : (parts.dropFirst(3).first ?? "", parts.last ?? "")
        let types = registry.types(group: group, version: version)
        guard !types.isEmpty else { throw StatusError.unknownPath }
        let known = "\(group)/\(version)"
        let body = openAPICache[known] ?? OpenAPIDocument.v3(types, group: group, version: version).bytes
        openAPICache[known] = body
        return .reply(APIReply(body: body))
    }

    private func hash(_ group: String, _ version: String) -> String {
        let definitions = store.list("apiextensions.k8s.io/customresourcedefinitions")
        let newest = definitions.compactMap {
            $0.object.at("metadata", "resourceVersion")?.text.flatMap(Int64.init)
        }.max()
        return "\(store.identity)-\(newest ?? 0)"
    }

    /// kubectl asks for the second version only as protobuf, and only where the third is missing: a document without
    /// contents is the honest answer there.
    private func openAPIv2(_ request: APIRequest) -> APIAnswer {
        if request.accept.contains("proto") {
            func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
                [number << 3 | 2, UInt8(bytes.count)] + bytes
            }
            let info = field(1, Array("Fathom".utf8)) + field(2, Array("v1".utf8))
            let body = field(1, Array("2.0".utf8)) + field(2, info) + field(8, [])
            return .reply(
                APIReply(
                    contentType: "application/com.github.proto-openapi.spec.v2.v1.0+protobuf", body: body))
        }
        return .json([
            "swagger": "2.0", "info": ["title": "Fathom", "version": "v1"], "paths": [:],
            "definitions": .object(OpenAPIDocument.schemas(registry.types)),
        ])
    }
}

/// Builds OpenAPI documents out of resource types.
enum OpenAPIDocument {
    static func v3(_ types: [ResourceType], group: String, version: String) -> JSONValue {
        var paths: [String: JSONValue] = [:]
        for type in types {
            let root = group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)"
            let base =
                type.isNamespaced ? "\(root)/namespaces/{namespace}/\(type.plural)" : "\(root)/\(type.plural)"
            paths[base] = ["get": operation(type, "list"), "post": operation(type, "post")]
            paths["\(base)/{name}"] = [
                "get": operation(type, "get"), "put": operation(type, "put"),
                "patch": operation(type, "patch"),
                "delete": operation(type, "delete"),
            ]
        }
        return [
            "openapi": "3.0.0", "info": ["title": "Fathom", "version": "v1"], "paths": .object(paths),
            "components": ["schemas": .object(schemas(types))],
        ]
    }

    private static func kindEntry(_ type: ResourceType) -> JSONValue {
        ["group": .string(type.group), "version": .string(type.version), "kind": .string(type.kind)]
    }

    private static func operation(_ type: ResourceType, _ action: String) -> JSONValue {
        let reference: JSONValue = ["$ref": .string("#/components/schemas/\(schemaName(type))")]
        var operation: JSONValue = [
            "x-kubernetes-action": .string(action), "x-kubernetes-group-version-kind": kindEntry(type),
            "responses": [
                "200": ["description": "OK", "content": ["application/json": ["schema": reference]]]
            ],
        ]
        guard ["post", "put", "patch"].contains(action) else { return operation }
        operation["parameters"] = .array(
            ["dryRun", "fieldManager", "fieldValidation", "force"].filter {
                $0 != "force" || action == "patch"
            }.map {
                [
                    "name": .string($0), "in": "query",
                    "schema": ["type": $0 == "force" ? "boolean" : "string", "uniqueItems": true],
                ]
            })
        // Without the strategic patch among them kubectl computes patches from what it knows itself.
        let media =
            action == "patch"
            ? ["application/merge-patch+json", "application/apply-patch+yaml"] : ["application/json"]
        var content: [String: JSONValue] = [:]
        for type in media { content[type] = ["schema": reference] }
        operation["requestBody"] = ["content": .object(content)]
        return operation
    }

    static func schemaName(_ type: ResourceType) -> String {
        let group =
            type.group.isEmpty
            ? "io.k8s.api.core" : type.group.split(separator: ".").reversed().joined(separator: ".")
        return "\(group).\(type.version).\(type.kind)"
    }

    static func schemas(_ types: [ResourceType]) -> [String: JSONValue] {
        var schemas: [String: JSONValue] = [metadataName: metadata]
        for type in types { schemas[schemaName(type)] = schema(type) }
        return schemas
    }

    private static let metadataName = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

    private static func schema(_ type: ResourceType) -> JSONValue {
        var schema = type.schema?.raw ?? ["type": "object", "description": .string(type.kind)]
        if schema["properties"] == nil { schema["properties"] = [:] }
        for name in type.topFields.sorted() where !["apiVersion", "kind", "metadata"].contains(name) {
            schema["properties"]?[name] = [
                "description": .string("See the Kubernetes documentation of \(type.kind).")
            ]
        }
        schema["properties"]?["apiVersion"] = [
            "type": "string",
            "description":
                "APIVersion defines the versioned schema of this representation of an object.",
        ]
        schema["properties"]?["kind"] = [
            "type": "string",
            "description": "Kind is a string value representing the REST resource this object represents.",
        ]
        schema["properties"]?["metadata"] = [
            "allOf": [["$ref": .string("#/components/schemas/\(metadataName)")]],
            "description": "Standard object's metadata.",
        ]
        schema["x-kubernetes-group-version-kind"] = [kindEntry(type)]
        return schema
    }

    private static let metadata: JSONValue = {
        func field(_ type: String, _ description: String) -> JSONValue {
            ["type": .string(type), "description": .string(description)]
        }
        func map(_ description: String) -> JSONValue {
            [
                "type": "object", "description": .string(description),
                "additionalProperties": ["type": "string"],
            ]
        }
        func list(_ item: JSONValue, _ description: String) -> JSONValue {
            ["type": "array", "description": .string(description), "items": item]
        }
        return [
            "type": "object",
            "description": "ObjectMeta is metadata that all persisted resources must have.",
            "properties": [
                "name": field("string", "Name must be unique within a namespace."),
                "generateName": field("string", "A prefix for a name that the server completes."),
                "namespace": field(
                    "string", "Namespace defines the space within which each name must be unique."),
                "uid": field("string", "UID is the unique in time and space value for this object."),
                "resourceVersion": field("string", "Changes with every change of the object."),
                "generation": field("integer", "A sequence number of the desired state."),
                "creationTimestamp": field("string", "When the object was created."),
                "deletionTimestamp": field("string", "When the object is or was to be deleted."),
                "labels": map("Key value pairs to organise and select objects by."),
                "annotations": map("Key value pairs for tools and people."),
                "finalizers": list(["type": "string"], "What must be done before the object is removed."),
                "ownerReferences": list(["type": "object"], "Objects that this one depends on."),
                "managedFields": list(["type": "object"], "Who owns which fields."),
            ],
        ]
    }()
}
