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
}

/// Carries a plan out on a state, the way the API would.
func carriedOut(_ plan: PlacementPlan, on state: PlacementState) -> PlacementState {
    var next = state
    let gone = Set(plan.deletes.map(\.name))
    next.replicas.removeAll { gone.contains($0.name) }
    for create in plan.creates {
        next.replicas.append(
            .init(
                name: "\(create.cacheUID)-\(create.workerUID)", cacheUID: create.cacheUID,
                workerUID: create.workerUID))
    }
    return next
}

struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}

/// Random histories, checked against rules so plain that they are surely right.
@Suite struct PlacementPropertyTests {
    func step(_ state: inout PlacementState, _ random: inout SplitMix, _ number: Int) {
        switch Int.random(in: 0..<9, using: &random) {
        case 0, 1, 2:
            let market = "M\(Int.random(in: 0..<30, using: &random))"
            state.caches.append(
                .init(
                    uid: "c\(number)", name: "c\(number)", market: MarketKey(exchange: "x", market: market),
                    created: "2026-01-01T00:00:\(10 + number % 50)Z",
                    replicas: Int.random(in: 1...4, using: &random)))
        case 3:
            guard let index = state.caches.indices.randomElement(using: &random) else { return }
            state.caches.remove(at: index)
        case 4:
            guard let index = state.caches.indices.randomElement(using: &random) else { return }
            state.caches[index].replicas = Int.random(in: 1...4, using: &random)
        case 5:
            state.workers.append(
                .init(
                    uid: "w\(number)", name: "w\(number)", node: "n\(Int.random(in: 0..<3, using: &random))"))
        case 6:
            guard let index = state.workers.indices.randomElement(using: &random) else { return }
            state.workers.remove(at: index)
        case 7:
            guard let index = state.workers.indices.randomElement(using: &random) else { return }
            state.workers[index].standing =
                [.live, .lost, .draining, .unproven].randomElement(using: &random) ?? .live
        default:
            for index in state.replicas.indices where Bool.random(using: &random) {
                state.replicas[index].isReady = true
            }
        }
    }

    @Test(arguments: 1...40)
    func `after every step of a random history the placement is settled, legal and complete`(seed: Int) {
        var random = SplitMix(state: UInt64(seed))
        var state = PlacementState()
        for number in 0..<120 {
            step(&state, &random, number)
            let before = state
            let plan = PlacementPlanner.plan(state)
            state.caches.shuffle(using: &random)
            state.workers.shuffle(using: &random)
            state.replicas.shuffle(using: &random)
            #expect(PlacementPlanner.plan(state) == plan, "order of the lists must not matter")
            state = carriedOut(plan, on: state)
            let again = PlacementPlanner.plan(state)
            #expect(again.creates.isEmpty && again.deletes.isEmpty, "placing twice asks nothing")
            expectLegal(state, plan, before)
        }
    }

    func expectLegal(_ state: PlacementState, _ plan: PlacementPlan, _ before: PlacementState) {
        let standing = Dictionary(uniqueKeysWithValues: state.workers.map { ($0.uid, $0.standing) })
        let live = standing.values.count { $0 == .live }
        for replica in state.replicas {
            #expect(standing[replica.workerUID] != nil)
            #expect(state.caches.contains { $0.uid == replica.cacheUID })
        }
        for create in plan.creates { #expect(standing[create.workerUID] == .live) }
        for cache in state.caches {
            let mine = state.replicas.filter { $0.cacheUID == cache.uid }
            #expect(Set(mine.map(\.workerUID)).count == mine.count, "never two copies on one worker")
            let older = state.caches.contains {
                $0.market == cache.market && ($0.created, $0.uid) < (cache.created, cache.uid)
            }
            #expect((plan.duplicates[cache.uid] != nil) == older)
            guard !older else {
                #expect(mine.isEmpty)
                continue
            }
            let usable = mine.count { [.live, .unproven].contains(standing[$0.workerUID]) }
            let unproven = mine.count { standing[$0.workerUID] == .unproven }
            let onLive = mine.count { standing[$0.workerUID] == .live }
            #expect(usable == cache.replicas || (usable < cache.replicas && onLive == live))
            #expect(cache.replicas - usable == plan.missing[cache.uid] ?? 0)
            #expect(usable >= unproven)
            // Minimal moves: a copy on a usable worker only goes when there are more of them than wanted.
            let had = before.replicas.filter {
                $0.cacheUID == cache.uid && [.live, .unproven].contains(standing[$0.workerUID])
            }
            let kept = Set(mine.map(\.name))
            #expect(had.count { kept.contains($0.name) } == min(had.count, cache.replicas))
        }
    }

    @Test(arguments: 1...30)
    func `a fresh placement on one node is balanced within one`(seed: Int) {
        var random = SplitMix(state: UInt64(seed))
        let count = Int.random(in: 1...9, using: &random)
        let workers = (0..<count).map { PlacementState.Worker(uid: "w\($0)", name: "w\($0)", node: "n") }
        let caches = (0..<Int.random(in: 1...80, using: &random)).map { index in
            PlacementState.Cache(
                uid: "c\(index)", name: "c\(index)", market: MarketKey(exchange: "x", market: "m\(index)"),
                created: "2026", replicas: Int.random(in: 1...count, using: &random))
        }
        let plan = PlacementPlanner.plan(PlacementState(caches: caches, workers: workers))
        let loads = workers.map { worker in plan.creates.count { $0.workerUID == worker.uid } }
        #expect((loads.max() ?? 0) - (loads.min() ?? 0) <= 1)
        #expect(loads.reduce(0, +) == caches.map(\.replicas).reduce(0, +))
    }
}
