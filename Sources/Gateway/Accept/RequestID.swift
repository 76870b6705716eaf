internal import Synchronization
internal import Transport

/// The id that joins an answer to what the logs say of it: the client's own, if it sent a usable one, or ours.
struct RequestIDs: Sendable {
    /// The longest that is taken from a client.
    static let longest = 64
    static let header: StaticString = "x-request-id"
    private static let last = Atomic<UInt64>(0)

    private let prefix: String

    /// `prefix` tells the gateways apart.
    init(prefix: String) { self.prefix = prefix }

    /// An id of our own, short enough to live without memory of its own.
    func next() -> String {
        let number = Self.last.wrappingAdd(1, ordering: .relaxed).newValue
        return "\(prefix)-\(String(number, radix: 36))"
    }

    /// What a client sent, unless it is too long or has characters that could mean something to somebody.
    static func accepted(_ sent: String?) -> String? {
        guard let sent, (1...longest).contains(sent.utf8.count), sent.utf8.allSatisfy(isPlain) else {
            return nil
        }
        return sent
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
            UInt8(ascii: ":"), UInt8(ascii: "="), UInt8(ascii: "/"), UInt8(ascii: "+"):
            true
        default: false
        }
    }
}
