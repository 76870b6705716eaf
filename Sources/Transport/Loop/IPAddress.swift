internal import Glibc

/// An IPv4 or IPv6 address; the former as the latter, mapped.
package struct IPAddress: Hashable, Sendable {
    package let bytes: [UInt8]

    /// Nil for anything but an address; a port behind it is not taken.
    package init?(_ text: some StringProtocol) {
        let text = String(text)
        var bytes = [UInt8](repeating: 0, count: 16)
        guard unsafe inet_pton(AF_INET, text, &bytes) == 1 else {
            guard unsafe inet_pton(AF_INET6, text, &bytes) == 1 else { return nil }
            self.bytes = bytes
            return
        }
        self.bytes = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF] + bytes[..<4]
    }

    init(bytes: [UInt8]) { self.bytes = bytes }

    var isIPv4: Bool { bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF }

    /// As people write it.
    var text: String {
        guard !isIPv4 else { return bytes[12...].map(String.init).joined(separator: ".") }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard unsafe inet_ntop(AF_INET6, bytes, &text, socklen_t(text.count)) != nil else { return "" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    package var isLoopback: Bool {
        isIPv4 ? bytes[12] == 127 : bytes[..<15].allSatisfy { $0 == 0 } && bytes[15] == 1
    }

    /// The client that an address, written as text, belongs to.
    package static func client(of text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: ":")), let address = IPAddress(text) else { return text }
        return address.client
    }

    /// Host and port as they stand in URLs: brackets around an IPv6 address.
    package static func authority(_ host: String, _ port: Int) -> String {
        host.utf8.contains(UInt8(ascii: ":")) && host.first != "[" ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// Where programs of the same machine reach who listens on `host`: on loopback, if it is any address.
    package static func reachable(_ host: String) -> String {
        ["0.0.0.0", "::"].contains(host) ? "127.0.0.1" : host
    }

    /// One name for each client: an IPv4 address, and for IPv6 the network of 64 bits in which a client may take any.
    package var client: String {
        guard !isIPv4 else { return text }
        let groups = stride(from: 0, to: 8, by: 2).map {
            String(Int(bytes[$0]) << 8 | Int(bytes[$0 + 1]), radix: 16)
        }
        return groups.joined(separator: ":") + "::/64"
    }
}

/// Addresses with the same first bits, such as `10.0.0.0/8`.
package struct IPNetwork: Equatable, Sendable {
    private let address: IPAddress
    private let length: Int

    /// `ADDRESS/LENGTH`, or one address; nil for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPAddress(parts[0]) else { return nil }
        let most = parts[0].contains(":") ? 128 : 32
        var length = most
        if parts.count > 1 {
            guard parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(parts[1]),
                number <= most
            else { return nil }
            length = number
        }
        self.address = address
        self.length = length + 128 - most
    }

    package func contains(_ other: IPAddress) -> Bool {
        for index in 0..<16 {
            let bits = min(8, max(0, length - 8 * index))
            let mask = ~UInt8(truncatingIfNeeded: 0xFF >> bits)
            if address.bytes[index] & mask != other.bytes[index] & mask { return false }
        }
        return true
    }
}
