import DepthCacheAPI
import K8sClient
import Telemetry
import Testing
import Transport

@testable import Gateway

/// A worker's end of the link, with answers from a script.
final class ScriptedWorker: LinkRequestHandler {
    let loop: EventLoop
    let server: HTTPServer
    private let link: LinkServer
    /// Nil: no answer at all.
    let answer: Guarded<BookAnswer?>
    let asked = Guarded(0)

    init(index: Int, answer: BookAnswer?) throws {
        loop = try EventLoop(name: "worker-\(index)")
        self.answer = Guarded(answer)
        let box = HandlerBox()
        let identity = LinkIdentity(
            role: .worker, name: "worker-\(index)", uid: "w\(index)", incarnation: "i\(index)")
        link = LinkServer(identity: identity, keys: { SocketScene.keys }, handler: box)
        server = try HTTPServer(
            HTTPServerConfiguration(), loops: [loop], handler: box, webSockets: ["/link/v1": link])
        box.set(self)
    }

    func handle(_ request: LinkRequest, _ reply: LinkReply) {
        asked.withLock { $0 += 1 }
        guard request.kind == LinkMessageKind.bookQuery, let answer = answer.withLock({ $0 }) else { return }
        reply.send(kind: LinkMessageKind.bookAnswer, payload: answer.encoded())
    }

    /// Ends like a killed process: every connection breaks at once.
    func kill() {
        server.stop()
        loop.stop()
    }
}

/// Stands in for a worker while it is being made.
private final class HandlerBox: LinkRequestHandler, HTTPRequestHandler {
    private struct Box { weak var worker: ScriptedWorker? }
    private let box = Guarded(Box())

    func set(_ worker: ScriptedWorker) { box.withLock { $0.worker = worker } }
    func handle(_ request: LinkRequest, _ reply: LinkReply) {
        box.withLock { $0.worker }?.handle(request, reply)
    }
    func handle(_ request: HTTPServerRequest, _ reply: HTTPReply) { reply.send(status: 404, body: []) }
}

/// A whole gateway on real sockets, with scripted workers behind real links.
struct SocketScene {
    static let keys = LinkKeys(current: Array(repeating: 7, count: 32))
    let workers: [ScriptedWorker]
    let gateway: GatewayRuntime
    let directory: ClusterDirectory
    let client: HTTPClient

    static func run(_ answers: [BookAnswer?], _ body: (SocketScene) async throws -> Void) async throws {
        let workers = try answers.enumerated().map {
            try ScriptedWorker(index: $0.offset, answer: $0.element)
        }
        defer { for worker in workers { worker.kill() } }
        let directory = ClusterDirectory(store: FakeStore())
        var configuration = GatewayConfiguration()
        configuration.port = 0
        configuration.requestDeadline = .seconds(3)
        let identity = LinkIdentity(role: .gateway, name: "gateway-0", uid: "g0", incarnation: "1")
        let gateway = try GatewayRuntime(
            configuration, directory: directory, markets: Guarded(MarketDirectory()), health: Health(),
            links: LinkSettings(identity: identity, keys: { Self.keys }))
        let scene = SocketScene(
            workers: workers, gateway: gateway, directory: directory, client: try HTTPClient())
        do {
            directory.setAPIState(.init(hasSynced: true))
            await directory.update(
                GatewayScene.picture(workerCount: answers.count, ports: workers.map(\.server.port)))
            try await scene.waitForLinks(answers.count)
            try await body(scene)
        } catch {
            await gateway.stop(grace: .zero)
            throw error
        }
        await gateway.stop(grace: .zero)
    }

    func get(_ target: String, port: Int? = nil) async throws -> HTTPClientResponse {
        let url = "http://127.0.0.1:\(port ?? gateway.port)\(target)"
        return try await client.send(HTTPClientRequest(method: "GET", url: url))
    }

    func json(_ target: String) async throws -> JSONValue {
        try JSONValue(parsing: try await get(target).body)
    }

    /// Waits until the metrics say that so many links are up.
    func waitForLinks(_ count: Int) async throws {
        let end = ContinuousClock.now + .seconds(20)
        while true {
            let page = String(
                decoding: try await get("/metrics", port: gateway.healthPort).body, as: UTF8.self)
            if page.contains("fathom_links{state=\"up\"} \(count)\n") { return }
            try #require(ContinuousClock.now < end, "no \(count) links: \(page)")
            await Task.yield()
        }
    }
}

/// The gateway from socket to socket.
struct SocketTests {
    private static let asks = "/get_asks?exchange=binance.com&market=BTCUSDT"
    private static let book = #"{"asks":[[1.0,2.0]],"event":"GET_ASKS","result":"OK"}"#
    private static let served = BookAnswer.served(ArraySlice(book.utf8))

    @Test func `a query goes over the link and the worker's bytes come back`() async throws {
        try await SocketScene.run([Self.served]) { (scene) async throws in
            let response = try await scene.get(Self.asks)
            #expect(response.status == 200)
            #expect(response.headers.value(of: "content-type") == "application/json")
            #expect(response.body == Array(Self.book.utf8))
        }
    }

    @Test func `a worker that dies under load costs no query`() async throws {
        try await SocketScene.run([Self.served, Self.served]) { (scene) async throws in
            let done = Guarded(0)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        for _ in 0..<100 {
                            let answer = try await scene.json(Self.asks)
                            #expect(answer["result"]?.text == "OK")
                            done.withLock { $0 += 1 }
                        }
                    }
                }
                group.addTask {
                    while done.withLock({ $0 }) < 200 { await Task.yield() }
                    scene.workers[0].kill()
                }
                try await group.waitForAll()
            }
            #expect(done.withLock { $0 } == 800)
        }
    }

    @Test func `a worker that answers nothing is passed by`() async throws {
        try await SocketScene.run([nil, Self.served]) { (scene) async throws in
            for _ in 0..<2 {
                let answer = try await scene.json(Self.asks)
                #expect(answer["result"]?.text == "OK")
            }
        }
    }

    @Test func `a query of 60 KiB gets an envelope, one of 1 MiB ends alone`() async throws {
        try await SocketScene.run([Self.served]) { (scene) async throws in
            let long = String(repeating: "x", count: 60 << 10)
            let known = try await scene.json(Self.asks + "&ignored=" + long)
            #expect(known["result"]?.text == "OK")
            let unknown = try await scene.json("/get_asks?exchange=binance.com&market=" + long)
            #expect(unknown["error_id"]?.text == "#7000")
            let tooLong = String(repeating: "x", count: 1 << 20)
            let response = try? await scene.get(Self.asks + "&ignored=" + tooLong)
            #expect(response == nil || response?.status == 431 || response?.status == 414)
            let after = try await scene.json(Self.asks)
            #expect(after["result"]?.text == "OK")
        }
    }

    @Test func `what cannot be read is refused with an envelope`() async throws {
        try await SocketScene.run([Self.served]) { (scene) async throws in
            let url = "http://127.0.0.1:\(scene.gateway.port)/get_asks"
            var request = HTTPClientRequest(method: "GET", url: url)
            request.headers = [HTTPHeader("expect", "nothing"), HTTPHeader("transfer-encoding", "chunked")]
            let refused = try await scene.client.send(request)
            #expect(refused.status == 411)
            #expect(refused.headers.value(of: "content-type") == "application/json")
            let envelope = try JSONValue(parsing: refused.body)
            #expect(envelope["result"]?.text == "ERROR" && envelope["event"]?.text == "REQUEST")
            #expect(envelope["error_id"]?.text == "#1025")
            #expect(envelope["message"]?.text?.contains("Content-Length") == true)
        }
    }

    @Test func `an upgrade is not found, health and metrics are on a port of their own`() async throws {
        try await SocketScene.run([Self.served]) { (scene) async throws in
            let url = "http://127.0.0.1:\(scene.gateway.port)/link/v1"
            var request = HTTPClientRequest(method: "GET", url: url)
            request.headers = [HTTPHeader("upgrade", "websocket"), HTTPHeader("connection", "upgrade")]
            let upgrade = try await scene.client.send(request)
            #expect(upgrade.status == 404)
            #expect(try await scene.get("/metrics").status == 404)
            #expect(try await scene.get("/readyz", port: scene.gateway.healthPort).status == 200)
        }
    }
}
