/// The events of the last minute, newest last, kept so that the book can be shown as it was after any of their ids.
///
/// Instead of copies of the book it keeps the quantity that each change replaced: going back is undoing.
struct MarketHistory: Sendable {
    private var events: [MarketEvent] = []
    private var head = 0
    private var changeCount = 0
    /// The oldest id that can still be shown.
    private(set) var floor: Int64
    private let keptMilliseconds: Int64
    private let keptChanges: Int

    init(startingAt id: Int64, keptMilliseconds: Int64 = 65_000, keptChanges: Int = 160_000) {
        floor = id
        self.keptMilliseconds = keptMilliseconds
        self.keptChanges = keptChanges
    }

    var kept: ArraySlice<MarketEvent> { events[head...] }

    /// Adds an event whose changes carry the quantities that they replaced.
    mutating func append(_ event: MarketEvent) {
        events.append(event)
        changeCount += event.changes.count
        while head < events.count - 1,
            event.time - events[head].time > keptMilliseconds || changeCount > keptChanges
        {
            changeCount -= events[head].changes.count
            floor = events[head].last
            events[head].changes = []
            head += 1
        }
        if head > 1024, head * 2 > events.count {
            events.removeFirst(head)
            head = 0
        }
    }

    /// The book after the last change with an id of at most `id`, going back from `current`; nil if that is too long ago.
    func book(at id: Int64, from current: MarketBook) -> MarketBook? {
        guard id >= floor else { return nil }
        var book = current
        for event in kept.reversed() {
            guard event.last > id else { return book }
            for change in event.changes.reversed() where change.id > id {
                book.set(change.key, change.previous)
            }
        }
        return book
    }

    /// The last id that was already published at `time`.
    func lastID(at time: Int64) -> Int64 {
        for event in kept.reversed() where event.time <= time { return event.last }
        return floor
    }
}
