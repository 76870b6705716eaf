import K8sClient
import Telemetry
import TestSupport
import Transport

/// A Kubernetes API of a few lines: objects by path with resource versions, watches that the test drives by hand.
final class FakeAPI: HTTPRequestHandler {
    struct Seen: Sendable {
        var method: String
        var target: String
        var authorization: String?
        var contentType: String?
        var body: JSONValue?
        var path: String { String(target.prefix { $0 != "?" }) }
        func isWatch() -> Bool { target.contains("watch=true") }
    }

    struct Answer: Sendable {
        var status: Int
        var body: JSONValue
        var headers: [HTTPHeader] = []
    }

    private struct State {
        var seen: [Seen] = []
        var watches: [HTTPReply] = []
        var hanging: [String: Int] = [:]
        var unanswered: [HTTPReply] = []
        var objects: [String: JSONValue] = [:]
        var version: Int64 = 100
    }

    private let state = Guarded(State())
    private let override: @Sendable (Seen) -> Answer?
    private let loop: EventLoop
    private let server = Guarded<HTTPServer?>(nil)
    let http: HTTPClient

    /// `override` answers first; with nil the store does.
    init(_ override: @escaping @Sendable (Seen) -> Answer? = { _ in nil }) throws {
        self.override = override
        loop = try EventLoop(name: "fake-api")
        http = try HTTPClient(connectionsPerHost: 16)
        let made = try HTTPServer(HTTPServerConfiguration(), loops: [loop], handler: self)
        server.withLock { $0 = made }
    }

    /// Stops everything; call it at the end of a test.
    func stop() {
        server.withLock { server in
            server?.stop()
            server = nil
        }
        state.withLock { state in
            state.watches = []
            state.unanswered = []
        }
        loop.stop()
    }

    var url: String { "http://127.0.0.1:\(server.withLock { $0?.port ?? 0 })" }
    var seen: [Seen] { state.withLock { $0.seen } }
    var watchCount: Int { state.withLock { $0.watches.count } }
    func client(_ credential: KubernetesConfiguration.Credential = .none) -> KubernetesClient {
        KubernetesClient(
            configuration: KubernetesConfiguration(server: url, credential: credential, namespace: "d"),
            http: http)
    }

    func put(_ path: String, _ object: JSONValue) {
        state.withLock { state in
            state.version += 1
            var object = object
            object.set(["metadata", "resourceVersion"], to: .string("\(state.version)"))
            state.objects[path] = object
        }
    }
    func object(_ path: String) -> JSONValue? { state.withLock { $0.objects[path] } }

    /// Gives no answer to the next requests of this method.
    func hang(_ method: String, count: Int) { state.withLock { $0.hanging[method] = count } }

    /// Writes to a watch; `pieces` go out as they are.
    func send(_ watch: Int, _ bytes: [UInt8]) { state.withLock { $0.watches[watch] }.write(bytes) }
    func end(_ watch: Int) { state.withLock { $0.watches[watch] }.end() }

    func handle(_ request: HTTPServerRequest, _ reply: HTTPReply) {
        let seen = Seen(
            method: request.method, target: String(decoding: request.target, as: UTF8.self),
            authorization: request.header("authorization"), contentType: request.header("content-type"),
            body: try? JSONValue(parsing: request.body))
        let hangs = state.withLock { state in
            state.seen.append(seen)
            guard let count = state.hanging[seen.method], count > 0 else { return false }
            state.hanging[seen.method] = count - 1
            state.unanswered.append(reply)
            return true
        }
        if hangs { return }
        if let answer = override(seen) {
            reply.send(
                status: answer.status,
                headers: answer.headers + [HTTPHeader("content-type", "application/json")],
                body: answer.body.bytes)
        } else if seen.isWatch() {
            reply.begin(status: 200, headers: [HTTPHeader("content-type", "application/json")])
            state.withLock { $0.watches.append(reply) }
        } else {
            let answer = state.withLock { Self.answer(seen, &$0) }
            reply.sendJSON(status: answer.status, answer.body.bytes[...])
        }
    }

    private static func failure(_ code: Int64, _ reason: String) -> Answer {
        Answer(
            status: Int(code),
            body: [
                "kind": "Status", "status": "Failure", "code": .int(code), "reason": .string(reason),
                "message": .string("because of \(reason)"),
            ])
    }

    private static func answer(_ seen: Seen, _ state: inout State) -> Answer {
        func stored(_ path: String, _ object: JSONValue, _ code: Int) -> Answer {
            state.version += 1
            var object = object
            object.set(["metadata", "resourceVersion"], to: .string("\(state.version)"))
            state.objects[path] = object
            return Answer(status: code, body: object)
        }
        let known = state.objects[seen.path]
        switch seen.method {
        case "GET":
            if let known { return Answer(status: 200, body: known) }
            let items = state.objects.filter { $0.key.hasPrefix(seen.path + "/") }.sorted { $0.key < $1.key }
            guard ["leases", "events", "pods"].contains(where: { seen.path.hasSuffix($0) }) else {
                return failure(404, "NotFound")
            }
            return Answer(
                status: 200,
                body: [
                    "metadata": ["resourceVersion": .string("\(state.version)")],
                    "items": .array(items.map(\.value)),
                ])
        case "POST":
            let name = seen.body?.at("metadata", "name")?.text ?? ""
            if state.objects[seen.path + "/" + name] != nil { return failure(409, "AlreadyExists") }
            return stored(seen.path + "/" + name, seen.body ?? .null, 201)
        case "PUT":
            guard let known else { return failure(404, "NotFound") }
            let version = seen.body?.at("metadata", "resourceVersion")
            if let version, version != known.at("metadata", "resourceVersion") {
                return failure(409, "Conflict")
            }
            return stored(seen.path, seen.body ?? .null, 200)
        case "PATCH":
            guard var known else { return failure(404, "NotFound") }
            for (name, value) in seen.body?.fields ?? [:] { known[name] = value }
            return stored(seen.path, known, 200)
        case "DELETE":
            guard known != nil else { return failure(404, "NotFound") }
            state.objects[seen.path] = nil
            return Answer(status: 200, body: ["kind": "Status", "status": "Success"])
        default: return failure(405, "MethodNotAllowed")
        }
    }
}
