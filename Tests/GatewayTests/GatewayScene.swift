import DepthCacheAPI
import K8sClient
import Telemetry
import Testing
import Transport

@testable import Gateway

/// What a scripted worker does with a query.
enum LinkScript: Sendable {
    /// Answers books queries, with the next list of outcomes each time and the last again and again.
    case books([[BooksAnswer.Entry]])
    case answers(BookAnswer)
    case fails(String)
    case silent
    /// Keeps what it is asked until `release`; not heard of for a while, if so.
    case keeps(isSuspect: Bool)
    case unreachable(String)
    case connecting
}

/// A link that does as its script says.
final class ScriptedLink: WorkerLink {
    var script: LinkScript
    var asked = 0
    private var kept: [WorkerLinkCompletion] = []
    var lastBooks: BooksQuery?
    var auditAnswer: Result<AuditAnswer, WorkerLinkError> = .failure(
        WorkerLinkError(reason: "no answer in time"))
    init(_ script: LinkScript) { self.script = script }

    func audit(
        _ query: [UInt8], timeout: Duration, completion: @escaping (Result<[UInt8], WorkerLinkError>) -> Void
    ) {
        asked += 1
        completion(auditAnswer.map { $0.encoded() })
    }

    var condition: LinkCondition {
        switch script {
        case .unreachable: .down
        case .connecting: .connecting
        case .keeps(isSuspect: true): .suspect
        default: .up
        }
    }
    var trouble: String { if case .unreachable(let reason) = script { reason } else { "fine" } }

    func describe(
        _ query: [UInt8], timeout: Duration, completion: @escaping (Result<[UInt8], WorkerLinkError>) -> Void
    ) {
        guard case .answers = script, (try? MarketQuery(decoding: query)) != nil else {
            return completion(.failure(WorkerLinkError(reason: "no answer in time")))
        }
        completion(
            .success(BookAnswer.served(Array("{\"bids\":{\"covered_levels\":7}}".utf8)[...]).encoded()))
    }

    func askBooks(
        _ query: [UInt8], timeout: Duration, completion: @escaping (Result<[UInt8], WorkerLinkError>) -> Void
    ) {
        asked += 1
        switch script {
        case .books(var answers):
            guard let query = try? BooksQuery(decoding: query), let first = answers.first else { return }
            if answers.count > 1 { answers.removeFirst() }
            script = .books(answers)
            lastBooks = query
            // A worker answers as many as it was asked for.
            let entries = query.markets.indices.map { first[min($0, first.count - 1)] }
            completion(.success(BooksAnswer.encoded(entries)))
        case .fails(let reason): completion(.failure(WorkerLinkError(reason: reason)))
        default: break
        }
    }

    func ask(
        _ query: [UInt8], timeout: Duration, completion: @escaping (Result<[UInt8], WorkerLinkError>) -> Void
    ) {
        asked += 1
        switch script {
        case .answers(let answer): completion(.success(answer.encoded()))
        case .fails(let reason): completion(.failure(WorkerLinkError(reason: reason)))
        case .keeps: kept.append(completion)
        default: break
        }
    }

    /// Answers what was kept.
    func release(_ answer: BookAnswer) {
        let kept = kept
        self.kept = []
        for completion in kept { completion(.success(answer.encoded())) }
    }
}

/// A Kubernetes API in memory that counts what it is asked.
final class FakeStore: DepthCacheStore {
    struct State {
        var caches: [CachePicture] = []
        var finds = 0
        var lists = 0
        var outage: StoreError?
    }
    let state = Guarded(State())

    func create(_ spec: DepthCacheSpec) async throws(StoreError) -> CachePicture {
        let result = state.withLock { state -> Result<CachePicture, StoreError> in
            if let outage = state.outage { return .failure(outage) }
            let known = state.caches.contains {
                MarketKey(exchange: $0.exchange, market: $0.market) == spec.key
            }
            if known { return .failure(.alreadyExists) }
            let cache = CachePicture(
                name: spec.key.description, uid: "uid-\(spec.key)", exchange: spec.exchange,
                market: spec.market,
                replicas: spec.replicas, updateInterval: spec.updateIntervalMilliseconds,
                refreshInterval: spec.refreshIntervalSeconds, created: 1)
            state.caches.append(cache)
            return .success(cache)
        }
        return try result.get()
    }

    func delete(_ cache: CachePicture) async throws(StoreError) {
        if let outage = state.withLock({ $0.outage }) { throw outage }
        state.withLock { $0.caches.removeAll { $0.uid == cache.uid } }
    }

    func setReplicas(_ count: Int, of cache: CachePicture) async throws(StoreError) -> CachePicture? {
        if let outage = state.withLock({ $0.outage }) { throw outage }
        return state.withLock { state in
            guard let index = state.caches.firstIndex(where: { $0.uid == cache.uid }) else { return nil }
            state.caches[index].replicas = count
            return state.caches[index]
        }
    }

    func find(_ key: MarketKey) async throws(StoreError) -> CachePicture? {
        if let outage = state.withLock({ $0.outage }) { throw outage }
        return state.withLock { state in
            state.finds += 1
            return state.caches.first { MarketKey(exchange: $0.exchange, market: $0.market) == key }
        }
    }

    func list() async throws(StoreError) -> [CachePicture] {
        if let outage = state.withLock({ $0.outage }) { throw outage }
        return state.withLock { state in
            state.lists += 1
            return state.caches
        }
    }
}

/// A dispatcher on a loop of its own, a directory and scripted workers.
struct GatewayScene {
    let loop: EventLoop
    let store = FakeStore()
    let directory: ClusterDirectory
    let dispatcher: Dispatcher
    let tokens = Guarded(TokenList())

    /// `workers` keep copies of binance.com BTCUSDT, in order, all synchronised.
    static func run(
        workers: [LinkScript] = [], anonymous: AccessScope = .manage, secrets: (any CredentialStore)? = nil,
        sharesAnswers: Bool = true, _ body: (GatewayScene) async throws -> Void
    ) async throws {
        let scene = try GatewayScene(secrets, anonymous, sharesAnswers)
        defer { scene.loop.stop() }
        var picture = ClusterPicture()
        if !workers.isEmpty { picture = Self.picture(workerCount: workers.count) }
        await scene.directory.update(picture)
        scene.directory.setAPIState(.init(hasSynced: true))
        await scene.dispatcher.install(workers)
        try await body(scene)
    }

    private init(_ secrets: (any CredentialStore)?, _ anonymous: AccessScope, _ sharesAnswers: Bool) throws {
        loop = try EventLoop(name: "test")
        directory = ClusterDirectory(store: store)
        let pod = PodPicture(
            name: "gateway-0", uid: "g0", node: "n", role: .gateway, address: "127.0.0.1", port: 1,
            isReady: true)
        let directory = directory
        let service = GatewayService(
            directory: directory, markets: Guarded(MarketDirectory()),
            pages: ClusterPages(gateway: pod, version: "1.2.3"),
            loopback: LoopbackGuard(listeningOn: "127.0.0.1", allowedHosts: []),
            access: AccessControl(anonymous: anonymous, tokens: tokens),
            metrics: GatewayMetrics(MetricRegistry()),
            credentials: secrets.map { CredentialAdministration(directory: directory, store: $0) },
            sharesAnswers: sharesAnswers, wallClock: { 1000 })
        dispatcher = Dispatcher(service: service, on: loop)
    }

    static func picture(workerCount: Int, ports: [Int]? = nil) -> ClusterPicture {
        var picture = ClusterPicture()
        picture.caches = [
            CachePicture(
                name: "btc", uid: "c", exchange: "binance.com", market: "BTCUSDT", replicas: workerCount,
                created: 5)
        ]
        for index in 0..<workerCount {
            let worker = WorkerPicture(
                uid: "w\(index)", name: "worker-\(index)", address: "127.0.0.1",
                port: ports?[index] ?? 9000 + index,
                incarnation: "i\(index)", lastSeen: 999)
            picture.workers.append(worker)
            picture.replicas.append(
                ReplicaPicture(
                    name: "btc-\(index)", cacheUID: "c", workerUID: worker.uid, workerName: worker.name,
                    created: 6,
                    isSynchronized: true, incarnation: worker.incarnation))
        }
        return picture
    }

    /// Sends a request and waits for its answer.
    func send(
        _ target: String, method: String = "GET", body: String = "", fetchSite: String? = nil,
        ifNoneMatch: String? = nil, authorization: String? = nil
    ) async throws -> GatewayReply {
        let request = request(target, method: method, body: body, ifNoneMatch: ifNoneMatch)
        return await withCheckedContinuation { continuation in
            Task {
                await dispatcher.handle(
                    request, origin: nil, fetchSite: fetchSite, authorization: { authorization }
                ) {
                    continuation.resume(returning: $0)
                }
            }
        }
    }

    func request(
        _ target: String, method: String = "GET", body: String = "", ifNoneMatch: String? = nil
    ) -> GatewayRequest {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false).map(
            String.init)
        let query = Array((parts.count > 1 ? parts[1] : "").utf8)[...]
        return GatewayRequest(
            method: method, path: parts[0], rawQuery: query, host: "localhost:1",
            ifNoneMatch: ifNoneMatch, body: Array(body.utf8))
    }

    /// The answer as JSON.
    func json(_ target: String, method: String = "GET", body: String = "") async throws -> JSONValue {
        try JSONValue(parsing: Array(try await send(target, method: method, body: body).body))
    }

    /// Lets a worker keep one more market of binance.com.
    func addMarket(_ market: String, on worker: Int) async {
        var picture = directory.table.picture
        picture.caches.append(
            CachePicture(
                name: market, uid: market, exchange: "binance.com", market: market,
                created: 10 + Double(picture.caches.count)))
        picture.replicas.append(
            ReplicaPicture(
                name: "\(market)-\(worker)", cacheUID: market, workerUID: "w\(worker)",
                workerName: "worker-\(worker)", isSynchronized: true, incarnation: "i\(worker)"))
        await directory.update(picture)
    }

    /// Waits until the dispatcher has so many queries under way.
    func waitForQueries(_ count: Int) async throws {
        let end = ContinuousClock.now + .seconds(60)
        while await dispatcher.queriesUnderWay != count {
            try #require(ContinuousClock.now < end, "no \(count) queries under way")
            await Task.yield()
        }
    }
}

extension Dispatcher {
    func install(_ scripts: [LinkScript]) {
        for (index, script) in scripts.enumerated() { links["w\(index)"] = ScriptedLink(script) }
    }

    func change(_ worker: Int, to script: LinkScript) {
        (links["w\(worker)"] as? ScriptedLink)?.script = script
    }

    func release(_ worker: Int, _ answer: BookAnswer) {
        (links["w\(worker)"] as? ScriptedLink)?.release(answer)
    }

    func lastBooks(_ worker: Int) -> BooksQuery? { (links["w\(worker)"] as? ScriptedLink)?.lastBooks }

    func resetAsked(_ worker: Int) { (links["w\(worker)"] as? ScriptedLink)?.asked = 0 }

    func asked(_ worker: Int) -> Int { (links["w\(worker)"] as? ScriptedLink)?.asked ?? 0 }
}
