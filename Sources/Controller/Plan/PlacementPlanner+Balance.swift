/// How much is moved at a time, and from which difference on.
struct BalanceLimits: Sendable {
    /// Moves under way in the whole cluster; 0: nothing is moved.
    var moves = 10
    /// Moves under way to one worker.
    var perWorker = 2
    /// Two workers whose loads differ by less than this part of the mean are left alone.
    var tolerance = 0.2
    /// How many of the most and the least loaded workers are looked at.
    var breadth = 4
    /// How many crowded caches are looked at in one plan.
    var spreads = 500
}

/// Moves: a copy is made on another worker, and the old one goes when that is ready.
///
/// Only settled caches are moved, and only while no worker is leaving. Every move makes either the spread of its cache
/// better, or the loads of two workers more equal and no spread worse: so moves come to an end.
extension PlacementPlanner {
    mutating func rebalance(_ plan: inout PlacementPlan) {
        guard movesInFlight < balance.moves, !isAnyWorkerLeaving else { return }
        var left = balance.moves - movesInFlight
        spread(&left, &plan)
        while left > 0, let move = nextMove() {
            make(move.copy, to: move.worker, &plan)
            left -= 1
        }
    }

    private var isAnyWorkerLeaving: Bool {
        workers.indices.contains { number in
            switch workers[number].worker?.standing {
            case .live, nil: false
            case .unproven: true
            case .draining, .lost: workers[number].population > 0
            }
        }
    }

    private mutating func make(_ copy: Int, to worker: Int, _ plan: inout PlacementPlan) {
        let entry = copies[copy]
        let load = caches[entry.cache].cache?.load ?? 0
        plan.creates.append(
            .init(
                cacheUID: entry.replica.cacheUID, workerUID: workers[worker].uid,
                replaces: entry.replica.reference
            ))
        promise(worker, load: load, copies: 1, arriving: 1)
        promise(entry.worker, load: -load, copies: 0)
        caches[entry.cache].isSettled = false
        // Were the copy not made, the cache would have to be settled again.
        dirty.insert(entry.cache)
    }

    private func mayTake(_ worker: Int) -> Bool {
        guard let entry = workers[worker].worker, entry.standing == .live, entry.isSettled, !entry.isAvoided
        else {
            return false
        }
        return workers[worker].arriving < balance.perWorker
    }

    // MARK: Spread

    private mutating func spread(_ left: inout Int, _ plan: inout PlacementPlan) {
        let avoided = workers.indices.filter { workers[$0].worker?.isAvoided == true }
        var later: [Int] = []
        var looks = balance.spreads
        var next = 0
        while next < toSpread.count, left > 0, looks > 0 {
            let number = toSpread[next]
            next += 1
            looks -= 1
            caches[number].isQueued = false
            // One that is not settled comes again when it is.
            guard caches[number].isSettled, crowded.contains(number) else { continue }
            let mine = caches[number].copies
            guard let copy = worst(of: mine) else { continue }
            let others = mine.filter { $0 != copy }
            guard
                let choice = field.choose(
                    taken: mine.map { copies[$0].worker } + avoided, counted: others.map { copies[$0].worker }
                )
            else { continue }
            let now = crowd(of: copies[copy].worker, others)
            guard (choice.inZone, choice.onNode) < (now.inZone, now.onNode) else { continue }
            guard mayTake(choice.worker) else {
                later.append(number)
                caches[number].isQueued = true
                continue
            }
            make(copy, to: choice.worker, &plan)
            left -= 1
        }
        toSpread.removeFirst(next)
        toSpread += later
    }

    // MARK: Load

    private func nextMove() -> (copy: Int, worker: Int)? {
        let live = workers.indices.filter { workers[$0].worker?.standing == .live }
        if let move = nextMove(among: live) { return move }
        guard field.zones.count > 1 else { return nil }
        for zone in field.zones.indices {
            if let move = nextMove(among: field.candidates(zone: zone)) { return move }
        }
        return nil
    }

    private func nextMove(among live: [Int]) -> (copy: Int, worker: Int)? {
        guard live.count > 1 else { return nil }
        let mean = Double(live.reduce(0) { $0 + workers[$1].load }) / Double(live.count)
        let byLoad = live.map { WorkerField.Key(load: workers[$0].load, rank: field.rank(of: $0)) }
        guard let most = byLoad.max(), let least = byLoad.min(),
            Double(most.load - least.load) > mean * balance.tolerance
        else { return nil }
        let order = live.indices.sorted { byLoad[$0] < byLoad[$1] }.map { live[$0] }
        let targets = order.lazy.filter { mayTake($0) }.prefix(balance.breadth)
        for source in order.reversed().prefix(balance.breadth) {
            for target in targets {
                let gap = workers[source].load - workers[target].load
                guard Double(gap) > mean * balance.tolerance else { break }
                if let copy = copyToMove(from: source, to: target, atMost: gap / 2) { return (copy, target) }
            }
        }
        return nil
    }

    /// The heaviest copy whose move brings the two workers closer and leaves its cache spread as well as before.
    private func copyToMove(from source: Int, to target: Int, atMost limit: Int) -> Int? {
        var best: (copy: Int, load: Int)?
        for copy in workers[source].copies {
            let entry = caches[copies[copy].cache]
            guard entry.isSettled, let load = entry.cache?.load, load <= limit, load > 0 else { continue }
            if let best,
                best.load > load
                    || best.load == load && copies[best.copy].replica.name < copies[copy].replica.name
            {
                continue
            }
            guard !entry.copies.contains(where: { copies[$0].worker == target }),
                keepsSpread(copy, entry, source, target)
            else { continue }
            best = (copy, load)
        }
        return best?.copy
    }

    private func keepsSpread(_ copy: Int, _ cache: CacheEntry, _ source: Int, _ target: Int) -> Bool {
        guard cache.copies.count > 1 else { return true }
        let others = cache.copies.filter { $0 != copy }
        let (before, after) = (crowd(of: source, others), crowd(of: target, others))
        return (after.inZone, after.onNode) <= (before.inZone, before.onNode)
    }
}
