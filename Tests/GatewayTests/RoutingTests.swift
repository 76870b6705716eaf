import DepthCacheAPI
import K8sClient
import Testing

@testable import Gateway

/// Who is asked, and in which order.
struct RoutingTests {
    typealias Candidate = ReplicaChoice.Candidate

    @Test func `equal replicas are asked in turn`() {
        let all = Array(repeating: Candidate(condition: .up, isRunning: true), count: 3)
        #expect(ReplicaChoice.order(all, turn: 0) == [0, 1, 2])
        #expect(ReplicaChoice.order(all, turn: 1) == [1, 2, 0])
        #expect(ReplicaChoice.order(all, turn: -1).count == 3)
        #expect(ReplicaChoice.order([], turn: 5) == [])
    }

    @Test func `suspects come after all that are up, the lost are left out`() {
        let all = [
            Candidate(condition: .suspect, isRunning: true), Candidate(condition: .up, isRunning: false),
            Candidate(condition: .down, isRunning: true), Candidate(condition: .up, isRunning: true),
            Candidate(condition: .connecting, isRunning: true),
        ]
        #expect(ReplicaChoice.order(all, turn: 0) == [3, 1, 0, 4])
        #expect(ReplicaChoice.passedOver(all, turn: 2) == 2)
        #expect(ReplicaChoice.passedOver(all, turn: 0) == nil)
        #expect(ReplicaChoice.passedOver([], turn: 0) == nil)
    }

    @Test func `the oldest of two caches of one market is served`() {
        let table = RoutingTable(
            ClusterPicture(caches: [
                CachePicture(name: "b", uid: "2", exchange: "binance.com", market: "btcusdt", created: 2),
                CachePicture(name: "a", uid: "1", exchange: "binance.com", market: "BTCUSDT", created: 1),
            ]))
        let key = MarketKey(exchange: "Binance.com", market: "BtcUsdt")
        #expect(table.routes[key]?.cache.name == "a")
        #expect(table.caches(of: key).count == 2)
    }

    @Test func `a new table goes on with the turns of the old one`() {
        let picture = ClusterPicture(caches: [
            CachePicture(name: "a", uid: "1", exchange: "binance.com", market: "BTCUSDT")
        ])
        let key = MarketKey(exchange: "binance.com", market: "BTCUSDT")
        var table = RoutingTable(picture)
        var turns: [Int?] = []
        for _ in 0..<3 {
            turns.append(table.routes[key]?.nextTurn())
            table = RoutingTable(picture, after: table)
        }
        #expect(turns == [0, 1, 2])
    }

    @Test func `a held cache gives way to a younger one of its market`() throws {
        var older = DepthCache(
            metadata: ObjectMeta(name: "a"), spec: DepthCacheSpec(exchange: "binance.com", market: "BTCUSDT"))
        older.metadata.uid = "1"
        older.status = DepthCacheStatus(conditions: [
            Condition(
                type: ConditionType.ready, status: .no, reason: "InvalidSpec", message: "",
                observedGeneration: nil, lastTransitionTime: Timestamp(secondsSinceEpoch: 0))
        ])
        let held = CachePicture(older)
        #expect(held.isHeld)
        var younger = held
        (younger.name, younger.uid, younger.created, younger.isHeld) = ("b", "2", 9, false)
        let key = MarketKey(exchange: "binance.com", market: "BTCUSDT")
        #expect(RoutingTable(ClusterPicture(caches: [held, younger])).routes[key]?.cache.name == "b")
        #expect(RoutingTable(ClusterPicture(caches: [held])).routes[key]?.cache.name == "a")
    }

    @Test func `a replica runs only if the present incarnation says so`() {
        let worker = WorkerPicture(
            uid: "w", name: "worker-0", address: "127.0.0.1", port: 1, incarnation: "two")
        var replica = ReplicaPicture(
            name: "r", cacheUID: "1", workerUID: "w", workerName: "worker-0", isSynchronized: true,
            incarnation: "one")
        #expect(!ReplicaRoute(replica: replica, worker: worker).isRunning)
        replica.incarnation = "two"
        #expect(ReplicaRoute(replica: replica, worker: worker).isRunning)
        #expect(!ReplicaRoute(replica: replica, worker: nil).isRunning)
        replica.isSynchronized = false
        #expect(!ReplicaRoute(replica: replica, worker: worker).isRunning)
    }
}
