/// The events of the last while, for a copy that begins now over a snapshot that is older than now.
package struct RecentEvents: Sendable {
    package let period: Duration
    package private(set) var events: EventBuffer

    package init(period: Duration, limit: EventBuffer.Limit) {
        self.period = period
        events = EventBuffer(limit: limit)
    }

    package var byteCount: Int { events.byteCount }

    /// Adds an event and drops those that are too old, or too many.
    package mutating func append(_ event: borrowing DepthEvent, receivedTime: Int64) {
        let oldest = receivedTime - period.components.seconds * 1000
        while let time = events.firstReceivedTime, time < oldest { events.removeFirst() }
        while !events.append(event, receivedTime: receivedTime) {
            guard !events.isEmpty else { return }
            events.removeFirst()
        }
    }

    package mutating func removeAll() { events.removeAll() }
}
