internal import DepthCacheAPI

/// Decides which replicas to create and delete: pure, deterministic, and content with what is placed.
///
/// Copies of a cache go to different workers, in different zones and on different nodes while there are any, to the least
/// loaded worker first. A placed copy only goes when it is surplus, when its worker is lost or draining and enough others
/// are ready, or when a copy that was made to take its place is ready.
///
/// It remembers what it was told, so that a change costs what the change touches. `docs/placement.md` tells the rules.
struct PlacementPlanner: Sendable {
    struct WorkerEntry: Sendable {
        var uid: String
        /// Nil: only copies speak of it.
        var worker: PlacementState.Worker?
        /// What its copies cost, without those that are about to leave.
        var load = 0
        var copies: [Int] = []
        /// How many copies it has, with what was promised.
        var population = 0
        /// Copies on their way to it from other workers.
        var arriving = 0
    }

    struct CacheEntry: Sendable {
        /// Nil: only copies speak of it.
        var cache: PlacementState.Cache?
        var uid: String
        var copies: [Int] = []
        var missing = 0
        var duplicateOf: String?
        /// Copies that are being moved: from which worker to which.
        var moves: [(from: Int, to: Int)] = []
        /// As many ready copies as desired on live workers, and nothing under way: may be moved.
        var isSettled = false
        /// It waits in `toSpread`.
        var isQueued = false
    }

    struct CopyEntry: Sendable {
        var replica: PlacementState.Replica
        var cache: Int
        var worker: Int
        /// Whether it counts as load; one that is about to leave does not.
        var counts = true
    }

    /// What a plan promised and the cluster has not shown yet; taken back before the next plan.
    struct Promise: Sendable {
        var worker: Int
        var load: Int
        var copies: Int
        var arriving: Int
    }

    var workers: [WorkerEntry] = []
    var caches: [CacheEntry] = []
    var copies: [CopyEntry] = []
    private var workerNumbers: [String: Int] = [:]
    private var cacheNumbers: [String: Int] = [:]
    private var copyNumbers: [String: Int] = [:]
    private var freeWorkers: [Int] = []
    private var freeCaches: [Int] = []
    private var freeCopies: [Int] = []
    var markets: [MarketKey: [Int]] = [:]
    var dirty: Set<Int> = []
    /// Caches with fewer copies than desired: looked at again when a worker becomes live.
    var short: Set<Int> = []
    /// The caches, by uid, that the last plan looked at.
    var lookedAt: [String] = []
    var promises: [Promise] = []
    /// Workers that may have nothing left to be remembered for.
    private var emptied: Set<Int> = []
    var field = WorkerField()
    var isFieldStale = true
    /// Caches of which two copies share a zone or a node.
    var crowded: Set<Int> = []
    /// Those of them that a better place may exist for.
    var toSpread: [Int] = []
    var mustLookAtAllCrowded = false
    var movesInFlight = 0
    let balance: BalanceLimits

    init(balance: BalanceLimits = BalanceLimits()) { self.balance = balance }

    /// What has to be written for `state`.
    static func plan(_ state: PlacementState, balance: BalanceLimits = BalanceLimits()) -> PlacementPlan {
        var planner = PlacementPlanner(balance: balance)
        for worker in state.workers { planner.set(worker) }
        for cache in state.caches { planner.set(cache) }
        for replica in state.replicas { planner.set(replica) }
        return planner.plan()
    }

    // MARK: What is there

    mutating func set(_ worker: PlacementState.Worker) {
        let number = workerNumber(worker.uid)
        let before = workers[number].worker
        guard before != worker else { return }
        workers[number].worker = worker
        mustLookAtAllCrowded = true
        if before?.name != worker.name || before?.node != worker.node || before?.zone != worker.zone {
            isFieldStale = true
        } else if !isFieldStale {
            field.set(number, load: worker.standing == .live ? workers[number].load : nil)
        }
        guard
            before?.standing != worker.standing || before?.node != worker.node || before?.zone != worker.zone
        else { return }
        for copy in workers[number].copies { dirty.insert(copies[copy].cache) }
        if worker.standing == .live { dirty.formUnion(short) }
    }

    mutating func removeWorker(uid: String) {
        guard let number = workerNumbers[uid], workers[number].worker != nil else { return }
        workers[number].worker = nil
        isFieldStale = true
        for copy in workers[number].copies { dirty.insert(copies[copy].cache) }
        emptied.insert(number)
    }

    mutating func set(_ cache: PlacementState.Cache) {
        let number = cacheNumber(cache.uid)
        let before = caches[number].cache
        guard before != cache else { return }
        caches[number].cache = cache
        if before?.load != cache.load, !caches[number].copies.isEmpty {
            let change = cache.load - (before?.load ?? 0)
            for copy in caches[number].copies where copies[copy].counts {
                add(change, to: copies[copy].worker)
            }
            var rest = cache
            rest.load = before?.load ?? cache.load
            // What it costs does not say where it belongs.
            if rest == before { return }
        }
        if before?.market != cache.market {
            if let before { leave(before.market, number) }
            markets[cache.market, default: []].append(number)
        }
        touch(market: cache.market, number)
    }

    mutating func removeCache(uid: String) {
        guard let number = cacheNumbers[uid], let cache = caches[number].cache else { return }
        for copy in caches[number].copies where copies[copy].counts {
            add(-cache.load, to: copies[copy].worker)
        }
        forgetMoves(number)
        caches[number].cache = nil
        leave(cache.market, number)
        short.remove(number)
        dropIfEmpty(cache: number)
    }

    mutating func set(_ replica: PlacementState.Replica) {
        if let number = copyNumbers[replica.name] {
            let known = copies[number].replica
            if known == replica { return }
            if known.cacheUID == replica.cacheUID, known.workerUID == replica.workerUID {
                copies[number].replica = replica
                dirty.insert(copies[number].cache)
                return
            }
            removeReplica(name: replica.name)
        }
        let (cache, worker) = (cacheNumber(replica.cacheUID), workerNumber(replica.workerUID))
        let entry = CopyEntry(replica: replica, cache: cache, worker: worker)
        let number = freeCopies.popLast() ?? copies.count
        if number < copies.count { copies[number] = entry } else { copies.append(entry) }
        copyNumbers[replica.name] = number
        caches[cache].copies.append(number)
        workers[worker].copies.append(number)
        workers[worker].population += 1
        add(caches[cache].cache?.load ?? 0, to: worker)
        dirty.insert(cache)
    }

    mutating func removeReplica(name: String) {
        guard let number = copyNumbers.removeValue(forKey: name) else { return }
        let copy = copies[number]
        if copy.counts { add(-(caches[copy.cache].cache?.load ?? 0), to: copy.worker) }
        caches[copy.cache].copies.removeAll { $0 == number }
        workers[copy.worker].copies.removeAll { $0 == number }
        workers[copy.worker].population -= 1
        freeCopies.append(number)
        dirty.insert(copy.cache)
        dropIfEmpty(cache: copy.cache)
        emptied.insert(copy.worker)
    }

    /// Looks at the cache once more, because what was planned for it was not done.
    mutating func touch(cacheUID: String) {
        if let number = cacheNumbers[cacheUID] { dirty.insert(number) }
    }

    /// What is known of a cache's placement since the last plan.
    func standing(cacheUID: String) -> (missing: Int, duplicateOf: String?, moves: Int) {
        guard let number = cacheNumbers[cacheUID] else { return (0, nil, 0) }
        return (caches[number].missing, caches[number].duplicateOf, caches[number].moves.count)
    }

    /// The caches, by uid, that have fewer copies than they want.
    var shortOfCopies: [String] { short.map { caches[$0].uid } }

    // MARK: Keeping the books

    mutating func add(_ load: Int, to worker: Int) {
        guard load != 0 else { return }
        workers[worker].load += load
        if !isFieldStale, workers[worker].worker?.standing == .live {
            field.set(worker, load: workers[worker].load)
        }
    }

    private mutating func touch(market: MarketKey, _ number: Int) {
        dirty.insert(number)
        dirty.formUnion(markets[market] ?? [])
    }

    private mutating func leave(_ market: MarketKey, _ number: Int) {
        markets[market]?.removeAll { $0 == number }
        if markets[market]?.isEmpty == true { markets[market] = nil }
        touch(market: market, number)
    }

    mutating func forgetMoves(_ cache: Int) {
        movesInFlight -= caches[cache].moves.count
        for move in caches[cache].moves { workers[move.to].arriving -= 1 }
        caches[cache].moves = []
    }

    private mutating func workerNumber(_ uid: String) -> Int {
        if let number = workerNumbers[uid] { return number }
        let number = freeWorkers.popLast() ?? workers.count
        let entry = WorkerEntry(uid: uid)
        if number < workers.count { workers[number] = entry } else { workers.append(entry) }
        workerNumbers[uid] = number
        return number
    }

    private mutating func cacheNumber(_ uid: String) -> Int {
        if let number = cacheNumbers[uid] { return number }
        let number = freeCaches.popLast() ?? caches.count
        let entry = CacheEntry(uid: uid)
        if number < caches.count { caches[number] = entry } else { caches.append(entry) }
        cacheNumbers[uid] = number
        return number
    }

    /// Takes back what the last plan promised, and forgets workers that nothing speaks of any more.
    mutating func takeBackPromises() {
        for promise in promises {
            add(-promise.load, to: promise.worker)
            workers[promise.worker].population -= promise.copies
            workers[promise.worker].arriving -= promise.arriving
        }
        promises = []
        for number in emptied
        where workers[number].worker == nil && workers[number].copies.isEmpty && workers[number].arriving == 0
        {
            workerNumbers[workers[number].uid] = nil
            freeWorkers.append(number)
        }
        emptied = []
    }

    private mutating func dropIfEmpty(cache number: Int) {
        guard caches[number].cache == nil, caches[number].copies.isEmpty else { return }
        forgetMoves(number)
        crowded.remove(number)
        cacheNumbers[caches[number].uid] = nil
        dirty.remove(number)
        freeCaches.append(number)
    }
}
