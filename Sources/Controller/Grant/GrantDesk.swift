internal import Binance
internal import DepthCacheAPI
internal import Telemetry

/// Where the reports of all workers and the leader's own use meet the planner.
actor GrantDesk {
    /// The leader uses weight too: it reads the exchanges' markets.
    static let ownID = "leader"
    /// Reports of this time make one plan, so that nobody gets all because his came a moment earlier.
    static let gathering: Duration = .milliseconds(50)
    private static let busyHold: Duration = .milliseconds(200)
    private static let idleHold: Duration = .seconds(1)

    /// The account of one pool, as workers have one too.
    private struct Account {
        var weight: RequestWeight
        /// The limits of the pool's exchanges: as they told, or as documented.
        var limits: [String: Int]
        var demand = WeightReport.Demand()
    }

    private let clock = ContinuousClock.now
    private let metrics: ControllerMetrics
    private let wall: @Sendable () -> Int64
    private var planner = WeightPlanner()
    private var accounts: [String: Account] = [:]
    private var ownNumber: UInt64 = 0
    private var hasNews = false

    init(exchanges: ExchangeDirectory, metrics: ControllerMetrics, wall: @escaping @Sendable () -> Int64) {
        self.metrics = metrics
        self.wall = wall
        for exchange in exchanges.all {
            let limit = exchange.weightPerMinute
            accounts[
                exchange.weightPool,
                default: Account(
                    weight: RequestWeight(limitPerMinute: limit, isShared: true), limits: [:])
            ].limits[exchange.name] = limit
        }
        for pool in accounts.keys {
            if let least = accounts[pool]?.limits.values.min() { accounts[pool]?.weight.setLimit(least) }
        }
    }

    private var now: Duration { ContinuousClock.now - clock }

    /// Takes in who is there; the leader itself is one of them.
    func setMembers(_ members: [WeightPlanner.Member], ownGroup: String) {
        planner.setMembers(members + [WeightPlanner.Member(id: Self.ownID, group: ownGroup)])
    }

    // MARK: Workers

    func take(_ report: WeightReport, from id: String) {
        planner.take(report, from: id, now: now)
        hasNews = true
    }

    /// What to send to a member next, in answer to its report.
    func grant(for id: String, report: UInt64) -> WeightGrant {
        plan()
        let (workers, pools) = planner.grant(for: id)
        let hold = planner.isBusy(id) ? Self.busyHold : Self.idleHold
        return WeightGrant(
            report: report, holdMilliseconds: Int(hold / .milliseconds(1)), workers: workers, pools: pools)
    }

    private func plan() {
        guard hasNews else { return }
        hasNews = false
        planner.take(ownReport(), from: Self.ownID, now: now)
        planner.plan()
        let own = planner.grant(for: Self.ownID)
        for pool in own.pools {
            accounts[pool.name]?.weight.setLimit(pool.limit)
            accounts[pool.name]?.weight.grant(
                pool.weight, minute: pool.minute, workers: own.workers, nowMilliseconds: wall())
            if pool.blockedUntil > 0, let offset = accounts[pool.name]?.weight.clock.offsetMilliseconds {
                accounts[pool.name]?.weight.block(until: pool.blockedUntil - offset, isBan: pool.isBanned)
            }
        }
        for facts in planner.facts() { metrics.weight(facts) }
    }

    private func ownReport() -> WeightReport {
        ownNumber += 1
        let now = wall()
        let pools = accounts.keys.sorted().compactMap { name -> WeightReport.Pool? in
            guard var account = accounts[name] else { return nil }
            var pool = WeightReport.Pool(name: name, weight: &account.weight, nowMilliseconds: now)
            pool.demands[0] = account.demand
            accounts[name] = account
            return pool
        }
        return WeightReport(number: ownNumber, pools: pools)
    }

    // MARK: The leader's own requests

    /// Sets weight aside for a request of the leader; nil: ask again later.
    func reserve(_ exchange: Exchange, weight: Int) -> RequestWeight.Reservation? {
        let pool = exchange.weightPool
        accounts[pool]?.demand = WeightReport.Demand()
        guard let permission = accounts[pool]?.weight.reserve(weight, .first, nowMilliseconds: wall()) else {
            return nil
        }
        hasNews = true
        if case .granted(let reservation) = permission { return reservation }
        accounts[pool]?.demand = WeightReport.Demand(weight: weight, largest: weight, orders: 1)
        return nil
    }

    /// What a reply to the leader told.
    struct Reply: Sendable {
        var usedWeight: Int?
        var failure: RequestFailure?
        var date: String?
        var serverTime: Int64?
        var limit: Int?
        var sent: Int64
    }

    func observe(_ exchange: Exchange, _ reservation: RequestWeight.Reservation, _ reply: Reply?) {
        let (pool, now) = (exchange.weightPool, wall())
        if let reply {
            accounts[pool]?.weight.observe(date: reply.date, sent: reply.sent, received: now)
            if let time = reply.serverTime {
                accounts[pool]?.weight.observe(told: time, sent: reply.sent, received: now)
            }
            if let limit = reply.limit { read(limit, exchange) }
        }
        accounts[pool]?.weight.observe(
            reservation, usedWeight: reply?.usedWeight, failure: reply?.failure, nowMilliseconds: now)
        hasNews = true
    }

    /// The lowest limit of a pool's exchanges counts for all of them, and none above what the operator set.
    private func read(_ limit: Int, _ exchange: Exchange) {
        // What is no limit, or more than can be reckoned with, is not handed on.
        guard limit > 0, var account = accounts[exchange.weightPool] else { return }
        account.limits[exchange.name] = exchange.weightLimit(told: limit)
        account.weight.setLimit(account.limits.values.min() ?? limit)
        planner.setLimit(account.weight.limitPerMinute, pool: exchange.weightPool)
        accounts[exchange.weightPool] = account
    }
}
