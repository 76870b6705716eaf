import Binance
import Books
import DepthCacheAPI
import K8sClient
import Telemetry
import TestSupport
import Testing
import Transport

@testable import Worker

/// How a copy is got from other workers, with workers that the test plays.
struct PeerDeskTests {
    private let book = BookID(venue: "binance.com", market: "BTCUSDT", intervalMilliseconds: 100)

    /// What the played workers say, question by question; the last answer stays.
    private final class Script: Sendable {
        private let state: Guarded<(answers: [Result<BookCopyAnswer, PeerTrouble>], asked: [BookCopyRequest])>
        init(_ answers: [Result<BookCopyAnswer, PeerTrouble>]) { state = Guarded((answers, [])) }
        var asked: [BookCopyRequest] { state.withLock { $0.asked } }

        func answer(_ request: BookCopyRequest) -> Result<BookCopyAnswer, PeerTrouble> {
            state.withLock { state in
                state.asked.append(request)
                return state.answers.count > 1 ? state.answers.removeFirst() : state.answers[0]
            }
        }
    }

    private func copy(
        id: Int64 = 7, market: String = "BTCUSDT", incarnation: String = "now"
    ) -> Result<BookCopyAnswer, PeerTrouble> {
        .success(
            .copy(
                BookCopy(
                    incarnation: incarnation, venue: "binance.com", market: market,
                    snapshot: BookSnapshot(lastID: id))))
    }

    private func refused(
        _ code: BookCopyRefusal.Code, isComing: Bool = false
    ) -> Result<BookCopyAnswer, PeerTrouble> {
        .success(.refused(BookCopyRefusal(code, isComing: isComing)))
    }

    /// A desk of worker `me` that knows one other one, `a`, whose replica stands as given; nil: it has none.
    private func desk(_ script: Script, _ phase: ReplicaPhase?, metrics: MetricRegistry = MetricRegistry())
        -> PeerDesk
    {
        let desk = PeerDesk(clock: WorkerClock(), metrics: metrics) { _, request in script.answer(request) }
        func replica(_ worker: String, _ phase: ReplicaPhase) -> DepthCacheReplica {
            var metadata = ObjectMeta(name: worker)
            metadata.labels = [LabelKey.worker: worker]
            return DepthCacheReplica(
                metadata: metadata,
                spec: DepthCacheReplicaSpec(exchange: book.venue, market: book.market, workerName: worker),
                status: DepthCacheReplicaStatus(phase: phase, incarnation: "now"))
        }
        let lease = WorkerRecord(name: "worker-a", uid: "a", incarnation: "now", endpoint: "127.0.0.1:9")
            .lease(namespace: "default", renewed: .now)
        desk.update(
            PeerDirectory(
                ownUID: "me",
                replicas: [replica("me", .synchronizing)] + (phase.map { [replica("a", $0)] } ?? []),
                leases: [lease], exchanges: ExchangeDirectory()))
        return desk
    }

    @Test func `a synchronised peer's copy is taken at once`() async {
        let script = Script([copy()])
        let terms = CopyTerms(book: book, leastLevels: 500, leastID: { 5 })
        let got = await desk(script, .synchronized).fetch(terms) { true }
        #expect(got?.snapshot.lastID == 7)
        #expect(
            script.asked == [
                BookCopyRequest(venue: "binance.com", market: "BTCUSDT", leastID: 5, leastLevels: 500)
            ])
    }

    @Test
    func `a peer that stands too early or asks the exchange itself is asked again, and the wait is told`()
        async
    {
        let script = Script([
            refused(.tooOld), refused(.notSynchronized, isComing: true),
            .failure(PeerTrouble(answer: .unreachable)),
            copy(),
        ])
        let told = Guarded<[String?]>([])
        let terms = CopyTerms(book: book, onWait: { name in told.withLock { $0.append(name) } })
        let got = await desk(script, .synchronized).fetch(terms) { true }
        #expect(got != nil)
        #expect(script.asked.count == 4)
        #expect(told.withLock { $0 } == ["worker-a", nil])
    }

    @Test(arguments: [BookCopyRefusal.Code.lagging, .regressed, .auditFailed, .tooShallow])
    func `a peer that has nothing fit to give is asked once`(_ code: BookCopyRefusal.Code) async {
        // Whether `a` is the elder does not matter for the first three; for levels it would be waited for.
        let market = PeerMarket(venue: book.venue, market: book.market)
        let isElder = PeerDirectory.rank("a", market) < PeerDirectory.rank("me", market)
        let script = Script([refused(code)])
        let got = await desk(script, .synchronized).fetch(CopyTerms(book: book)) { true }
        #expect(got == nil)
        #expect(script.asked.count == 1 || (code == .tooShallow && isElder))
    }

    @Test func `without another replica nobody is asked`() async {
        let script = Script([copy()])
        let got = await desk(script, nil).fetch(CopyTerms(book: book)) { true }
        #expect(got == nil)
        #expect(script.asked.isEmpty)
    }

    @Test func `another market's, another incarnation's and an earlier copy are not taken`() async {
        for wrong in [copy(market: "ETHUSDT"), copy(incarnation: "before"), copy(id: 4)] {
            let got = await desk(Script([wrong]), .synchronized)
                .fetch(CopyTerms(book: book, leastID: { 5 })) { true }
            #expect(got == nil)
        }
    }

    @Test func `a book that wants no copy any more ends the waiting`() async {
        let script = Script([refused(.notSynchronized, isComing: true)])
        let got = await desk(script, .synchronized).fetch(CopyTerms(book: book)) { script.asked.count < 3 }
        #expect(got == nil)
        #expect(script.asked.count == 3)
    }

    @Test func `an order for the exchange ends the one of its book that still asks workers`() async throws {
        let (metrics, clock) = (MetricRegistry(), WorkerClock())
        let exchange = try #require(ExchangeDirectory()[name: "binance.com"])
        let exchangeDesk = SnapshotDesk(
            exchange: exchange, http: try HTTPClient(), weight: Guarded(RequestWeight(limitPerMinute: 6000)),
            clock: clock, metrics: metrics)
        let script = Script([refused(.notSynchronized, isComing: true)])
        let source = SnapshotSource(desk: exchangeDesk, peers: desk(script, .synchronized, metrics: metrics))
        let kept = KeptBook(id: book, stream: "btcusdt@depth@100ms", family: .spot)
        let answered = Guarded<[String]>([])
        func order(_ name: String, _ terms: CopyTerms?) -> SnapshotOrder {
            SnapshotOrder(
                purpose: .synchronize, book: ObjectIdentifier(kept), market: "BTCUSDT", limit: 100,
                notBefore: .zero, copy: terms
            ) { _ in answered.withLock { $0.append(name) } }
        }
        source.submit(order("old", CopyTerms(book: book)))
        try await eventually("a question") { script.asked.count >= 1 }
        source.submit(order("new", nil))
        // Left alone it would ask for ever.
        let without = "fathom_worker_peer_copies_total{outcome=\"none\"} 1"
        try await eventually("the end of the old one's questions") {
            String(decoding: metrics.render(), as: UTF8.self).contains(without)
        }
        exchangeDesk.waiting.last?.completion(.failed(.rateLimited, "429"))
        #expect(answered.withLock { $0 } == ["new"])
        #expect(exchangeDesk.waiting.count == 1)
    }

    @Test func `a newer order ends an older one, and what no peer has goes to the exchange as coming`()
        async throws
    {
        let metrics = MetricRegistry()
        let clock = WorkerClock()
        guard let exchange = ExchangeDirectory()[name: "binance.com"] else { return }
        let exchangeDesk = SnapshotDesk(
            exchange: exchange, http: try HTTPClient(),
            weight: Guarded(RequestWeight(limitPerMinute: exchange.weightPerMinute)), clock: clock,
            metrics: metrics)
        let script = Script([refused(.notSynchronized, isComing: true)])
        let source = SnapshotSource(desk: exchangeDesk, peers: desk(script, .synchronized))
        let copies = Guarded(0)
        func order(_ terms: CopyTerms?) -> SnapshotOrder {
            SnapshotOrder(purpose: .synchronize, market: "BTCUSDT", limit: 100, notBefore: .zero, copy: terms)
            { _ in
                copies.withLock { $0 += 1 }
            }
        }
        source.submit(order(CopyTerms(book: book)))
        try await eventually("a question") { script.asked.count >= 1 }
        #expect(!source.isComing(book))
        source.forget(book)
        // The next one has no peers to wait for.
        let alone = SnapshotSource(desk: exchangeDesk, peers: desk(script, nil))
        alone.submit(order(CopyTerms(book: book)))
        try await eventually("the order at the exchange's desk") { exchangeDesk.waiting.count == 1 }
        #expect(alone.isComing(book))
        exchangeDesk.waiting.first?.completion(.failed(.rateLimited, "429"))
        #expect(!alone.isComing(book))
        #expect(copies.withLock { $0 } == 1)
    }
}
