/// Hands out update ids; the derivative exchanges share one counter among their symbols, so a symbol's ids have holes.
final class IDCounter {
    private(set) var last: Int64
    private var random: SeededRandom

    init(startingAt first: Int64, seed: UInt64) {
        last = first
        random = SeededRandom(seed: seed)
    }

    /// The next id, a few steps after the one before.
    func next() -> Int64 {
        last += 1 + Int64(random.below(30))
        return last
    }
}

/// A snapshot as REST gives it: best levels first, keys signed as in `Level`.
struct MarketSnapshot {
    var id: Int64
    var bids: [Level]
    var asks: [Level]
}

/// One market of one exchange: its book, its ids, its history and where its events come from.
final class Market {
    enum Source {
        case synthetic(SyntheticSource)
        case replay(ReplaySource)
    }

    let symbol: String
    let kind: MarketKind
    let format: DecimalFormat
    private(set) var book: MarketBook
    private(set) var lastID: Int64
    private var history: MarketHistory
    /// The time before an id reset, for questions about ids of then.
    private var before: (history: MarketHistory, book: MarketBook, lastID: Int64)?
    private var source: Source
    private var counter: IDCounter?
    private var random: SeededRandom
    /// The event to come, once a snapshot has shown a part of it.
    private var pending: MarketEvent?
    private var shownID: Int64 = 0
    /// Microseconds between events of a synthetic market; nil if it is quiet.
    let interval: Int64?
    private var nextDue: Int64?

    var isTrading = true
    /// It takes no orders any more, and its book goes on changing as those that stand are cancelled.
    var isCancelOnly = false
    var streams: [DepthStream] = []
    /// Until then (microseconds) events happen but reach nobody.
    var silentUntil: Int64 = 0
    /// Until then (microseconds) snapshots take this long, or are this old.
    var slowUntil: Int64 = 0
    var slowMilliseconds = 0
    var staleUntil: Int64 = 0
    var staleMilliseconds = 0
    /// Until then (microseconds) events say that they happened so much earlier.
    var lateUntil: Int64 = 0
    var lateMilliseconds = 0
    /// For so long a snapshot is given out again; 0 where REST shows the book of the moment.
    var cacheMicroseconds: Int64 = 0
    /// When the contract ends, in milliseconds; nil for markets without an end.
    private(set) lazy var expiry = kind == .options ? Expiry.milliseconds(of: symbol) : nil

    /// A synthetic market; `counter` is the exchange's, if its symbols share one.
    init(
        symbol: String, exchange: Exchange, source: SyntheticSource, ratePerSecond: Double,
        counter: IDCounter?,
        seed: UInt64
    ) {
        var source = source
        self.symbol = symbol
        kind = exchange.kind
        format = source.shape.format
        book = source.initialBook()
        self.source = .synthetic(source)
        self.counter = counter
        var random = SeededRandom(seed: seed ^ 0xA5A5)
        let ownFirst = exchange.firstID + Int64(random.below(1_000_000))
        self.random = random
        lastID = counter?.next() ?? ownFirst
        interval = ratePerSecond > 0 ? max(1, Int64(1_000_000 / ratePerSecond)) : nil
        history = MarketHistory(startingAt: lastID)
    }

    /// A market that replays a recording.
    init(replaying replay: ReplaySource, kind: MarketKind) {
        symbol = replay.recording.symbol
        self.kind = kind
        format = replay.recording.format
        book = replay.recording.book
        source = .replay(replay)
        random = SeededRandom(seed: 1)
        lastID = replay.recording.snapshotID
        interval = nil
        history = MarketHistory(startingAt: lastID)
    }

    /// Starts the flow of events, at the first subscription; later calls change nothing.
    func activate(at microseconds: Int64) {
        switch source {
        case .synthetic:
            guard let interval, nextDue == nil else { return }
            nextDue = microseconds + Int64(random.below(Int(interval)))
        case .replay(var replay):
            replay.begin(at: microseconds)
            source = .replay(replay)
        }
    }

    /// When the next event is due, in microseconds; nil if the market is quiet.
    var due: Int64? {
        guard isTrading else { return nil }
        if case .replay(let replay) = source { return replay.due }
        return nextDue
    }

    /// Moves the due time on after an event; a market that fell more than a second behind does not catch up.
    func advance(now microseconds: Int64) {
        guard let interval, let due = nextDue else { return }
        nextDue = due + interval < microseconds - 1_000_000 ? microseconds : due + interval
    }

    /// Makes the next event happen: to the book and to the history.
    func produce(at microseconds: Int64) -> MarketEvent? {
        guard isTrading, var event = upcoming(at: microseconds) else { return nil }
        pending = nil
        event.time = microseconds / 1000
        for index in event.changes.indices {
            let change = event.changes[index]
            event.changes[index].previous = book.set(change.key, change.quantity)
        }
        lastID = event.last
        history.append(event)
        return event
    }

    private func upcoming(at microseconds: Int64) -> MarketEvent? {
        if let pending { return pending }
        switch source {
        case .replay(var replay):
            let event = replay.next(after: lastID, book, at: microseconds)
            source = .replay(replay)
            return event
        case .synthetic(var synthetic):
            let changes = synthetic.nextChanges(book, count: changesPerEvent)
            source = .synthetic(synthetic)
            guard !changes.isEmpty else { return nil }
            var id = lastID
            let numbered = changes.map { change in
                id = counter?.next() ?? id + 1
                return Change(id: id, key: change.key, quantity: change.quantity)
            }
            return MarketEvent(
                first: numbered[0].id, last: id, previousLast: lastID, time: 0, changes: numbered)
        }
    }

    /// How many levels an event changes.
    var changesPerEvent = 20

    /// The book as REST shows it now: often in the middle of the event that the streams will send next.
    func snapshot(limit: Int, at microseconds: Int64) -> MarketSnapshot {
        guard isTrading else { return MarketSnapshot(id: lastID, bids: [], asks: []) }
        if microseconds < staleUntil {
            let id = history.lastID(at: microseconds / 1000 - Int64(staleMilliseconds))
            if let book = history.book(at: id, from: book) { return cut(book, id, limit) }
        }
        if cacheMicroseconds > 0 {
            let id = history.lastID(at: cacheTime(at: microseconds) / 1000)
            if let book = history.book(at: id, from: book) { return cut(book, id, limit) }
        }
        guard case .synthetic = source, nextDue != nil else { return cut(book, lastID, limit) }
        if pending == nil {
            pending = upcoming(at: microseconds)
            shownID = lastID
        }
        guard let pending else { return cut(book, lastID, limit) }
        let hidden = pending.changes.filter { $0.id > shownID }.count
        let shown = pending.changes.count - hidden
        // A third of the fresh snapshots stand exactly at the end of the last event, or in the hole of ids behind it.
        let more = shown == 0 && random.below(3) == 0 ? 0 : random.below(hidden + 1)
        if shown + more > 0 {
            shownID = pending.changes[shown + more - 1].id
        } else if pending.first - lastID > 2, shownID == lastID, random.below(4) == 0 {
            shownID = pending.first - 1
        }
        return cut(prefix(of: pending, upTo: shownID), shownID, limit)
    }

    /// When the cached snapshot of that time was made: each symbol has its own beat.
    private func cacheTime(at microseconds: Int64) -> Int64 {
        let phase = Int64(truncatingIfNeeded: SeededRandom.seed(3, symbol) % UInt64(cacheMicroseconds))
        return (microseconds - phase) / cacheMicroseconds * cacheMicroseconds + phase
    }

    private func prefix(of event: MarketEvent, upTo id: Int64) -> MarketBook {
        var copy = book
        for change in event.changes where change.id <= id { copy.set(change.key, change.quantity) }
        return copy
    }

    private func cut(_ book: MarketBook, _ id: Int64, _ limit: Int) -> MarketSnapshot {
        MarketSnapshot(id: id, bids: book.bids.top(limit), asks: book.asks.top(limit))
    }

    /// The book, or its best levels, after the last change with an id of at most `id`; nil if that is unknown, too long ago or to come.
    func truth(at id: Int64?, limit: Int = .max) -> MarketSnapshot? {
        let id = id ?? lastID
        var found: MarketBook?
        if id <= lastID {
            found = history.book(at: id, from: book)
        } else if let pending, id <= shownID {
            found = prefix(of: pending, upTo: id)
        }
        if found == nil, let before, id <= before.lastID {
            found = before.history.book(at: id, from: before.book)
        }
        return found.map { cut($0, id, limit) }
    }

    /// Changes a level without an id and without an event: REST and the truth show it, streams never do.
    func corrupt(rank: Int, isAsks: Bool) -> Bool {
        let ladder = isAsks ? book.asks : book.bids
        guard rank < ladder.count else { return false }
        let level = ladder.level(rank: rank)
        book.set(level.key, level.quantity * 2)
        return true
    }

    /// The time that an event carries.
    func eventTime(_ event: MarketEvent) -> Int64 {
        event.time * 1000 < lateUntil ? event.time - Int64(lateMilliseconds) : event.time
    }

    /// Lets the ids begin anew from a small number, as the testnets do now and then.
    func resetIDs(to first: Int64) -> Bool {
        guard case .synthetic = source else { return false }
        before = (history, book, lastID)
        pending = nil
        if counter != nil { counter = IDCounter(startingAt: first, seed: UInt64(first)) }
        lastID = first
        history = MarketHistory(startingAt: first)
        return true
    }
}
