import Binance
import DepthCacheAPI
import K8sClient
import Testing

@testable import Worker

/// Who is asked for a copy, and how long.
struct PeerDirectoryTests {
    private let bitcoin = PeerMarket(venue: "binance.com", market: "BTCUSDT")

    private func lease(_ uid: String, incarnation: String? = "now") -> Lease {
        WorkerRecord(name: "worker-\(uid)", uid: uid, incarnation: incarnation, endpoint: "127.0.0.1:9")
            .lease(namespace: "default", renewed: .now)
    }

    private func replica(
        _ worker: String, _ phase: ReplicaPhase, exchange: String = "binance.com", market: String = "BTCUSDT",
        incarnation: String = "now"
    ) -> DepthCacheReplica {
        var metadata = ObjectMeta(name: "r-\(worker)-\(exchange)-\(market)")
        metadata.labels = [LabelKey.worker: worker]
        return DepthCacheReplica(
            metadata: metadata,
            spec: DepthCacheReplicaSpec(exchange: exchange, market: market, workerName: "worker-\(worker)"),
            status: DepthCacheReplicaStatus(phase: phase, incarnation: incarnation))
    }

    private func directory(_ own: String, _ replicas: [DepthCacheReplica], _ leases: [Lease]) -> PeerDirectory
    {
        PeerDirectory(ownUID: own, replicas: replicas, leases: leases, exchanges: ExchangeDirectory())
    }

    @Test func `synchronised replicas of other workers are holders, whatever alias and spelling they use`() {
        let replicas = [
            replica("a", .synchronized), replica("b", .synchronized, exchange: "binance.com-margin"),
            replica("c", .synchronized, market: "btcusdt"), replica("d", .synchronized, market: "ETHUSDT"),
            replica("me", .synchronized),
        ]
        let sources = directory("me", replicas, ["a", "b", "c", "d", "me"].map { lease($0) })
            .sources(of: bitcoin)
        #expect(Set(sources.map(\.peer.uid)) == ["a", "b", "c"])
        #expect(sources.allSatisfy { $0.isHolder })
        #expect(directory("me", replicas, []).isComplete(bitcoin))
        #expect(!directory("x", replicas, []).isComplete(bitcoin))
        #expect(sources.first?.peer.endpoint == "127.0.0.1:9")
    }

    @Test func `an earlier incarnation's word does not make a holder, and one that has ended is nobody`() {
        let replicas = [
            replica("a", .synchronized, incarnation: "before"), replica("b", .synchronized),
            replica("c", .synchronized),
        ]
        let leases = [lease("a"), lease("b", incarnation: nil)]
        let sources = directory("me", replicas, leases).sources(of: bitcoin)
        #expect(sources.map(\.peer.uid) == ["a"])
        #expect(sources.allSatisfy { !$0.isHolder })
    }

    @Test func `of workers that start together exactly one has no elder, and its turn differs by market`() {
        let workers = ["a", "b", "c", "d"]
        var firsts: [String: Int] = [:]
        for number in 0..<400 {
            let name = "M\(number)USDT"
            let market = PeerMarket(venue: "binance.com", market: name)
            let replicas = workers.map { replica($0, .synchronizing, market: name) }
            let elders = workers.map { worker -> (String, [String]) in
                let sources = directory(worker, replicas, workers.map { lease($0) }).sources(of: market)
                return (worker, sources.filter(\.isElder).map(\.peer.uid))
            }
            #expect(elders.map(\.1.count).sorted() == [0, 1, 2, 3])
            for (worker, elders) in elders where elders.isEmpty { firsts[worker, default: 0] += 1 }
            // Whoever waits, waits for the one who goes, first of all.
            let first = elders.first { $0.1.isEmpty }?.0
            #expect(elders.allSatisfy { $0.1.isEmpty || $0.1.first == first })
        }
        #expect(workers.allSatisfy { (60...140).contains(firsts[$0] ?? 0) })
    }

    @Test(arguments: [(2, 2, true), (3, 2, false), (1, 2, true), (3, 1, true)])
    func `a market is complete once it has the replicas that there can be`(
        wanted: Int, workers: Int, isComplete: Bool
    ) {
        var metadata = ObjectMeta(name: "c")
        metadata.uid = "c"
        let cache = DepthCache(
            metadata: metadata,
            spec: DepthCacheSpec(exchange: "binance.com", market: "btcusdt", replicas: wanted))
        let replicas = ["me", "a"].prefix(workers).map { worker in
            var replica = replica(worker, .synchronizing)
            replica.metadata.labels[LabelKey.depthCache] = "c"
            return replica
        }
        // One more worker than there are replicas placed, if there are to be several.
        let leases = ["a", "b"].prefix(workers > 1 ? 2 : 0).map { lease($0) }
        let directory = PeerDirectory(
            ownUID: "me", caches: [cache], replicas: replicas, leases: leases, exchanges: ExchangeDirectory())
        #expect(directory.isComplete(bitcoin) == isComplete)
    }

    @Test func `a failed replica is not waited for`() {
        let workers = ["a", "b", "c", "d"]
        let replicas = workers.map { replica($0, .failed) }
        let sources = directory("me", replicas, workers.map { lease($0) }).sources(of: bitcoin)
        #expect(sources.isEmpty)
    }

    private func refused(_ code: BookCopyRefusal.Code, isComing: Bool = false) -> PeerPatience.Answer {
        .refused(BookCopyRefusal(code, isComing: isComing))
    }

    private func source(isHolder: Bool = false, isElder: Bool = false) -> PeerSource {
        PeerSource(
            peer: Peer(uid: "a", name: "a", incarnation: "now", endpoint: "127.0.0.1:9"), isHolder: isHolder,
            isElder: isElder)
    }

    @Test func `waiting ends by what the peer says and how long it has been`() {
        let (holder, elder) = (source(isHolder: true), source(isElder: true))
        let junior = source()
        let first = PeerPatience(isServed: false)
        let deeper = PeerPatience(isServed: true)
        let (short, long, longest) = (Duration.seconds(1), Duration.seconds(5), Duration.seconds(11))
        // A peer that asks the exchange itself is worth the wait, more so where the book is served meanwhile.
        for source in [holder, elder, junior] {
            #expect(first.isHopeful(refused(.notSynchronized, isComing: true), from: source, waited: longest))
            #expect(
                deeper.isHopeful(refused(.tooShallow, isComing: true), from: source, waited: .seconds(120)))
        }
        #expect(
            !first.isHopeful(refused(.notSynchronized, isComing: true), from: elder, waited: .seconds(120)))
        // One that has not begun gets some time if it is its turn; a junior waits for us.
        #expect(first.isHopeful(refused(.notHere), from: elder, waited: long))
        #expect(!first.isHopeful(refused(.notHere), from: elder, waited: longest))
        #expect(first.isHopeful(refused(.notSynchronized), from: holder, waited: short))
        #expect(!first.isHopeful(refused(.notSynchronized), from: holder, waited: long))
        #expect(!first.isHopeful(refused(.notSynchronized), from: junior, waited: .zero))
        #expect(first.isHopeful(refused(.tooOld), from: holder, waited: short))
        // Of two shallow ones the elder fetches more, the other waits for that.
        let both = source(isHolder: true, isElder: true)
        #expect(deeper.isHopeful(refused(.tooShallow), from: both, waited: short))
        #expect(!deeper.isHopeful(refused(.tooShallow), from: holder, waited: .zero))
        // What will not change is not waited for.
        for code in [BookCopyRefusal.Code.lagging, .regressed, .auditFailed, .badRequest] {
            #expect(!first.isHopeful(refused(code), from: both, waited: .zero))
        }
        #expect(first.isHopeful(.unreachable, from: holder, waited: short))
        #expect(!first.isHopeful(.unreachable, from: elder, waited: long))
        #expect(!first.isHopeful(.unreachable, from: junior, waited: .zero))
        #expect(!first.isHopeful(.unreadable, from: both, waited: .zero))
    }
}
