import Binance
import DepthCacheAPI
import TestSupport

@testable import Controller

/// A small world with one exchange, workers that keep real accounts and leaders that plan; time is counted, nothing waits.
struct WeightSharingModel {
    struct Faults {
        var lostMessages = 0.0
        var restarts = 0.0
        var pauses = 0.0
        /// Requests that reach the exchange only long after they were sent.
        var lateRequests = 0.0
        var strangers = false
    }

    private struct Flight {
        var due: Int64
        var run: (inout WeightSharingModel) -> Void
    }

    struct Worker {
        var start: Int
        var offset: Int64
        var weight: RequestWeight
        var numbers = ReportNumbers()
        var waiting = [0, 0, 0]
        var parallel = 0
        var hasAsked = false
    }

    struct Leader {
        var planner = WeightPlanner()
        var startsAt: Int64
        var pausedUntil: Int64 = 0
        var renewedAt: Int64
        var isOver = false
        /// When each worker is asked next, and the last report of each.
        var nextAsk: [Int: Int64] = [:]
        var lastReport: [Int: UInt64] = [:]
    }

    static let costs = [5, 50, 20]
    let limit: Int
    var faults: Faults
    var random: SplitMix64
    /// The exchange's time.
    var now: Int64 = 1_000_000_000_000
    var workers: [Worker] = []
    var leaders: [Leader] = []
    private var flights: [Flight] = []
    /// By minute: what we were charged, what strangers were, and the most that the count was when one of ours was charged.
    var own: [Int64: Int] = [:]
    /// What of ours nobody could have prevented: late requests, and the one by which a worker that just started learns how things stand.
    var excused: [Int64: Int] = [:]
    var strangers: [Int64: Int] = [:]
    /// How many workers started.
    var starts: [Int64: Int] = [:]
    var highest: [Int64: Int] = [:]
    var refusals = 0
    var done = [0, 0, 0]
    private var strangersPerSecond = 0

    init(seed: UInt64, limit: Int, workers count: Int, faults: Faults) {
        random = SplitMix64(seed: seed)
        (self.limit, self.faults) = (limit, faults)
        now += Int64.random(in: 0..<60_000, using: &random)
        for index in 0..<count { workers.append(newWorker(index, start: 1)) }
        leaders = [Leader(startsAt: now, renewedAt: now)]
    }

    private mutating func newWorker(_ index: Int, start: Int) -> Worker {
        Worker(
            start: start, offset: .random(in: -3000...3000, using: &random),
            weight: RequestWeight(limitPerMinute: limit, isShared: true))
    }

    private func id(_ index: Int) -> String { "\(index)-\(workers[index].start)" }
    private mutating func happens(_ chance: Double) -> Bool {
        Double.random(in: 0..<1, using: &random) < chance
    }

    private mutating func after(_ delay: Int64, _ run: @escaping (inout WeightSharingModel) -> Void) {
        flights.append(Flight(due: now + delay, run: run))
    }

    mutating func run(milliseconds: Int64) {
        let end = now + milliseconds
        while now < end {
            now += 20
            let due = flights.filter { $0.due <= now }.sorted { $0.due < $1.due }
            flights.removeAll { $0.due <= now }
            for flight in due { flight.run(&self) }
            if now % 100 < 20 { chance() }
            for index in workers.indices { send(index) }
            for index in leaders.indices { lead(index) }
        }
    }

    // MARK: The exchange

    private mutating func charge(
        _ cost: Int, _ worker: Int, _ start: Int, _ reservation: RequestWeight.Reservation, sent: Int64,
        isExcused: Bool
    ) {
        let minute = now / 60_000
        own[minute, default: 0] += cost
        let total = own[minute, default: 0] + strangers[minute, default: 0]
        if isExcused {
            excused[minute, default: 0] += cost
        } else {
            highest[minute] = max(highest[minute] ?? 0, total)
        }
        let told = now / 1000 * 1000
        let isRefused = total > limit
        if isRefused, !isExcused { refusals += 1 }
        after(.random(in: 5...60, using: &random)) { model in
            guard model.workers[worker].start == start else { return }
            model.workers[worker].parallel -= 1
            let local = model.now + model.workers[worker].offset
            var failure: RequestFailure?
            if isRefused {
                failure = RequestFailure(status: 429, retryAfter: "10", body: [], nowMilliseconds: local)
            }
            model.workers[worker].weight.observe(told: told, precision: 1000, sent: sent, received: local)
            model.workers[worker].weight.observe(
                reservation, usedWeight: total, failure: failure, nowMilliseconds: local)
        }
    }

    private mutating func chance() {
        let minute = now / 60_000
        if now % 60_000 < 100 {
            strangersPerSecond =
                faults.strangers && Bool.random(using: &random)
                ? Int.random(in: 0...limit / 150, using: &random) : 0
        }
        strangers[minute, default: 0] += strangersPerSecond / 10
        for index in workers.indices where happens(faults.restarts) {
            workers[index] = newWorker(index, start: workers[index].start + 1)
            starts[minute, default: 0] += 1
        }
        guard let last = leaders.indices.last, happens(faults.pauses) else { return }
        let pause = Int64.random(in: 100...25_000, using: &random)
        leaders[last].pausedUntil = now + pause
        // Its lease ends 10 s after the last renewal; the next leader begins then, whatever the old one believes.
        let next = leaders[last].renewedAt + 10_000
        if now + pause > next { leaders.append(Leader(startsAt: max(now, next), renewedAt: max(now, next))) }
    }

    // MARK: Workers

    private mutating func send(_ index: Int) {
        for urgency in 0..<3 {
            let cost = Self.costs[urgency]
            while workers[index].waiting[urgency] > 0, workers[index].parallel < 16 {
                let local = now + workers[index].offset
                let answer = workers[index].weight.reserve(
                    cost, urgency == 0 ? .first : .other, nowMilliseconds: local)
                guard case .granted(let reservation) = answer else { return }
                workers[index].waiting[urgency] -= 1
                workers[index].parallel += 1
                done[urgency] += 1
                let start = workers[index].start
                let isLate = happens(faults.lateRequests)
                let isExcused = isLate || (start > 1 && !workers[index].hasAsked)
                workers[index].hasAsked = true
                after(.random(in: isLate ? 500...8000 : 5...90, using: &random)) {
                    $0.charge(cost, index, start, reservation, sent: local, isExcused: isExcused)
                }
            }
        }
    }

    private mutating func report(_ index: Int) -> WeightReport {
        let local = now + workers[index].offset
        let number = workers[index].numbers.next(now: .milliseconds(local))
        var pool = WeightReport.Pool(name: "pool", weight: &workers[index].weight, nowMilliseconds: local)
        for (urgency, count) in workers[index].waiting.enumerated() {
            let cost = Self.costs[urgency]
            pool.demands[urgency] = WeightReport.Demand(
                weight: count * cost, largest: count > 0 ? cost : 0, orders: count)
        }
        return WeightReport(number: number, pools: [pool])
    }

    // MARK: Leaders

    private mutating func lead(_ index: Int) {
        guard !leaders[index].isOver, now >= leaders[index].startsAt, now >= leaders[index].pausedUntil else {
            return
        }
        // A leader looks at its lease only after this round: what it sends in between was decided long ago.
        let isOverdue = now - leaders[index].renewedAt > 7000
        if !isOverdue { leaders[index].renewedAt = now - (now - leaders[index].startsAt) % 2000 }
        let members = workers.indices.map { WeightPlanner.Member(id: id($0), group: "g") }
        leaders[index].planner.setMembers(members)
        if now % 60 < 20 { leaders[index].planner.plan() }
        for worker in workers.indices where leaders[index].nextAsk[worker, default: 0] <= now {
            ask(index, worker)
        }
        leaders[index].isOver = isOverdue
    }

    private mutating func ask(_ leader: Int, _ worker: Int) {
        leaders[leader].nextAsk[worker] = now + 3000
        if happens(faults.lostMessages) { return }
        let target = id(worker)
        let (workerCount, pools) = leaders[leader].planner.grant(for: target)
        let answered = leaders[leader].lastReport[worker] ?? 0
        after(delay()) { model in
            guard model.id(worker) == target else { return }
            let local = model.now + model.workers[worker].offset
            if model.workers[worker].numbers.mayTakeGrant(for: answered, now: .milliseconds(local)) {
                for pool in pools {
                    model.workers[worker].weight.grant(
                        pool.weight, minute: pool.minute, workers: workerCount, nowMilliseconds: local)
                }
            }
            let report = model.report(worker)
            if model.happens(model.faults.lostMessages) { return }
            let delay = model.delay()
            model.after(delay) { model in
                guard !model.leaders[leader].isOver else { return }
                // A paused leader finds the report when it wakes.
                let wait = max(0, model.leaders[leader].pausedUntil - model.now)
                model.after(wait) { model in
                    let now = Duration.milliseconds(model.now)
                    model.leaders[leader].planner.take(report, from: target, now: now)
                    model.leaders[leader].lastReport[worker] = report.number
                    model.leaders[leader].nextAsk[worker] = model.now + 100
                }
            }
        }
    }

    private mutating func delay() -> Int64 {
        happens(faults.lostMessages)
            ? .random(in: 100...6000, using: &random) : .random(in: 1...30, using: &random)
    }
}
