import Binance
import Books

/// How far the sides of a book are known, as a count of levels.
struct BookReach: Equatable, Sendable {
    struct Side: Equatable, Sendable {
        var levels: Int
        var isWhole: Bool
        /// The price up to which it is complete; nil if it is whole.
        var to: FixedDecimal?
    }
    var bids: Side
    var asks: Side

    /// The levels of the side that shows fewer, of those that are not known whole; nil if both are.
    var shortest: Int? { [bids, asks].filter { !$0.isWhole }.map(\.levels).min() }

    init(bids: Side, asks: Side) {
        self.bids = bids
        self.asks = asks
    }

    init(_ book: borrowing OrderBook) {
        bids = Side(levels: book.bids.coveredCount, isWhole: book.bids.isWhole, to: book.bids.coveredTo)
        asks = Side(levels: book.asks.coveredCount, isWhole: book.asks.isWhole, to: book.asks.coveredTo)
    }
}

/// What all replicas that share a book ask of it.
struct BookDemand: Equatable, Sendable {
    /// The depths asked for, each once, ascending.
    var depths: [Int]
    /// The shortest interval that anyone asked for; nil: no timed refresh.
    var refreshInterval: Duration?

    var depth: Int { depths.last ?? 1 }

    init(depths: some Sequence<Int>, refreshInterval: Duration? = nil) {
        self.depths = Set(depths).sorted()
        self.refreshInterval = refreshInterval
    }

    init(depth: Int) { self.init(depths: [depth]) }
}

/// How much of a book a reply to a request has shown.
struct ReplySize: Equatable, Sendable {
    var limit: Int
    /// The levels of its shorter side, of those that the limit cut; nil: none was cut.
    var levels: Int?

    init(limit: Int, levels: Int?) {
        self.limit = limit
        self.levels = levels
    }

    init(_ snapshot: borrowing BookSnapshot, limit: Int) {
        let cut = [snapshot.bids.count, snapshot.asks.count]
            .filter { !SideCoverage.isWhole(levelCount: $0, limit: limit) }
        self.init(limit: limit, levels: cut.min())
    }
}

/// Decides when one book wants another snapshot, and how deep a one.
///
/// A cheap shallow one comes first; then the smallest offered that shows twice the depth, merged beside the served book;
/// then again before the price walks out of what is known, or on the clock. Pure: values and times in, wishes out.
struct DepthPolicy: Sendable {
    struct Wish: Equatable, Sendable {
        enum Motive: Sendable {
            /// Fewer levels are known than the snapshot that should be there shows.
            case deepen
            /// The clock says so.
            case refresh
        }
        var motive: Motive
        var limit: Int
    }

    /// A book fetches for want of levels at most this often.
    static let thinInterval: Duration = .seconds(60)
    /// So long may levels be missing before it counts as more than a passing lack, and so long be there again.
    static let patience: Duration = .seconds(120)

    /// The snapshot sizes that the exchange offers, ascending, and the cheapest of them that shows most.
    private let limits: [Int]
    let firstLimit: Int
    var demand: BookDemand {
        didSet { if oldValue.refreshInterval != demand.refreshInterval { refreshAt = nil } }
    }

    /// The largest limit of the replies that are in the book; 0: none is.
    private(set) var fetchedLimit = 0
    /// How many levels the last of them gave on its shorter side that was cut; nil: none was cut.
    private var replyLevels: Int?
    private var isUnderWay = false
    private var notBefore: Duration = .zero
    private var thinNotBefore: Duration = .zero
    private var refreshAt: Duration?
    private var backoff = Self.freshBackoff
    private var shortfalls: [Int: Shortfall] = [:]

    private static var freshBackoff: RetryBackoff { RetryBackoff(first: .seconds(1), longest: .seconds(60)) }

    init(exchange: Exchange, demand: BookDemand) {
        limits = exchange.snapshotLimits.map(\.levels)
        firstLimit = exchange.cheapestSnapshotLimit
        self.demand = demand
    }

    /// The smallest offered limit that shows twice `depth`, else the largest; never less than the cheapest one shows.
    func limit(forDepth depth: Int) -> Int {
        max(firstLimit, limits.first { $0 >= depth * 2 } ?? limits.last ?? firstLimit)
    }

    var targetLimit: Int { limit(forDepth: demand.depth) }

    /// So many levels are as good as an answer at the target limit: with fewer, more would be fetched soon.
    var leastLevels: Int { min(demand.depth, targetLimit * 7 / 10) }

    /// How many levels a side may keep; what is beyond goes, and the bound moves inwards.
    var levelLimit: Int { max(targetLimit, demand.depth) * 2 }

    // MARK: What happened

    /// The book has started over from the exchange's first reply.
    mutating func began(with reply: ReplySize, now: Duration) {
        fetchedLimit = 0
        notBefore = .zero
        adopted(reply, now: now)
    }

    /// The book has started over from another worker's copy, which reaches so far.
    mutating func began(from reach: BookReach, now: Duration) {
        let levels = reach.shortest ?? .max
        let limit = levels >= leastLevels ? targetLimit : limits.last { $0 <= levels } ?? firstLimit
        began(with: ReplySize(limit: limit, levels: reach.shortest), now: now)
    }

    /// A snapshot was merged.
    mutating func adopted(_ reply: ReplySize, now: Duration) {
        isUnderWay = false
        backoff.reset()
        fetchedLimit = max(fetchedLimit, reply.limit)
        replyLevels = reply.levels
        refreshAt = nil
        for depth in shortfalls.keys { shortfalls[depth]?.isNews = true }
    }

    /// The wish was passed on.
    mutating func asked(_ wish: Wish, now: Duration) {
        isUnderWay = true
        thinNotBefore = now + Self.thinInterval
    }

    /// What was asked for did not come; asked again after a wait that grows.
    mutating func failed(now: Duration) {
        guard isUnderWay else { return }
        isUnderWay = false
        notBefore = now + backoff.next()
        thinNotBefore = min(thinNotBefore, notBefore)
    }

    // MARK: What follows from it

    /// What a synchronised book with this reach wants now; nil: nothing.
    ///
    /// `random` from 0 to 1 spreads timed refreshes.
    mutating func wish(reach: BookReach, now: Duration, random: Double) -> Wish? {
        if let interval = demand.refreshInterval, refreshAt == nil {
            refreshAt = now + interval * (0.9 + 0.2 * random)
        }
        guard !isUnderWay, now >= notBefore else { return nil }
        let target = targetLimit
        if wantsLevels(reach, target, now) { return Wish(motive: .deepen, limit: target) }
        if demand.refreshInterval != nil, let refreshAt, refreshAt <= now {
            return Wish(motive: .refresh, limit: target)
        }
        return nil
    }

    private func wantsLevels(_ reach: BookReach, _ target: Int, _ now: Duration) -> Bool {
        guard let shortest = reach.shortest else { return false }
        if fetchedLimit < target { return shortest < target }
        guard thinNotBefore <= now, let replyLevels else { return false }
        return shortest < min(demand.depth, replyLevels * 7 / 10)
    }

    // MARK: What it amounts to

    /// Whether a depth that was asked for is there.
    enum Standing: Equatable, Sendable {
        case full
        /// The deep snapshot has yet to come.
        case shallow
        /// Fewer levels are covered than wanted: so many of the offered `limit`.
        case below(limit: Int)
    }

    private struct Shortfall: Sendable {
        var since: Duration
        var isDeclared = false
        /// A snapshot came in since the last look.
        var isNews = false
        var healedSince: Duration?
    }

    /// Looks at the reach once more and says how each depth stands.
    mutating func standings(reach: BookReach, now: Duration) -> [Int: Standing] {
        shortfalls = shortfalls.filter { demand.depths.contains($0.key) }
        var standings: [Int: Standing] = [:]
        for depth in demand.depths { standings[depth] = standing(depth, reach.shortest ?? .max, now) }
        return standings
    }

    private mutating func standing(_ depth: Int, _ reached: Int, _ now: Duration) -> Standing {
        let target = limit(forDepth: depth)
        guard reached < depth else {
            guard var shortfall = shortfalls[depth], shortfall.isDeclared else {
                shortfalls[depth] = nil
                return .full
            }
            let healedSince = shortfall.healedSince ?? now
            // Few levels more or less at the edge are no news: only a snapshot or a while says that the depth is back.
            guard now - healedSince < Self.patience, !shortfall.isNews else {
                shortfalls[depth] = nil
                return .full
            }
            shortfall.healedSince = healedSince
            shortfalls[depth] = shortfall
            return .below(limit: target)
        }
        var shortfall = shortfalls[depth] ?? Shortfall(since: now)
        shortfall.healedSince = nil
        shortfall.isNews = false
        let isAllThereIs = fetchedLimit >= target && (replyLevels ?? .max) < depth
        if isAllThereIs || now - shortfall.since >= Self.patience { shortfall.isDeclared = true }
        shortfalls[depth] = shortfall
        if shortfall.isDeclared { return .below(limit: target) }
        return fetchedLimit < target ? .shallow : .full
    }
}
