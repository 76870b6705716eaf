/// Messages that change what a connection carries.
package enum SubscriptionMessage {
    /// What is asked for.
    package enum Method: String, Sendable {
        case subscribe = "SUBSCRIBE"
        case unsubscribe = "UNSUBSCRIBE"
    }

    /// More streams than this are not put into one message.
    package static let streamsPerMessage = 200

    /// The text of one message.
    package static func text(_ method: Method, _ streams: some Sequence<String>, id: Int64) -> [UInt8] {
        var bytes = Array("{\"method\":\"\(method.rawValue)\",\"params\":[".utf8)
        for (index, stream) in streams.enumerated() {
            if index > 0 { bytes.append(0x2C) }
            bytes.append(0x22)
            for byte in stream.utf8 where byte >= 0x20 {
                if byte == 0x22 || byte == 0x5C { bytes.append(0x5C) }
                bytes.append(byte)
            }
            bytes.append(0x22)
        }
        bytes.append(contentsOf: "],\"id\":".utf8)
        bytes.append(contentsOf: String(id).utf8)
        bytes.append(0x7D)
        return bytes
    }

    /// All streams in as few messages as the limit allows, numbered from `firstID`.
    package static func batches(
        _ method: Method, _ streams: [String], firstID: Int64, streamsPerMessage: Int = streamsPerMessage
    ) -> [(id: Int64, streams: [String], text: [UInt8])] {
        let size = max(1, streamsPerMessage)
        return stride(from: 0, to: streams.count, by: size).enumerated().map { index, start in
            let part = Array(streams[start..<min(start + size, streams.count)])
            let id = firstID + Int64(index)
            return (id, part, text(method, part, id: id))
        }
    }
}

/// Keeps the messages of one connection within the exchange's limit per second, pings and pongs included.
package struct MessagePacer: Sendable {
    private let perSecond: Int
    private var recent: [ContinuousClock.Instant] = []

    package init(perSecond: Int) { self.perSecond = max(1, perSecond) }

    /// Counts a message as sent now, or tells how long to wait before it may be sent.
    package mutating func send(at now: ContinuousClock.Instant) -> Duration? {
        recent.removeAll { now - $0 >= .seconds(1) }
        if recent.count >= perSecond, let oldest = recent.first { return .seconds(1) - (now - oldest) }
        recent.append(now)
        return nil
    }

    /// Counts a message that had to go out at once, such as a pong.
    package mutating func note(at now: ContinuousClock.Instant) { recent.append(now) }
}
