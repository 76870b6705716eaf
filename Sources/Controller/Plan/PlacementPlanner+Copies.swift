/// The copies of one cache: which go, and where new ones belong.
extension PlacementPlanner {
    /// What has to be written now, for what has changed since the last plan.
    mutating func plan() -> PlacementPlan {
        takeBackPromises()
        if isFieldStale { remakeField() }
        if mustLookAtAllCrowded { lookAtAllCrowded() }
        var plan = PlacementPlan()
        let due = dirty.sorted { left, right in
            let (a, b) = (caches[left].cache?.created ?? "", caches[right].cache?.created ?? "")
            return a != b ? a < b : caches[left].uid < caches[right].uid
        }
        dirty = []
        lookedAt = due.map { caches[$0].uid }
        // What goes is decided for all before anything is added: freed workers count as free.
        var shortfalls: [(cache: Int, kept: [Int], count: Int)] = []
        for cache in due {
            let (kept, missing) = shrink(cache, &plan)
            if missing > 0 { shortfalls.append((cache, kept, missing)) }
        }
        for (cache, kept, count) in shortfalls { grow(cache, kept, by: count, &plan) }
        rebalance(&plan)
        return plan
    }

    mutating func promise(_ worker: Int, load: Int, copies: Int, arriving: Int = 0) {
        promises.append(Promise(worker: worker, load: load, copies: copies, arriving: arriving))
        add(load, to: worker)
        workers[worker].population += copies
        workers[worker].arriving += arriving
    }

    private mutating func remakeField() {
        isFieldStale = false
        field = WorkerField(
            workers.indices.compactMap { number in
                workers[number].worker.map {
                    (number: number, zone: $0.zone, node: $0.node, name: $0.name, uid: $0.uid)
                }
            }, after: field)
        for number in workers.indices where workers[number].worker?.standing == .live {
            field.set(number, load: workers[number].load)
        }
    }

    private mutating func lookAtAllCrowded() {
        mustLookAtAllCrowded = false
        for cache in toSpread { caches[cache].isQueued = false }
        toSpread = field.nodes.count > 1 ? crowded.sorted { caches[$0].uid < caches[$1].uid } : []
        for cache in toSpread { caches[cache].isQueued = true }
    }

    /// Whether the copy counts towards the desired number.
    func isUsable(_ copy: Int) -> Bool {
        switch workers[copies[copy].worker].worker?.standing {
        case .live, .unproven: true
        case .draining, .lost, nil: false
        }
    }

    func isReady(_ copy: Int) -> Bool { copies[copy].replica.isReady }

    /// Nothing is known of it yet, so it may well be ready.
    private func isUnknown(_ copy: Int) -> Bool {
        workers[copies[copy].worker].worker?.standing == .unproven
    }

    /// The cache that keeps the market instead of this one.
    private func keeper(insteadOf number: Int, _ cache: PlacementState.Cache) -> String? {
        var best: PlacementState.Cache?
        for other in markets[cache.market] ?? [] where other != number {
            guard let rival = caches[other].cache, !rival.isHeld, !rival.isDeleting,
                (rival.created, rival.uid) < (cache.created, cache.uid)
            else { continue }
            if let known = best, (known.created, known.uid) < (rival.created, rival.uid) { continue }
            best = rival
        }
        return best?.name
    }

    /// Deletes what is gone, doubled, replaced or surplus; returns what stays and how many copies are missing.
    private mutating func shrink(_ number: Int, _ plan: inout PlacementPlan) -> (kept: [Int], missing: Int) {
        forgetMoves(number)
        short.remove(number)
        caches[number].missing = 0
        caches[number].duplicateOf = nil
        caches[number].isSettled = false
        crowded.remove(number)
        for copy in caches[number].copies { setCounts(copy, true) }
        let all = caches[number].copies.filter { !copies[$0].replica.isDeleting }
            .sorted { copies[$0].replica.name < copies[$1].replica.name }
        guard let cache = caches[number].cache else {
            for copy in all { delete(copy, .cacheGone, &plan) }
            return ([], 0)
        }
        guard !cache.isDeleting else { return ([], 0) }
        if let keeper = keeper(insteadOf: number, cache) {
            caches[number].duplicateOf = keeper
            plan.duplicates[cache.uid] = keeper
            for copy in all { delete(copy, .duplicateMarket, &plan) }
            return ([], 0)
        }
        var kept: [Int] = []
        for copy in all {
            if workers[copies[copy].worker].worker == nil {
                delete(copy, .workerGone, &plan)
            } else if kept.contains(where: { copies[$0].worker == copies[copy].worker }) {
                delete(copy, .duplicateWorker, &plan)
            } else {
                kept.append(copy)
            }
        }
        guard !cache.isHeld else { return ([], 0) }
        var moves = pairs(cache, &kept, &plan)
        func counted() -> [Int] {
            kept.filter { copy in isUsable(copy) && !moves.contains { $0.new == copy } }
        }
        for move in moves { setCounts(move.old, false) }
        let isServed = counted().count { isReady($0) } >= cache.replicas
        if counted().count >= cache.replicas {
            // A copy on a worker that goes is kept while it may be needed; one that failed never is.
            for copy in kept
            where !isUsable(copy) && (isServed || copies[copy].replica.isFailed && !isReady(copy)) {
                delete(copy, .replaced, &plan)
                kept.removeAll { $0 == copy }
            }
        }
        if counted().count > cache.replicas, !kept.contains(where: isUnknown) {
            // Moves are superfluous then; but a ready copy that still waits does so because it is needed: others are not ready.
            for move in moves where !isReady(move.new) {
                delete(move.new, .surplus, &plan)
                kept.removeAll { $0 == move.new }
            }
            moves.removeAll { !kept.contains($0.new) }
            for copy in kept { setCounts(copy, !moves.contains { $0.old == copy }) }
            while counted().count > cache.replicas, let worst = worst(of: counted()) {
                delete(worst, .surplus, &plan)
                kept.removeAll { $0 == worst }
            }
        }
        remember(moves, number)
        note(number, cache, kept)
        return (kept, max(0, cache.replicas - counted().count))
    }

    /// Copies that were made to take another's place: they do so once that costs no ready copy; returns those that wait.
    private mutating func pairs(
        _ cache: PlacementState.Cache, _ kept: inout [Int], _ plan: inout PlacementPlan
    ) -> [(old: Int, new: Int)] {
        var moves: [(old: Int, new: Int)] = []
        for copy in kept where isUsable(copy) {
            guard let replaced = copies[copy].replica.replaces, kept.contains(copy),
                let old = kept.first(where: { copies[$0].replica.reference == replaced }), old != copy,
                isUsable(old)
            else { continue }
            if isReady(copy),
                !isReady(old) && !isUnknown(old) || kept.count(where: { isReady($0) }) > cache.replicas
            {
                delete(old, .moved, &plan)
                kept.removeAll { $0 == old }
            } else if copies[copy].replica.isOverdue, !isReady(copy), !isUnknown(copy) {
                delete(copy, .moveAbandoned, &plan)
                kept.removeAll { $0 == copy }
            } else {
                moves.append((old, copy))
            }
        }
        // A copy that was to take a place may itself have been moved on.
        moves.removeAll { !kept.contains($0.old) || !kept.contains($0.new) }
        return moves
    }

    private mutating func remember(_ moves: [(old: Int, new: Int)], _ number: Int) {
        caches[number].moves = moves.map { (copies[$0.old].worker, copies[$0.new].worker) }
        for move in caches[number].moves { workers[move.to].arriving += 1 }
        movesInFlight += moves.count
    }

    private mutating func note(_ number: Int, _ cache: PlacementState.Cache, _ kept: [Int]) {
        caches[number].isSettled =
            kept.count == cache.replicas && kept.count == caches[number].copies.count
            && caches[number].moves.isEmpty
            && kept.allSatisfy { isReady($0) && workers[copies[$0].worker].worker?.standing == .live }
        let places = kept.map { copies[$0].worker }
        guard
            places.count > 1,
            Set(places.map { field.zone(of: $0) }).count < places.count
                || Set(places.map { field.node(of: $0) }).count < places.count
        else { return }
        crowded.insert(number)
        guard field.nodes.count > 1, !caches[number].isQueued else { return }
        caches[number].isQueued = true
        toSpread.append(number)
    }

    private mutating func setCounts(_ copy: Int, _ counts: Bool) {
        guard copies[copy].counts != counts else { return }
        copies[copy].counts = counts
        let load = caches[copies[copy].cache].cache?.load ?? 0
        add(counts ? load : -load, to: copies[copy].worker)
    }

    private mutating func delete(
        _ copy: Int, _ why: PlacementPlan.DeletionCause, _ plan: inout PlacementPlan
    ) {
        let entry = copies[copy]
        plan.deletes.append(.init(name: entry.replica.name, cacheUID: entry.replica.cacheUID, why: why))
        let load = entry.counts ? caches[entry.cache].cache?.load ?? 0 : 0
        promise(entry.worker, load: -load, copies: -1)
    }

    /// The usable copy to give up first: not ready, then in a crowded zone, on a crowded node, on a loaded worker, then by name.
    func worst(of usable: [Int]) -> Int? {
        func rank(_ copy: Int) -> (Int, Int, Int, Int, String) {
            let worker = copies[copy].worker
            let (inZone, onNode) = crowd(of: worker, usable)
            return (isReady(copy) ? 0 : 1, inZone, onNode, workers[worker].load, copies[copy].replica.name)
        }
        return usable.max { rank($0) < rank($1) }
    }

    /// How many of the copies are in the worker's zone and on its node.
    func crowd(of worker: Int, _ among: [Int]) -> (inZone: Int, onNode: Int) {
        let (zone, node) = (field.zone(of: worker), field.node(of: worker))
        return (
            among.count { field.zone(of: copies[$0].worker) == zone },
            among.count { field.node(of: copies[$0].worker) == node }
        )
    }

    private mutating func grow(_ number: Int, _ kept: [Int], by count: Int, _ plan: inout PlacementPlan) {
        guard let cache = caches[number].cache else { return }
        var counted = kept.filter { isUsable($0) }.map { copies[$0].worker }
        // Also those that go: while they are there, no new one can have their name.
        var taken = caches[number].copies.map { copies[$0].worker }
        for done in 0..<count {
            guard let choice = field.choose(taken: taken, counted: counted) else {
                caches[number].missing = count - done
                plan.missing[cache.uid] = count - done
                short.insert(number)
                return
            }
            plan.creates.append(.init(cacheUID: cache.uid, workerUID: workers[choice.worker].uid))
            promise(choice.worker, load: cache.load, copies: 1)
            taken.append(choice.worker)
            counted.append(choice.worker)
        }
    }
}
