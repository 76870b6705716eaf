import DepthCacheAPI
import Testing

@testable import Controller

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

/// A made-up cluster that changes at random, with a planner that is told of each change.
struct PlacementHistory {
    var state = PlacementState()
    var planner: PlacementPlanner
    var random: SplitMix
    private var made = 0
    private var copiesMade = 0

    init(seed: Int, balance: BalanceLimits = BalanceLimits()) {
        random = SplitMix(state: UInt64(seed))
        planner = PlacementPlanner(balance: balance)
    }

    mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

    /// Lets one thing happen.
    mutating func step() {
        made += 1
        switch number(0...12) {
        case 0, 1, 2:
            state.caches.append(
                .init(
                    uid: "c\(made)", name: "c\(made)",
                    market: MarketKey(exchange: "x", market: "M\(number(0...40))"),
                    created: "2026-01-01T00:00:\(10 + made % 50)Z", replicas: number(1...4),
                    load: 10 + number(0...90), isHeld: number(0...15) == 0))
        case 3:
            guard let index = state.caches.indices.randomElement(using: &random) else { return }
            planner.removeCache(uid: state.caches.remove(at: index).uid)
        case 4:
            guard let index = state.caches.indices.randomElement(using: &random) else { return }
            state.caches[index].replicas = number(1...4)
            if number(0...5) == 0 { state.caches[index].isDeleting = true }
        case 5:
            state.workers.append(
                .init(
                    uid: "w\(made)", name: "w\(number(0...9))", node: "n\(number(0...3))",
                    zone: "z\(number(0...2))",
                    isSettled: Bool.random(using: &random)))
        case 6:
            guard let index = state.workers.indices.randomElement(using: &random) else { return }
            planner.removeWorker(uid: state.workers.remove(at: index).uid)
        case 7:
            guard let index = state.workers.indices.randomElement(using: &random) else { return }
            state.workers[index].standing =
                [.live, .live, .lost, .draining, .unproven].randomElement(using: &random) ?? .live
        case 8:
            guard let index = state.caches.indices.randomElement(using: &random) else { return }
            state.caches[index].load = 10 + number(0...90)
        case 9:
            guard let index = state.replicas.indices.randomElement(using: &random) else { return }
            switch number(0...3) {
            case 0: state.replicas[index].isDeleting = true
            case 1: state.replicas[index].isFailed.toggle()
            case 2: state.replicas[index].isOverdue.toggle()
            default: planner.removeReplica(name: state.replicas.remove(at: index).name)
            }
        case 10:
            // Somebody says of a copy that it is to take the place of another, or of one that was there before.
            guard let index = state.replicas.indices.randomElement(using: &random) else { return }
            let copy = state.replicas[index]
            var old = state.replicas.filter { $0.cacheUID == copy.cacheUID }.randomElement(using: &random)?
                .reference
            if number(0...3) == 0 { old?.uid += " before" }
            state.replicas[index].replaces = old
        default:
            for index in state.replicas.indices where Bool.random(using: &random) {
                state.replicas[index].isReady.toggle()
            }
        }
        for index in state.workers.indices where number(0...3) == 0 { state.workers[index].isSettled = true }
        for index in state.workers.indices where number(0...15) == 0 {
            state.workers[index].isAvoided.toggle()
        }
        tell()
    }

    /// What the planner is told: of copies on workers that are lost, or not yet proven alive, nothing is known.
    var told: PlacementState {
        var told = state
        let heard = Set(
            state.workers.filter { $0.standing == .live || $0.standing == .draining }.map(\.uid))
        for index in told.replicas.indices where !heard.contains(told.replicas[index].workerUID) {
            told.replicas[index].isReady = false
            told.replicas[index].isFailed = false
        }
        return told
    }

    /// Tells the planner what there is; it has to notice by itself what is new.
    mutating func tell() {
        let told = told
        for worker in told.workers { planner.set(worker) }
        for cache in told.caches { planner.set(cache) }
        for replica in told.replicas { planner.set(replica) }
    }

    /// Carries a plan out as the API would; a part of the writes may fail.
    mutating func carryOut(_ plan: PlacementPlan, failingOneIn odds: Int? = nil) {
        for deletion in plan.deletes {
            if let odds, number(1...odds) == 1 {
                planner.touch(cacheUID: deletion.cacheUID)
                continue
            }
            state.replicas.removeAll { $0.name == deletion.name }
            planner.removeReplica(name: deletion.name)
        }
        for create in plan.creates {
            if let odds, number(1...odds) == 1 {
                planner.touch(cacheUID: create.cacheUID)
                continue
            }
            copiesMade += 1
            state.replicas.append(
                .init(
                    name: "\(create.cacheUID)-\(create.workerUID)", uid: "\(copiesMade)",
                    cacheUID: create.cacheUID,
                    workerUID: create.workerUID, replaces: create.replaces))
        }
        tell()
    }

    /// The number of ready copies on workers that are not lost, for each cache.
    var served: [String: Int] {
        let standing = Dictionary(uniqueKeysWithValues: state.workers.map { ($0.uid, $0.standing) })
        return Dictionary(
            grouping: state.replicas.filter { replica in
                replica.isReady && !replica.isDeleting && standing[replica.workerUID] != nil
                    && standing[replica.workerUID] != .lost
            }
        ) { $0.cacheUID }.mapValues(\.count)
    }
}

/// Random histories, against a planner so plain that it is surely right and against the rules themselves.
@Suite struct PlacementPropertyTests {
    private func sorted(_ plan: PlacementPlan) -> PlacementPlan {
        var plan = plan
        plan.creates.sort { ($0.cacheUID, $0.workerUID) < ($1.cacheUID, $1.workerUID) }
        plan.deletes.sort { $0.name < $1.name }
        return plan
    }

    @Test(arguments: 1...40)
    func `without moves, told change by change, it plans what the naive planner plans from the whole`(
        seed: Int
    ) {
        var history = PlacementHistory(seed: seed, balance: BalanceLimits(moves: 0))
        for _ in 0..<150 {
            history.step()
            let plan = history.planner.plan()
            var naive = NaivePlacement.plan(history.told)
            #expect(
                sorted(PlacementPlanner.plan(history.told, balance: BalanceLimits(moves: 0)))
                    == sorted(naive))
            for cache in history.state.caches where !cache.isDeleting {
                let standing = history.planner.standing(cacheUID: cache.uid)
                #expect(standing.missing == naive.missing[cache.uid] ?? 0)
                #expect(standing.duplicateOf == naive.duplicates[cache.uid])
            }
            // It tells of these once, the naive planner each time.
            (naive.missing, naive.duplicates) = (plan.missing, plan.duplicates)
            #expect(sorted(plan) == sorted(naive))
            history.carryOut(plan)
        }
    }

    @Test(arguments: 1...30)
    func `the order in which things are told does not matter`(seed: Int) {
        var history = PlacementHistory(seed: seed)
        for _ in 0..<80 {
            history.step()
            let plan = PlacementPlanner.plan(history.told)
            var shuffled = history.told
            shuffled.caches.shuffle(using: &history.random)
            shuffled.workers.shuffle(using: &history.random)
            shuffled.replicas.shuffle(using: &history.random)
            #expect(PlacementPlanner.plan(shuffled) == plan)
            history.carryOut(plan)
        }
    }

    @Test(arguments: 1...200)
    func `no plan gives a worker two copies of a cache or takes a ready copy that is needed`(seed: Int) {
        var history = PlacementHistory(seed: seed)
        for _ in 0..<150 {
            history.step()
            let before = history.served
            let wanted = Dictionary(
                uniqueKeysWithValues: history.state.caches.filter { !$0.isHeld && !$0.isDeleting }
                    .map { ($0.uid, $0.replicas) })
            let plan = history.planner.plan()
            let live = Set(history.state.workers.filter { $0.standing == .live }.map(\.uid))
            #expect(plan.creates.allSatisfy { live.contains($0.workerUID) })
            history.carryOut(plan, failingOneIn: 5)
            for (uid, copies) in Dictionary(grouping: history.state.replicas, by: \.cacheUID) {
                #expect(Set(copies.map(\.workerUID)).count == copies.count)
                guard let wanted = wanted[uid], plan.duplicates[uid] == nil else { continue }
                let (had, has) = (before[uid] ?? 0, history.served[uid] ?? 0)
                #expect(has >= min(had, wanted), "ready copies of \(uid)")
            }
        }
    }

    @Test(arguments: 1...100)
    func `left alone, it comes to rest, moving a few copies at a time`(seed: Int) {
        var history = PlacementHistory(seed: seed)
        for _ in 0..<60 { history.step() }
        for index in history.state.workers.indices {
            history.state.workers[index].isSettled = true
            if [.unproven, .draining].contains(history.state.workers[index].standing) {
                history.state.workers[index].standing = .live
            }
        }
        history.tell()
        var quiet = 0
        var rounds = 0
        while quiet < 3, rounds < 2000 {
            rounds += 1
            let plan = history.planner.plan()
            #expect(plan.creates.count { $0.replaces != nil } <= 10)
            quiet = plan.creates.isEmpty && plan.deletes.isEmpty ? quiet + 1 : 0
            history.carryOut(plan)
            for index in history.state.replicas.indices {
                history.state.replicas[index].isReady = true
                history.state.replicas[index].isFailed = false
            }
            history.state.replicas.removeAll { $0.isDeleting }
            history.tell()
        }
        #expect(quiet == 3, "at rest after \(rounds) plans")
    }

    @Test(arguments: 1...30)
    func `a new worker gets its share, a few copies at a time, and noise moves nothing`(seed: Int) {
        var random = SplitMix(state: UInt64(seed))
        var planner = PlacementPlanner()
        let workers = Int.random(in: 2...8, using: &random)
        var caches = (0..<workers * 20).map { index in
            PlacementState.Cache(
                uid: "c\(index)", name: "c\(index)", market: MarketKey(exchange: "x", market: "m\(index)"),
                created: "2026", replicas: 1, load: Int.random(in: 10...60, using: &random))
        }
        for number in 0..<workers { planner.set(.init(uid: "w\(number)", name: "w\(number)", node: "n")) }
        for cache in caches { planner.set(cache) }
        var made = 0
        var running = 0
        func carryOut(_ plan: PlacementPlan) -> Int {
            for deletion in plan.deletes { planner.removeReplica(name: deletion.name) }
            running = 0
            for create in plan.creates {
                made += 1
                if create.replaces != nil { running += 1 }
                planner.set(
                    .init(
                        name: "r\(made)", cacheUID: create.cacheUID, workerUID: create.workerUID,
                        isReady: true,
                        replaces: create.replaces))
            }
            return plan.creates.count + plan.deletes.count
        }
        while carryOut(planner.plan()) > 0 {}
        planner.set(.init(uid: "new", name: "new", node: "n"))
        var moves = 0
        while carryOut(planner.plan()) > 0 {
            #expect(running <= 2)
            moves += running
        }
        let loads = planner.workers.map(\.load)
        let mean = loads.reduce(0, +) / loads.count
        #expect((loads.max() ?? 0) - (loads.min() ?? 0) <= mean / 5 + 60)
        #expect(moves <= 60, "no more than its share is moved")
        for round in 0..<50 {
            let index = (round * 7) % caches.count
            let noisy = caches[index].load + Int.random(in: -2...2, using: &random)
            caches[index].load = ReplicaLoad.settled(noisy, inUse: caches[index].load)
            planner.set(caches[index])
            let written = carryOut(planner.plan())
            #expect(written == 0)
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
