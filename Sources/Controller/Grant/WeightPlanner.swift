internal import Binance
internal import DepthCacheAPI

/// Divides the request weight of each minute among the programs that leave by one address; pure: reports in, grants out.
///
/// What it must keep, whatever messages are lost and whoever restarts: in each minute, all that members have used or may still use, plus what
/// strangers use, is at most the usable part of the limit. So a grant is booked when it is planned, whether it arrives or not, and stays booked until
/// its minute ends; members that do not report are booked with what they may use without asking.
struct WeightPlanner: Sendable {
    /// One start of a program that uses weight.
    struct Member: Hashable, Sendable {
        /// The incarnation: what an earlier start was granted stays booked beside what its successor gets.
        var id: String
        var group: String
    }

    /// What a member has used or may use in one minute.
    fileprivate struct Booking: Sendable {
        var granted = 0
        var spent = 0
        var settled = 0
        var header = 0
        var share = 0
        var demands: [WeightReport.Demand] = []

        /// All that the member can make of the minute.
        var committed: Int { max(granted, spent, share) }
    }

    fileprivate struct Ledger: Sendable {
        var bookings: [String: Booking] = [:]
        /// The latest time at the exchange that a report of this minute told, and when by our clock one came.
        var time: Int64 = 0
        var touched: Duration = .zero
    }

    private struct Key: Hashable { var group, pool: String }

    fileprivate struct PoolState: Sendable {
        /// The first minute that was reported to this planner: another leader may have granted in it.
        var firstMinute: Int64
        var ledgers: [Int64: Ledger] = [:]
        /// In which minute each member is by its last report.
        var minutes: [String: Int64] = [:]
        var time: Int64 = 0
        var blockedUntil: Int64 = 0
        var isBanned = false
        /// The lowest limit that members believe, for as long as nobody has read it.
        var believedLimit = 0

        var newest: Ledger { ledgers.values.max { $0.touched < $1.touched } ?? Ledger() }
    }

    /// A minute is remembered for longer than any grant in it can be of use, by our clock.
    static let memory: Duration = .seconds(130)

    private var members: [String: Member] = [:]
    /// Those that were there at the beginning and have not reported yet.
    private var unheard: Set<String>?
    private var began: Duration?
    /// Each member's share as it last reported it, by pool.
    private var shares: [String: [String: Int]] = [:]
    private var pools: [Key: PoolState] = [:]
    /// The limits as `exchangeInfo` told them.
    private var limits: [String: Int] = [:]

    // MARK: In

    /// Takes in who shares which address now; the first call tells who may hold grants of an earlier leader.
    mutating func setMembers(_ new: [Member]) {
        let old = members
        for index in pools.indices {
            pools.values[index].minutes = pools.values[index].minutes.filter { id, _ in
                new.contains { $0.id == id }
            }
        }
        members = Dictionary(new.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        unheard = unheard?.intersection(members.keys) ?? Set(members.keys)
        shares = shares.filter { members[$0.key] != nil || old[$0.key] != nil }
    }

    mutating func setLimit(_ limit: Int, pool: String) { limits[pool] = limit }

    /// Takes in a member's report, which came at `now` by a clock that never jumps.
    mutating func take(_ report: WeightReport, from id: String, now: Duration) {
        guard let member = members[id] else { return }
        unheard?.remove(id)
        began = began ?? now
        // By now all that an earlier leader can have granted is over.
        if now - (began ?? now) > Self.memory { unheard = [] }
        for pool in report.pools {
            shares[id, default: [:]][pool.name] = pool.share
            // Who does not know the exchange's time cannot have a grant, and must not be believed on what minute it is.
            guard pool.time > 0 else { continue }
            let key = Key(group: member.group, pool: pool.name)
            var state = pools[key] ?? PoolState(firstMinute: pool.minute)
            state.take(pool, from: id, now: now)
            pools[key] = state
        }
    }

    // MARK: Out

    /// Books grants for what waits, as far as there is room.
    mutating func plan() {
        for (key, state) in pools where state.time >= state.blockedUntil {
            for minute in Set(state.minutes.values)
            where minute > state.firstMinute || unheard?.isEmpty != false {
                guard let ledger = state.ledgers[minute] else { continue }
                let next = planned(key, state, ledger)
                pools[key]?.ledgers[minute] = next
            }
        }
    }

    private func limit(_ pool: String, _ state: PoolState) -> Int { limits[pool] ?? state.believedLimit }

    /// What may still be booked in a minute.
    private func room(_ key: Key, _ ledger: Ledger, limit: Int) -> Int {
        let header = ledger.bookings.values.map(\.header).max() ?? 0
        let settled = ledger.bookings.values.reduce(0) { $0 + $1.settled }
        // With requests under way this is more than strangers have used; it comes right when they are answered.
        let strangers = max(0, header - settled)
        var committed = ledger.bookings.values.reduce(0) { $0 + $1.committed }
        for member in members.values where member.group == key.group && ledger.bookings[member.id] == nil {
            committed += shares[member.id]?[key.pool] ?? RequestWeight.share(limit, workers: 1)
        }
        return RequestWeight.allowance(limit) - strangers - committed
    }

    private func planned(_ key: Key, _ state: PoolState, _ old: Ledger) -> Ledger {
        var ledger = old
        let limit = limit(key.pool, state)
        let isLate = RequestWeight.isLate(ledger.time)
        let kept = isLate ? 0 : limit * RequestWeight.firstCopyPercent / 100
        let ids = ledger.bookings.keys.filter { members[$0]?.group == key.group }.sorted()
        for urgency in 0..<3 {
            // In slices, so that who reports a moment later is not left with nothing.
            var room = room(key, ledger, limit: limit) - (urgency == 0 ? 0 : kept)
            room = min(room, limit / (urgency == 0 ? 4 : 8))
            var given: [String: Int] = [:]
            while true {
                let wanting = ids.compactMap { id in
                    ledger.bookings[id].flatMap { step($0, urgency, isLate) }.map {
                        (id: id, step: $0.step, cost: $0.cost)
                    }
                }
                let least = wanting.filter { $0.cost <= room }.min {
                    given[$0.id, default: 0] < given[$1.id, default: 0]
                }
                guard let next = least else {
                    // The less urgent get nothing while the more urgent lack something.
                    if wanting.isEmpty { break }
                    return ledger
                }
                ledger.bookings[next.id]?.granted += next.step
                given[next.id, default: 0] += next.step
                room -= next.cost
            }
        }
        return ledger
    }

    /// By how much a member's grant should grow to let one more order of this urgency go, and what that takes of the room.
    private func step(_ booking: Booking, _ urgency: Int, _ isLate: Bool) -> (step: Int, cost: Int)? {
        guard booking.demands.count > urgency, booking.demands[urgency].weight > 0 else { return nil }
        let wanted = booking.spent + booking.demands[0...urgency].reduce(0) { $0 + $1.weight }
        let usable = urgency == 0 || isLate ? max(booking.granted, booking.share) : booking.granted
        guard wanted > usable else { return nil }
        let unit = max(1, min(booking.demands[urgency].largest, wanted - usable))
        var next = booking
        next.granted = usable + unit
        return (next.granted - booking.granted, next.committed - booking.committed)
    }

    /// What a member is to be told.
    func grant(for id: String) -> (workers: Int, pools: [WeightGrant.Pool]) {
        guard let member = members[id] else { return (1, []) }
        let workers = members.values.count { $0.group == member.group }
        let grants = pools.filter { $0.key.group == member.group }.sorted { $0.key.pool < $1.key.pool }.map {
            key, state in
            let minute = state.minutes[id]
            let booking = minute.flatMap { state.ledgers[$0]?.bookings[id] }
            let isBlocked = state.blockedUntil > state.time
            return WeightGrant.Pool(
                name: key.pool, minute: minute ?? 0, weight: booking?.granted ?? 0,
                limit: limits[key.pool] ?? 0,
                blockedUntil: isBlocked ? state.blockedUntil : 0, isBanned: isBlocked && state.isBanned)
        }
        return (workers, grants)
    }

    /// Whether somebody in the member's group uses or wants weight, so that news matter soon.
    func isBusy(_ id: String) -> Bool {
        guard let group = members[id]?.group else { return false }
        return pools.contains { key, state in
            key.group == group
                && state.newest.bookings.values.contains { booking in
                    booking.spent > booking.settled || booking.demands.contains { $0.weight > 0 }
                }
        }
    }

    /// The newest minute of one pool, for metrics.
    struct Facts: Sendable, Equatable {
        var group, pool: String
        var limit, granted, spent, strangers: Int
        /// Orders that wait, by urgency.
        var waiting: [Int]
    }

    func facts() -> [Facts] {
        pools.map { key, state in
            let all = state.newest.bookings.values
            func sum(_ number: (Booking) -> Int) -> Int { all.reduce(0) { $0 + number($1) } }
            return Facts(
                group: key.group, pool: key.pool, limit: limit(key.pool, state), granted: sum(\.granted),
                spent: sum(\.spent), strangers: max(0, (all.map(\.header).max() ?? 0) - sum(\.settled)),
                waiting: (0..<3).map { urgency in
                    sum { $0.demands.count > urgency ? $0.demands[urgency].orders : 0 }
                })
        }
    }
}

extension WeightPlanner.PoolState {
    fileprivate mutating func take(_ report: WeightReport.Pool, from id: String, now: Duration) {
        time = report.time
        if report.blockedUntil > blockedUntil {
            (blockedUntil, isBanned) = (report.blockedUntil, report.isBanned)
        }
        if report.limit > 0 {
            believedLimit = believedLimit == 0 ? report.limit : min(believedLimit, report.limit)
        }
        ledgers = ledgers.filter { now - $0.value.touched <= WeightPlanner.memory }
        if let last = minutes[id], last != report.minute { ledgers[last]?.bookings[id]?.demands = [] }
        minutes[id] = report.minute
        var ledger = ledgers[report.minute] ?? WeightPlanner.Ledger()
        var booking = ledger.bookings[id] ?? WeightPlanner.Booking()
        // A grant that the report knows and we do not is an earlier leader's.
        booking.granted = max(booking.granted, report.granted)
        booking.spent = max(booking.spent, report.spent)
        booking.settled = max(booking.settled, report.settled)
        booking.header = max(booking.header, report.header)
        booking.share = max(booking.share, report.share)
        let isOpen = RequestWeight.minute(report.time) == report.minute && RequestWeight.isInside(report.time)
        booking.demands = isOpen ? report.demands : []
        ledger.bookings[id] = booking
        (ledger.time, ledger.touched) = (max(ledger.time, report.time), now)
        ledgers[report.minute] = ledger
    }
}
