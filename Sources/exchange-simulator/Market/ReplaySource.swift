/// Gives the events of a recording one after another, at the recorded pace times a factor.
struct ReplaySource: Sendable {
    let recording: Recording
    let pace: Double
    /// Whether the recording begins anew after its last event, with ids that go on.
    let loops: Bool
    private var index = 0
    private var idOffset: Int64 = 0
    /// Microseconds at which the running round began; nil before the first subscription.
    private var start: Int64?

    init(recording: Recording, pace: Double, loops: Bool) {
        self.recording = recording
        self.pace = pace
        self.loops = loops
    }

    mutating func begin(at microseconds: Int64) { start = start ?? microseconds }

    /// When the next event is due, in microseconds; nil if none will come.
    var due: Int64? {
        guard let start else { return nil }
        if index < recording.events.count {
            return start + Int64(Double(recording.events[index].offset) * 1000 / pace)
        }
        guard loops, let last = recording.events.last else { return nil }
        return start + Int64(Double(last.offset + 1000) * 1000 / pace)
    }

    /// The next event; after the last one, if it loops, an event that leads back to the recorded snapshot.
    mutating func next(after lastID: Int64, _ book: MarketBook, at microseconds: Int64) -> MarketEvent? {
        guard index < recording.events.count else {
            guard loops, !recording.events.isEmpty else { return nil }
            let changes = book.changes(to: recording.book)
            let last = lastID + Int64(max(1, changes.count))
            idOffset = last - recording.snapshotID
            index = 0
            start = microseconds + Int64(100_000 / pace)
            return MarketEvent(
                first: lastID + 1, last: last, previousLast: lastID, time: 0,
                changes: changes.map { Change(id: last, key: $0.key, quantity: $0.quantity) })
        }
        let event = recording.events[index]
        let isJoined = index == 0 && idOffset != 0
        index += 1
        let first = isJoined ? lastID + 1 : event.first + idOffset
        let last = event.last + idOffset
        return MarketEvent(
            first: first, last: last,
            previousLast: isJoined ? lastID : event.previousLast.map { $0 + idOffset } ?? first - 1, time: 0,
            changes: event.levels.map { Change(id: last, key: $0.key, quantity: $0.quantity) })
    }
}
