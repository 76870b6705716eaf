import Transport

/// One message to the subscribers of a stream, made once for all of them, in each of the two forms that somebody needs.
final class StreamFrame {
    let raw: [UInt8]?
    let combined: [UInt8]?
    /// The same as frames that many sockets send without copying.
    lazy var sharedRaw = raw.map { SharedFrame(text: $0) }
    lazy var sharedCombined = combined.map { SharedFrame(text: $0) }

    init(raw: [UInt8]?, combined: [UInt8]?) {
        self.raw = raw
        self.combined = combined
    }

    /// The text in `writer`, and the same wrapped for combined connections; only the forms that the subscribers need.
    convenience init(
        _ writer: borrowing ByteWriter, prefix: [UInt8], for subscribers: [any StreamSubscriber]
    ) {
        let body = writer.bytes
        let needsRaw = subscribers.contains { !$0.isCombined }
        let needsCombined = subscribers.contains { $0.isCombined }
        self.init(
            raw: needsRaw ? body : nil,
            combined: needsCombined ? prefix + body + [UInt8(ascii: "}")] : nil)
    }
}
