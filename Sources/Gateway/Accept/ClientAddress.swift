internal import Transport

/// Who a request comes from: the peer of its connection, or whom the trusted proxies in front of us name.
struct ClientAddress: Sendable {
    var trusted: [IPNetwork]

    /// The last address of `X-Forwarded-For` that is no trusted proxy's; what stands before it anybody may have written.
    func client(peer: String, forwardedFor: () -> String) -> String {
        guard !trusted.isEmpty, let address = IPAddress(peer), isTrusted(address) else {
            return IPAddress.client(of: peer)
        }
        var last = address
        for part in forwardedFor().split(separator: ",").reversed() {
            let text = part.drop { $0 == " " }.prefix { $0 != " " }
            guard let next = IPAddress(text) else { break }
            last = next
            if !isTrusted(next) { break }
        }
        return last.client
    }

    private func isTrusted(_ address: IPAddress) -> Bool { trusted.contains { $0.contains(address) } }
}
