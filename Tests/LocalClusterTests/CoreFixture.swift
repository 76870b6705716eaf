import FoundationEssentials
import Glibc
import K8sClient
import Testing

@testable import LocalCluster

/// A folder that goes away with the test.
final class TemporaryFolder: Sendable {
    let path: String

    init() {
        path = "/tmp/fathom-test-\(UUID().uuidString.lowercased())"
        unsafe mkdir(path, 0o700)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Collects the lines of a watch.
final class LineCollector: WatchSink, @unchecked Sendable {  // Safe because: each test uses it on one thread
    var lines: [JSONValue] = []
    var hasEnded = false

    func send(_ line: [UInt8]) -> Bool {
        if let value = try? JSONValue(parsing: line) { lines.append(value) }
        return true
    }

    func end() { hasEnded = true }

    var summary: [String] {
        lines.map { "\($0["type"]?.text ?? "") \($0.at("object", "metadata", "name")?.text ?? "")" }
    }
}

/// The API's core on a database of its own, with a clock that the test moves.
struct CoreFixture {
    let folder = TemporaryFolder()
    let core: APICore

    init(keptRevisions: Int = 1000) throws {
        var number = 0
        core = try APICore(
            store: ObjectStore(path: folder.path + "/db", keptRevisions: keptRevisions, identity: "test"),
            users: ["secret": .admin, "worker": .worker, "gateway": .gateway], now: { 1_800_000_000_000_000 }
        ) {
            number += 1
            return "00000000-0000-0000-0000-\(100_000_000_000 + number)"
        }
    }

    /// Sends a request; the status code and the body.
    @discardableResult
    func call(
        _ method: String, _ target: String, _ body: JSONValue? = nil, type: String = "application/json",
        token: String? = "secret", accept: String = "application/json"
    ) throws -> (code: Int, body: JSONValue) {
        let halves = target.split(separator: "?", maxSplits: 1).map(String.init)
        var request = APIRequest(method: method, path: halves[0])
        request.query = APIRequest.parse(query: halves.count > 1 ? halves[1] : "")
        request.token = token
        request.contentType = type
        request.accept = accept
        request.userAgent = "test/1"
        request.body = body?.bytes ?? []
        guard case .reply(let reply) = core.answer(request) else { return (200, .null) }
        return (reply.code, try JSONValue(parsing: reply.body))
    }

    /// Begins a watch; nil with the answer's code if it is refused.
    func watch(_ target: String) throws -> LineCollector? {
        let halves = target.split(separator: "?", maxSplits: 1).map(String.init)
        var request = APIRequest(method: "GET", path: halves[0])
        request.query = APIRequest.parse(query: "watch=true&" + (halves.count > 1 ? halves[1] : ""))
        request.token = "secret"
        guard case .watch(let order) = core.answer(request) else { return nil }
        let sink = LineCollector()
        for line in order.backlog { _ = sink.send(line) }
        core.addWatcher(Watcher(order: order, sink: sink, deadline: .max, nextBookmark: .max))
        return sink
    }

    static let configMaps = "/api/v1/namespaces/default/configmaps"
    static let widgets = "/apis/example.com/v1/namespaces/default/widgets"

    func configMap(_ name: String, _ data: JSONValue = [:], labels: JSONValue = [:]) -> JSONValue {
        [
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": .string(name), "labels": labels],
            "data": data,
        ]
    }

    func widget(_ name: String, _ spec: JSONValue) -> JSONValue {
        ["apiVersion": "example.com/v1", "kind": "Widget", "metadata": ["name": .string(name)], "spec": spec]
    }

    func installWidgets() throws {
        let answer = try call(
            "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", Self.widgetDefinition)
        try #require(answer.code == 201, "\(answer.body.jsonText)")
    }

    static let widgetDefinition: JSONValue = [
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": ["name": "widgets.example.com"],
        "spec": [
            "group": "example.com", "scope": "Namespaced",
            "names": ["kind": "Widget", "plural": "widgets", "singular": "widget", "shortNames": ["wd"]],
            "versions": [
                [
                    "name": "v1", "served": true, "storage": true,
                    "subresources": [
                        "status": [:],
                        "scale": [
                            "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        ],
                    ],
                    "additionalPrinterColumns": [
                        ["name": "Color", "type": "string", "jsonPath": ".spec.color"],
                        ["name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas", "priority": 1],
                        [
                            "name": "Ready", "type": "string",
                            "jsonPath": ".status.conditions[?(@.type=='Ready')].status",
                        ],
                        ["name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"],
                    ],
                    "schema": ["openAPIV3Schema": schema],
                ]
            ],
        ],
    ]

    static let schema: JSONValue = [
        "type": "object", "required": ["spec"],
        "properties": [
            "spec": [
                "type": "object", "description": "What the widget should be.", "required": ["color"],
                "properties": [
                    "color": [
                        "type": "string", "description": "The colour of the widget.", "minLength": 1,
                        "x-kubernetes-validations": [
                            ["rule": "self == oldSelf", "message": "color is immutable"]
                        ],
                    ],
                    "replicas": ["type": "integer", "minimum": 0, "maximum": 10, "default": 1],
                    "mode": ["type": "string", "enum": ["fast", "slow"]],
                    "parts": [
                        "type": "array", "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["name"],
                        "items": [
                            "type": "object", "required": ["name"],
                            "properties": ["name": ["type": "string"], "size": ["type": "integer"]],
                        ],
                    ],
                ],
            ],
            "status": [
                "type": "object",
                "properties": [
                    "replicas": ["type": "integer"], "selector": ["type": "string"],
                    "conditions": [
                        "type": "array", "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["type"],
                        "items": [
                            "type": "object", "required": ["type"],
                            "properties": ["type": ["type": "string"], "status": ["type": "string"]],
                        ],
                    ],
                ],
            ],
        ],
    ]
}
