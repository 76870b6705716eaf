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
}
