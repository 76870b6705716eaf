import DepthCacheAPI
import Testing

@testable import Controller

@Suite struct PlacementPlannerTests {
    func cache(
        _ uid: String, replicas: Int = 1, market: String? = nil, created: String = "2026-01-01T00:00:00Z"
    ) -> PlacementState.Cache {
        .init(
            uid: uid, name: uid, market: MarketKey(exchange: "binance.com", market: market ?? uid),
            created: created, replicas: replicas)
    }

    func worker(
        _ uid: String, node: String = "n", _ standing: PlacementState.Standing = .live
    ) -> PlacementState.Worker {
        .init(uid: uid, name: uid, node: node, standing: standing)
    }

    @Test func `copies go to different nodes before they go to idle workers`() {
        let state = PlacementState(
            caches: [cache("c", replicas: 2)],
            workers: [worker("a1", node: "a"), worker("a2", node: "a"), worker("b1", node: "b")])
        #expect(PlacementPlanner.plan(state).creates.map(\.workerUID) == ["a1", "b1"])
    }

    @Test func `a lost worker's copy stays until its replacement is ready`() {
        var state = PlacementState(
            caches: [cache("c")], replicas: [.init(name: "r", cacheUID: "c", workerUID: "a", isReady: true)],
            workers: [worker("a", .lost), worker("b")])
        let first = PlacementPlanner.plan(state)
        #expect(first.creates.map(\.workerUID) == ["b"])
        #expect(first.deletes.isEmpty)
        state.replicas.append(.init(name: "s", cacheUID: "c", workerUID: "b"))
        #expect(PlacementPlanner.plan(state) == PlacementPlan())
        state.replicas[1].isReady = true
        #expect(PlacementPlanner.plan(state).deletes.map(\.why) == [.replaced])
    }

    @Test func `a copy on a worker that is gone is deleted and replaced at once`() {
        let state = PlacementState(
            caches: [cache("c")], replicas: [.init(name: "r", cacheUID: "c", workerUID: "gone")],
            workers: [worker("b")])
        let plan = PlacementPlanner.plan(state)
        #expect(plan.deletes.map(\.why) == [.workerGone])
        #expect(plan.creates == [.init(cacheUID: "c", workerUID: "b")])
    }

    @Test func `the oldest of two caches for one market wins, then the smaller uid`() {
        let state = PlacementState(
            caches: [
                cache("b", market: "btcusdt", created: "2026-01-02T00:00:00Z"),
                cache("a", market: "BTCUSDT", created: "2026-01-02T00:00:00Z"),
                cache("z", market: "BTCUSDT", created: "2026-01-01T00:00:00Z"),
            ], replicas: [.init(name: "r", cacheUID: "a", workerUID: "w")], workers: [worker("w")])
        let plan = PlacementPlanner.plan(state)
        #expect(plan.duplicates == ["a": "z", "b": "z"])
        #expect(plan.deletes.map(\.why) == [.duplicateMarket])
        #expect(plan.creates.map(\.cacheUID) == ["z"])
    }

    @Test func `too few workers are said, and never get two copies of one cache`() {
        let state = PlacementState(caches: [cache("c", replicas: 3)], workers: [worker("a"), worker("b")])
        let plan = PlacementPlanner.plan(state)
        #expect(plan.creates.count == 2)
        #expect(plan.missing == ["c": 1])
    }

    @Test func `shrinking gives up the copy that is not ready`() {
        let state = PlacementState(
            caches: [cache("c")],
            replicas: [
                .init(name: "r1", cacheUID: "c", workerUID: "a", isReady: true),
                .init(name: "r2", cacheUID: "c", workerUID: "b"),
            ], workers: [worker("a"), worker("b")])
        #expect(PlacementPlanner.plan(state).deletes == [.init(name: "r2", cacheUID: "c", why: .surplus)])
    }

    @Test func `an unproven worker keeps its copies and gets none`() {
        let state = PlacementState(
            caches: [cache("c"), cache("d")], replicas: [.init(name: "r", cacheUID: "c", workerUID: "a")],
            workers: [worker("a", .unproven)])
        let plan = PlacementPlanner.plan(state)
        #expect(plan.creates.isEmpty)
        #expect(plan.deletes.isEmpty)
        #expect(plan.missing == ["d": 1])
    }

    @Test
    func
        `replicas of a deleted cache go, and those of a cache being deleted are left to the garbage collector`()
    {
        var deleted = cache("d")
        deleted.isDeleting = true
        let state = PlacementState(
            caches: [deleted],
            replicas: [
                .init(name: "r", cacheUID: "x", workerUID: "a"),
                .init(name: "s", cacheUID: "d", workerUID: "a"),
            ], workers: [worker("a")])
        let plan = PlacementPlanner.plan(state)
        #expect(plan.deletes == [.init(name: "r", cacheUID: "x", why: .cacheGone)])
        #expect(plan.creates.isEmpty)
    }

    @Test func `copies go to different zones first, then to different nodes, then to idle workers`() {
        func place(_ uid: String, _ zone: String, _ node: String) -> PlacementState.Worker {
            .init(uid: uid, name: uid, node: node, zone: zone)
        }
        let state = PlacementState(
            caches: [cache("c", replicas: 4)],
            workers: [
                place("a1", "east", "a"), place("a2", "east", "a"), place("b1", "east", "b"),
                place("c1", "west", "c"),
            ])
        #expect(PlacementPlanner.plan(state).creates.map(\.workerUID) == ["a1", "c1", "b1", "a2"])
    }

    @Test func `a busy market counts for many quiet ones`() {
        var busy = cache("busy", created: "2026-01-01T00:00:00Z")
        busy.load = 100
        let quiet = (0..<5).map { cache("quiet\($0)", created: "2026-01-02T00:00:00Z") }
        let plan = PlacementPlanner.plan(
            PlacementState(caches: [busy] + quiet, workers: [worker("a"), worker("b")]))
        #expect(plan.creates.first == .init(cacheUID: "busy", workerUID: "a"))
        #expect(plan.creates.dropFirst().allSatisfy { $0.workerUID == "b" })
    }

    @Test func `a new worker is given copies by making them there before they go elsewhere`() {
        var state = PlacementState(
            caches: ["c", "d"].map { cache($0) },
            replicas: ["c", "d"].map { .init(name: $0, cacheUID: $0, workerUID: "a", isReady: true) },
            workers: [worker("a"), worker("b")])
        state.workers[1].isSettled = false
        #expect(PlacementPlanner.plan(state) == PlacementPlan(), "it may be gone again in a moment")
        state.workers[1].isSettled = true
        let plan = PlacementPlanner.plan(state)
        #expect(plan.creates == [.init(cacheUID: "c", workerUID: "b", replaces: .init(name: "c", uid: ""))])
        #expect(plan.deletes.isEmpty)
        state.replicas.append(
            .init(name: "c2", cacheUID: "c", workerUID: "b", replaces: .init(name: "c", uid: "")))
        #expect(
            PlacementPlanner.plan(state) == PlacementPlan(), "the old copy stays, and nothing more is moved")
        state.replicas[2].isReady = true
        #expect(PlacementPlanner.plan(state).deletes == [.init(name: "c", cacheUID: "c", why: .moved)])
    }

    @Test func `a ready copy that waits to take a place is not surplus while others are not ready`() {
        var state = PlacementState(
            caches: [cache("c", replicas: 2)],
            replicas: [
                .init(name: "old", cacheUID: "c", workerUID: "a", isReady: true),
                .init(name: "new", cacheUID: "c", workerUID: "b", isReady: true),
                .init(name: "third", cacheUID: "c", workerUID: "d"),
                .init(name: "fourth", cacheUID: "c", workerUID: "e"),
            ], workers: ["a", "b", "d", "e"].map { worker($0) })
        state.replicas[1].replaces = state.replicas[0].reference
        #expect(PlacementPlanner.plan(state).deletes == [.init(name: "third", cacheUID: "c", why: .surplus)])
        state.replicas[1].isReady = false
        #expect(
            PlacementPlanner.plan(state).deletes.map(\.name) == ["new", "third"],
            "one that is not ready is")
    }

    @Test func `a later copy with the name of the one that was replaced is not replaced too`() {
        let state = PlacementState(
            caches: [cache("c", replicas: 2)],
            replicas: [
                .init(name: "old", uid: "2", cacheUID: "c", workerUID: "a"),
                .init(
                    name: "new", uid: "1", cacheUID: "c", workerUID: "b", isReady: true,
                    replaces: .init(name: "old", uid: "0")),
            ], workers: [worker("a"), worker("b")])
        #expect(PlacementPlanner.plan(state) == PlacementPlan())
    }

    @Test func `nothing is surplus while it is not known which copies are ready`() {
        var state = PlacementState(
            caches: [cache("c")],
            replicas: ["a", "b"].map { .init(name: $0, cacheUID: "c", workerUID: $0) },
            workers: [worker("a"), worker("b", .unproven)])
        #expect(PlacementPlanner.plan(state) == PlacementPlan())
        state.workers[1].standing = .live
        #expect(PlacementPlanner.plan(state).deletes.map(\.why) == [.surplus])
    }

    @Test func `nothing is moved while a worker hands over`() {
        let state = PlacementState(
            caches: ["c", "d", "e"].map { cache($0) },
            replicas: ["c", "d"].map { .init(name: $0, cacheUID: $0, workerUID: "a", isReady: true) } + [
                .init(name: "e", cacheUID: "e", workerUID: "x", isReady: true)
            ],
            workers: [worker("a"), worker("b"), worker("x", .draining)])
        #expect(PlacementPlanner.plan(state).creates == [.init(cacheUID: "e", workerUID: "b")])
    }

    @Test func `a copy under way to a worker that goes is counted once the old one must go too`() {
        var state = PlacementState(
            caches: [cache("c")],
            replicas: [
                .init(name: "old", cacheUID: "c", workerUID: "a", isReady: true),
                .init(name: "new", cacheUID: "c", workerUID: "b", replaces: .init(name: "old", uid: "")),
            ], workers: [worker("a", .draining), worker("b"), worker("d")])
        #expect(PlacementPlanner.plan(state) == PlacementPlan(), "the copy on its way is the replacement")
        state.workers = [worker("a"), worker("b", .lost), worker("d")]
        #expect(PlacementPlanner.plan(state).deletes == [.init(name: "new", cacheUID: "c", why: .replaced)])
    }

    @Test func `a failed copy does not keep its worker from ending`() {
        let state = PlacementState(
            caches: [cache("c")],
            replicas: [
                .init(name: "old", cacheUID: "c", workerUID: "a", isFailed: true),
                .init(name: "new", cacheUID: "c", workerUID: "b", isFailed: true),
            ], workers: [worker("a", .draining), worker("b")])
        #expect(PlacementPlanner.plan(state).deletes == [.init(name: "old", cacheUID: "c", why: .replaced)])
    }

    @Test func `a zone that comes later gets its copies by moves`() {
        var state = PlacementState(
            caches: [cache("c", replicas: 2)],
            replicas: ["a", "b"].map { .init(name: $0, cacheUID: "c", workerUID: $0, isReady: true) },
            workers: ["a", "b"].map { .init(uid: $0, name: $0, node: $0, zone: "east") })
        #expect(PlacementPlanner.plan(state) == PlacementPlan())
        state.workers.append(.init(uid: "w", name: "w", node: "w", zone: "west"))
        #expect(
            PlacementPlanner.plan(state).creates == [
                .init(cacheUID: "c", workerUID: "w", replaces: .init(name: "b", uid: ""))
            ])
    }
}
