internal import Transport

/// The deterministic names of objects that programs create.
package enum ObjectNames {
    /// The name of a DepthCache made over REST: `slug(exchange)-slug(market)-h8`.
    package static func depthCache(exchange: String, market: String) -> String {
        let identity = "\(exchange.asciiLowercased)/\(market.asciiUppercased)"
        return [slug(exchange), slug(market), h8(identity)].filter { !$0.isEmpty }.joined(separator: "-")
    }

    /// The name of the replica of a cache on a worker: up to 40 characters of the cache's name and h8 of both uids.
    package static func replica(cacheName: String, cacheUID: String, workerUID: String) -> String {
        let stem = trimmed(cacheName.prefix(40))
        let tail = h8("\(cacheUID)/\(workerUID)")
        return stem.isEmpty ? tail : "\(stem)-\(tail)"
    }

    /// The name of the ConfigMap with (a part of) an exchange's markets.
    package static func markets(exchange: String, part: Int = 0) -> String {
        let stem = "fathom-markets-\(slug(exchange))"
        return part == 0 ? stem : "\(stem)-\(part)"
    }

    /// ASCII lower case, runs of other characters become `-`, trimmed, at most 40 characters.
    package static func slug(_ text: String) -> String {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x61...0x7A: bytes.append(byte)
            case 0x41...0x5A: bytes.append(byte + 32)
            default: if bytes.last != 0x2D { bytes.append(0x2D) }
            }
        }
        return trimmed(trimmed(String(decoding: bytes, as: UTF8.self)).prefix(40))
    }

    /// 8 hexadecimal digits of the SHA-256 of `text`.
    package static func h8(_ text: String) -> String {
        String(Digest.hex(Digest.sha256(Array(text.utf8))).prefix(8))
    }

    /// Without the characters that a name may not begin or end with.
    private static func trimmed(_ text: some StringProtocol) -> String {
        let isEdge: (Character) -> Bool = { $0 == "-" || $0 == "." }
        var rest = Substring(text)
        while let first = rest.first, isEdge(first) { rest.removeFirst() }
        while let last = rest.last, isEdge(last) { rest.removeLast() }
        return String(rest)
    }
}
