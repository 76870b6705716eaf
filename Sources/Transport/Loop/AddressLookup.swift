internal import Dispatch
internal import Glibc

/// Finds addresses by name away from the loops: libwebsockets would block the loop's thread while the name servers are silent.
enum AddressLookup {
    private static let queue = DispatchQueue(label: "fathom.lookup", attributes: .concurrent)

    /// Calls `found` on the loop with the numeric addresses of `host` (numeric ones at once), or with what is wrong.
    static func find(
        _ host: String, on loop: EventLoop,
        _ found: @escaping @Sendable (Result<[String], TransportError>) -> Void
    ) {
        let bare = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        if case .success(let addresses) = resolve(bare, flags: AI_NUMERICHOST) {
            return found(.success(addresses))
        }
        queue.async {
            let result = resolve(bare, flags: AI_ADDRCONFIG)
            loop.execute { found(result) }
        }
    }

    private static func resolve(_ host: String, flags: Int32) -> Result<[String], TransportError> {
        var hints = unsafe addrinfo()
        unsafe hints.ai_flags = flags
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = unsafe getaddrinfo(host, nil, &hints, &list)
        guard code == 0 else {
            let words = unsafe String(cString: gai_strerror(code))
            return .failure(TransportError("no address for \(host): \(words)", source: .network))
        }
        defer { unsafe freeaddrinfo(list) }
        var addresses: [String] = []
        var next = unsafe list
        while let entry = unsafe next {
            unsafe next = entry.pointee.ai_next
            var text = [CChar](repeating: 0, count: 64)
            let isNamed = unsafe getnameinfo(
                entry.pointee.ai_addr, entry.pointee.ai_addrlen, &text, 64, nil, 0, NI_NUMERICHOST)
            guard isNamed == 0 else { continue }
            addresses.append(
                String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
        }
        return addresses.isEmpty
            ? .failure(TransportError("no address for \(host)", source: .network)) : .success(addresses)
    }
}
