import Binance
import DepthCacheAPI
import Telemetry
import Transport

/// The request weight of one pool, and who spends it.
struct WeightPool: Sendable {
    var name: String
    var weight: Guarded<RequestWeight>
    var desks: [SnapshotDesk]
}

/// Takes the leader's grants and reports what was used and what waits, at once or when there is something new.
final class WeightEndpoint: Sendable {
    private static let log = Log("weight")
    /// However much happens, reports are so far apart.
    private static let pause: Duration = .milliseconds(20)
    private static let longestHold = 5000

    private struct Held: Sendable {
        var reply: LinkReply
        var loop: EventLoop
        var since: Duration
        var isDue = false
    }

    private struct State {
        var numbers = ReportNumbers()
        var held: [UInt64: Held] = [:]
        var lastHeld: UInt64 = 0
    }

    private struct Gauges {
        var granted, used, limit: Gauge
        var waiting: [Gauge]
    }

    private let pools: [WeightPool]
    private let gauges: [Gauges]
    private let clock: WorkerClock
    private let state = Guarded(State())

    init(pools: [WeightPool], clock: WorkerClock, metrics: MetricRegistry) {
        self.pools = pools
        self.clock = clock
        gauges = pools.map { pool in
            let labels = ["pool": pool.name]
            return Gauges(
                granted: metrics.gauge(
                    "fathom_weight_granted", help: "Request weight that the leader granted for this minute.",
                    labels: labels),
                used: metrics.gauge(
                    "fathom_weight_used", help: "Request weight that this process used of this minute.",
                    labels: labels),
                limit: metrics.gauge(
                    "fathom_weight_limit",
                    help: "Request weight that the exchange allows an address in a minute.",
                    labels: labels),
                waiting: ["first", "depth", "other"].map { urgency in
                    metrics.gauge(
                        "fathom_weight_waiting_orders", help: "Requests that wait for weight, by urgency.",
                        labels: ["pool": pool.name, "urgency": urgency])
                })
        }
    }

    /// Lets the desks tell when they lack weight.
    func start() {
        for desk in pools.flatMap(\.desks) { desk.onLack { [weak self] in self?.tellNews() } }
    }

    func handle(_ request: LinkRequest, _ reply: LinkReply) {
        guard request.peer.role == .controller,
            let grant = try? WeightGrant(decoding: unsafe [UInt8](request.payload))
        else {
            Self.log.warning(
                "Refused a grant of request weight",
                ["peer": request.peer.name, "role": "\(request.peer.role)"])
            return reply.send(
                kind: LinkMessageKind.bookAnswer,
                payload: BookAnswer.badRequest(
                    parameter: "grant", message: "expected a grant from a controller"
                )
                .encoded())
        }
        take(grant)
        let hold = min(grant.holdMilliseconds, Self.longestHold)
        guard hold > 0 else { return send(reply) }
        let number = state.withLock { state in
            state.lastHeld += 1
            state.held[state.lastHeld] = Held(reply: reply, loop: request.loop, since: clock.now)
            return state.lastHeld
        }
        request.loop.schedule(after: .milliseconds(hold)) { [weak self] in self?.release(number) }
        if pools.contains(where: { pool in pool.desks.contains(where: \.lacksWeight) }) { tellNews() }
    }

    /// Takes over what the leader says, unless it says it too late.
    func take(_ grant: WeightGrant) {
        let (now, wall) = (clock.now, WallClock.milliseconds)
        let isFresh = state.withLock { $0.numbers.mayTakeGrant(for: grant.report, now: now) }
        for told in grant.pools {
            guard let pool = pools.first(where: { $0.name == told.name }) else { continue }
            pool.weight.withLock { weight in
                weight.setLimit(told.limit)
                if told.blockedUntil > 0 {
                    weight.block(
                        until: told.blockedUntil - weight.clock.offsetMilliseconds, isBan: told.isBanned)
                }
                guard isFresh else { return }
                weight.grant(told.weight, minute: told.minute, workers: grant.workers, nowMilliseconds: wall)
            }
            for desk in pool.desks { desk.weightChanged() }
        }
    }

    /// What there is to say now.
    func report() -> WeightReport {
        let (now, wall) = (clock.now, WallClock.milliseconds)
        let told = pools.map { pool in
            var report = pool.weight.withLock {
                WeightReport.Pool(name: pool.name, weight: &$0, nowMilliseconds: wall)
            }
            for demands in pool.desks.map({ $0.demands() }) {
                for (index, demand) in demands.enumerated() {
                    report.demands[index].weight += demand.weight
                    report.demands[index].orders += demand.orders
                    report.demands[index].largest = max(report.demands[index].largest, demand.largest)
                }
            }
            return report
        }
        measure(told)
        return WeightReport(number: state.withLock { $0.numbers.next(now: now) }, pools: told)
    }

    /// Answers a leader that waits for news, but not twice within a moment.
    private func tellNews() {
        let now = clock.now
        let due = state.withLock { state in
            var due: [(UInt64, EventLoop, Duration)] = []
            for (number, held) in state.held where !held.isDue {
                state.held[number]?.isDue = true
                due.append((number, held.loop, max(.zero, held.since + Self.pause - now)))
            }
            return due
        }
        for (number, loop, wait) in due {
            loop.execute { [weak self] in
                if wait == .zero {
                    self?.release(number)
                } else {
                    loop.schedule(after: wait) { [weak self] in self?.release(number) }
                }
            }
        }
    }

    private func release(_ number: UInt64) {
        guard let held = state.withLock({ $0.held.removeValue(forKey: number) }) else { return }
        send(held.reply)
    }

    private func send(_ reply: LinkReply) {
        reply.send(kind: LinkMessageKind.weightReport, payload: report().encoded())
    }

    private func measure(_ told: [WeightReport.Pool]) {
        for (gauges, pool) in zip(gauges, told) {
            gauges.granted.set(pool.granted)
            gauges.used.set(pool.spent)
            gauges.limit.set(pool.limit)
            for (gauge, demand) in zip(gauges.waiting, pool.demands) { gauge.set(demand.orders) }
        }
    }
}
