/// What a worker answers to a load query: how many messages its replicas bring (docs/link.md, kind 29).
package struct LoadReport: Equatable, Sendable {
    /// No worker keeps more.
    package static let most = 100_000

    /// Messages per second of each replica, by its name; only those that were measured for long enough.
    package var rates: [String: Double]

    package init(rates: [String: Double]) { self.rates = rates }

    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = [LinkPayload.version]
        let told = rates.sorted { $0.key < $1.key }.prefix(Self.most)
        bytes.appendLittleEndian(UInt32(told.count))
        for (replica, rate) in told {
            bytes.appendText(replica, atMost: LinkPayload.longestName)
            bytes.appendLittleEndian(UInt32(clamping: Int((min(rate, 4_000_000) * 1000).rounded())))
        }
        return bytes
    }

    package init(decoding bytes: [UInt8]) throws(LinkPayloadError) {
        var reader = PayloadReader(bytes)
        try reader.version()
        let count = Int(try reader.integer(UInt32.self, "number of replicas"))
        guard count <= Self.most else {
            throw LinkPayloadError("expected at most \(Self.most) replicas, was \(count)")
        }
        rates = [:]
        for _ in 0..<count {
            let replica = try reader.text("replica", atMost: LinkPayload.longestName)
            rates[replica] = Double(try reader.integer(UInt32.self, "rate")) / 1000
        }
        try reader.end()
    }
}
