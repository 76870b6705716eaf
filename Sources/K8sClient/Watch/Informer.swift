package import Telemetry
package import Transport

/// How an informer waits.
package struct InformerSettings: Sendable {
    /// How long the API keeps one watch open.
    package var watchTimeout: Duration = .seconds(60)
    /// Nothing at all for this long: the connection is dead.
    ///
    /// A little over `watchTimeout` suits quiet objects.
    package var idleTimeout: Duration = .seconds(70)
    package var backoff = Backoff()

    package init() {}
}

/// Keeps a copy of all objects of a kind (or of those that a selector picks), by list and watch.
///
/// `run()` does the work until its task is cancelled; everything else may be called from anywhere, at any time.
package final class Informer<Object: KubernetesResource>: Sendable {
    private let client: KubernetesClient
    private let namespace: String?
    private let selector: Selector
    private let settings: InformerSettings
    private let store = ObjectStore<Object>()
    private let log: Log

    package init(
        _ type: Object.Type = Object.self, client: KubernetesClient, namespace: String? = nil,
        selector: Selector = .everything, settings: InformerSettings = InformerSettings(),
        log: Log = Log("informer")
    ) {
        self.client = client
        self.namespace = namespace ?? (Object.resource.isNamespaced ? client.namespace : nil)
        self.selector = selector
        self.settings = settings
        self.log = log
    }

    /// All objects; a consistent copy.
    package var objects: [ObjectKey: Object] { store.objects }
    package subscript(key: ObjectKey) -> Object? { store.object(key) }
    /// By name, in the informer's namespace.
    package subscript(name: String) -> Object? { store.object(ObjectKey(namespace: namespace, name: name)) }
    package var state: InformerState { store.state }
    package var isSynced: Bool { store.state.isSynced }

    /// A new subscription.
    package func changes() -> InformerChanges {
        let box = store.subscribe()
        let store = store
        return InformerChanges(box: box, lifetime: .init { store.unsubscribe(box.number) })
    }

    /// Waits until the first whole list is there; throws only when cancelled.
    package func waitUntilSynced() async throws {
        if isSynced { return }
        for await _ in changes() where isSynced { return }
        throw CancellationError()
    }

    /// Lists and watches until the task is cancelled.
    package func run() async {
        var state = WatchState.mustList
        var patience = WatchPatience(settings.backoff)
        while !Task.isCancelled {
            let started = ContinuousClock.now
            do {
                switch state {
                case .mustList, .listing:
                    state = try await list()
                    patience.wentWell(hadLived: false)
                case .mustWatch(let version), .watching(let version):
                    state = .mustWatch(resourceVersion: version)
                    try await watch(&state)
                    state = state.after(.closed)
                    // A watch that ends in order goes on where it ended, so it has no gap. A server that closes at once must
                    // not make us spin.
                    if started.duration(to: .now) < WatchPatience.life {
                        noteProblem(nil, isLive: false)
                        try await Task.sleep(for: patience.closedAtOnce())
                        continue
                    }
                    patience.wentWell(hadLived: true)
                }
            } catch {
                if Task.isCancelled { break }
                let failure = APIError.wrapping(error)
                let code = (failure as? APIError)?.code ?? 0
                let hadLived =
                    if case .watching = state { started.duration(to: .now) >= WatchPatience.life } else {
                        false
                    }
                state = state.after(.failed(code: code))
                let delay = patience.failed(
                    code: code, hadLived: hadLived, retryAfter: (failure as? APIError)?.retryAfter ?? .zero)
                // A version that the API refuses again and again (a restored database, say) will not become right.
                if patience.failures > 3, !Self.isTransport(failure) { state = .mustList }
                guard let delay else {
                    noteProblem(nil, isLive: false)
                    continue
                }
                client.metrics?.watches(Object.resource.kind).failures.add()
                noteProblem("\(failure)", isLive: false)
                do { try await Task.sleep(for: delay) } catch { break }
            }
        }
        noteProblem(nil, isLive: false)
    }

    private static func isTransport(_ error: any Error) -> Bool {
        if case .transport? = error as? APIError { true } else { false }
    }

    /// Reads all pages and replaces the store.
    private func list() async throws -> WatchState {
        var state = WatchState.mustList
        var objects: [ObjectKey: Object] = [:]
        var unreadable: [ObjectKey: String] = [:]
        while true {
            var request = APIRequest("GET", path)
            request.select(selector)
            request.query.append(.init("limit", String(client.pageSize)))
            if case .listing(let token) = state { request.query.append(.init("continue", token)) }
            let page = try JSONValue(parsing: try await client.send(request))
            for item in page["items"]?.elements ?? [] {
                let (key, object) = read(item)
                switch object {
                case .success(let object): objects[key] = object
                case .failure(let error): unreadable[key] = error.description
                }
            }
            let version = page.at("metadata", "resourceVersion")?.text ?? "0"
            let token = page.at("metadata", "continue")?.text
            state = state.after(.page(resourceVersion: version, continueToken: token == "" ? nil : token))
            guard case .mustWatch = state else { continue }
            store.replace(objects, unreadable: unreadable)
            for (key, reason) in unreadable { report(key, reason) }
            return state
        }
    }

    private func watch(_ state: inout WatchState) async throws {
        guard case .mustWatch(let version) = state else { return }
        var request = APIRequest("GET", path)
        request.select(selector)
        request.query += [
            .init("watch", "true"), .init("allowWatchBookmarks", "true"), .init("resourceVersion", version),
            .init("timeoutSeconds", String(max(1, settings.watchTimeout.components.seconds))),
        ]
        let stream = try await client.open(request, idleTimeout: settings.idleTimeout)
        state = state.after(.opened)
        let watches = client.metrics?.watches(Object.resource.kind)
        watches?.open.add(1)
        defer { watches?.open.add(-1) }
        noteProblem(nil, isLive: true)
        var lines = WatchLines()
        for try await chunk in stream.body {
            for line in try lines.feed(chunk) { state = state.after(try take(line)) }
        }
    }

    /// Carries one event into the store.
    private func take(_ line: [UInt8]) throws -> WatchState.Input {
        switch try WatchEvent(line: line) {
        case .bookmark(let version): return .bookmark(resourceVersion: version)
        case .failed(let status): throw APIError.status(status)
        case .added(let json), .modified(let json):
            let (key, object) = read(json)
            switch object {
            case .success(let object): store.put(key, object)
            case .failure(let error):
                store.put(key, nil, unreadable: error.description)
                report(key, error.description)
            }
            return .object(resourceVersion: try version(json))
        case .deleted(let json):
            store.put(key(json), nil)
            return .object(resourceVersion: try version(json))
        }
    }

    private func version(_ json: JSONValue) throws -> String {
        guard let version = json.at("metadata", "resourceVersion")?.text else {
            throw APIError.unreadable("an object of a watch has no resourceVersion")
        }
        return version
    }

    private func key(_ json: JSONValue) -> ObjectKey {
        ObjectKey(
            namespace: json.at("metadata", "namespace")?.text, name: json.at("metadata", "name")?.text ?? "")
    }

    private func read(_ json: JSONValue) -> (ObjectKey, Result<Object, JSONError>) {
        do { return (key(json), .success(try json.decode(Object.self))) } catch {
            return (key(json), .failure(error))
        }
    }

    private var path: String { APIRequest.path(Object.resource, namespace: namespace) }

    private func report(_ key: ObjectKey, _ reason: String) {
        log.warning(
            "Cannot read an object", ["kind": Object.resource.kind, "object": "\(key)", "reason": reason])
    }

    /// Keeps the reason and logs when it comes and when it goes, not at every try.
    private func noteProblem(_ problem: String?, isLive: Bool) {
        let before = store.state
        store.note { state in
            state.isLive = isLive
            if problem != nil || isLive { state.problem = problem }
        }
        if let problem, before.problem == nil {
            log.warning("Cannot watch", ["kind": Object.resource.kind, "reason": problem])
        } else if isLive, before.problem != nil {
            log.info("Watching again", ["kind": Object.resource.kind])
        }
    }
}

extension KubernetesClient {
    /// Opens a request whose answer is a stream; a status other than 2xx is thrown with its Status.
    package func open(_ request: APIRequest, idleTimeout: Duration) async throws -> HTTPClientStream {
        do {
            var http = try configuration.httpRequest(request)
            http.timeout = nil
            http.idleTimeout = idleTimeout
            let stream = try await self.http.stream(http)
            if (200..<300).contains(stream.status) { return stream }
            var body: [UInt8] = []
            for try await piece in stream.body where body.count < 1 << 20 { body += piece }
            throw APIError.from(
                code: stream.status, body: body, retryAfter: stream.headers.value(of: "retry-after"))
        } catch { throw APIError.wrapping(error) }
    }
}
