/// One diff stream of one market: its name, its speed and the changes that wait for its next frame.
final class DepthStream {
    let name: String
    /// The market that it belongs to.
    let symbol: String
    /// Microseconds between frames; 0 means that every event goes out at once.
    let interval: Int64
    /// What a frame of a combined connection begins with.
    let combinedPrefix: [UInt8]
    var subscribers: [any StreamSubscriber] = []
    private var waiting: MarketEvent?
    private var positions: [Int64: Int] = [:]
    private(set) var flushDue: Int64 = 0

    init(name: String, symbol: String, milliseconds: Int) {
        self.name = name
        self.symbol = symbol
        // The base of the market is the 100 ms stream: it is not merged again.
        interval = milliseconds <= 100 ? 0 : Int64(milliseconds) * 1000
        combinedPrefix = Array("{\"stream\":\"\(name)\",\"data\":".utf8)
    }

    var hasWaiting: Bool { waiting != nil }

    /// Joins an event to those that wait: the first id of the first, the last id of the last, the newest quantity of each level.
    func merge(_ event: MarketEvent, at microseconds: Int64) {
        if waiting == nil {
            positions.removeAll(keepingCapacity: true)
            waiting = MarketEvent(
                first: event.first, last: event.last, previousLast: event.previousLast, time: event.time,
                changes: [])
            flushDue = (microseconds / interval + 1) * interval
        }
        waiting?.last = event.last
        waiting?.time = event.time
        for change in event.changes {
            if let index = positions[change.key] {
                waiting?.changes[index] = change
            } else {
                positions[change.key] = waiting?.changes.count ?? 0
                waiting?.changes.append(change)
            }
        }
    }

    /// Takes what waits.
    func take() -> MarketEvent? {
        defer { waiting = nil }
        return waiting
    }
}

/// Somebody who gets the frames of streams; knows for itself how to send them.
protocol StreamSubscriber: AnyObject {
    /// Whether frames are wrapped in `stream` and `data`.
    var isCombined: Bool { get }
    func send(_ frame: StreamFrame)
    func drop(reason: String)
    /// Neither sends nor answers anything until then (microseconds), as if the network were gone.
    func stall(until microseconds: Int64)
}
