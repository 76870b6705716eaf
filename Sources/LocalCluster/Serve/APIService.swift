import Synchronization
import Telemetry
import Transport

/// Puts the API's core behind HTTP: translates requests, streams watches, and keeps the core behind one lock.
final class APIService: HTTPRequestHandler {
    private let core: Guarded<APICore>
    private let log = Log("apiserver")

    init(core: sending APICore) {
        self.core = Guarded(core)
    }

    func handle(_ request: HTTPServerRequest, _ reply: HTTPReply) {
        let asked = Self.translate(request)
        let sink = HTTPWatchSink(reply)
        // A watch begins inside the lock: no change can come between its backlog and its first event.
        let answer = core.withLock { core in
            let answer = core.answer(asked)
            if case .watch(let order) = answer { Self.begin(order, sink, core) }
            return answer
        }
        switch answer {
        case .reply(let made): send(made, request, reply)
        case .watch:
            // Later, not at once: the close may be noticed by a write that runs inside the lock.
            reply.onClose { [core, loop = reply.loop] in
                sink.noteClosed()
                loop.execute { core.withLock { $0.forgetWatcher(sink) } }
            }
        }
    }

    private func send(_ made: APIReply, _ request: HTTPServerRequest, _ reply: HTTPReply) {
        var headers = [HTTPHeader("cache-control", "no-cache, private")]
        for warning in made.warnings {
            let text = warning.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            headers.append(HTTPHeader("warning", "299 - \"\(text)\""))
        }
        if made.code >= 500 {
            log.error(
                "Request failed", ["method": request.method, "path": request.path, "code": "\(made.code)"])
        }
        headers.append(HTTPHeader("content-type", made.contentType))
        reply.send(status: made.code, headers: headers, body: made.body)
    }

    private static func begin(_ order: WatchOrder, _ sink: HTTPWatchSink, _ core: APICore) {
        sink.begin()
        // In one piece: a long list is no slow reader.
        if !order.backlog.isEmpty { _ = sink.send(Array(order.backlog.joined())) }
        var kept = order
        kept.backlog = []
        let now = core.now()
        core.addWatcher(
            Watcher(
                order: kept, sink: sink, deadline: now + Int64(order.timeoutSeconds) * 1_000_000,
                nextBookmark: now + 5_000_000))
    }

    private static func translate(_ request: HTTPServerRequest) -> APIRequest {
        var asked = APIRequest(method: request.method, path: request.path)
        asked.query = APIRequest.parse(query: String(decoding: request.rawQuery, as: UTF8.self))
        if let authorization = request.header("authorization"), authorization.hasPrefix("Bearer ") {
            asked.token = String(authorization.dropFirst(7))
        }
        asked.accept = request.header("accept") ?? ""
        asked.contentType = request.header("content-type") ?? ""
        asked.userAgent = request.header("user-agent") ?? ""
        asked.body = request.body
        asked.impersonatedUser = request.header("impersonate-user")
        asked.impersonatedGroups = request.headers.filter { $0.name.lowercased() == "impersonate-group" }.map(
            \.value)
        return asked
    }

    /// What has to happen now and then: bookmarks, ends of watches, garbage.
    func tend(sweep: Bool) {
        core.withLock { core in
            core.tendWatches()
            guard sweep else { return }
            do { try core.sweep() } catch {
                log.warning("Garbage collection failed", ["error": "\(error)"])
            }
        }
    }

    func endAllWatches() {
        core.withLock { $0.endAllWatches() }
    }
}

/// A watch's lines as chunks of one HTTP answer; the server cuts off a reader that is too slow, and it lists again.
final class HTTPWatchSink: WatchSink {
    private let reply: HTTPReply
    private let isClosed = Atomic<Bool>(false)

    init(_ reply: HTTPReply) { self.reply = reply }

    func begin() {
        reply.begin(
            status: 200,
            headers: [
                HTTPHeader("cache-control", "no-cache, private"),
                HTTPHeader("content-type", "application/json"),
            ])
    }

    func noteClosed() { isClosed.store(true, ordering: .relaxed) }

    func send(_ line: [UInt8]) -> Bool {
        guard !isClosed.load(ordering: .relaxed) else { return false }
        reply.write(line)
        return true
    }

    func end() { reply.end() }
}
