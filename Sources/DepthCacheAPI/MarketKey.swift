/// Which market of which exchange, in the form in which two of them are compared.
///
/// Only ASCII letters change their case: `ß`, `ı` and CJK symbols stay what they are.
package struct MarketKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let exchange: String
    package let market: String

    package init(exchange: String, market: String) {
        self.exchange = exchange.asciiUppercased
        self.market = market.asciiUppercased
    }

    package var description: String { "\(exchange.asciiLowercased)/\(market)" }

    package static func < (left: MarketKey, right: MarketKey) -> Bool {
        (left.exchange, left.market) < (right.exchange, right.market)
    }
}

extension String {
    /// The text with a–z made A–Z and everything else untouched.
    package var asciiUppercased: String {
        mappingASCII { (0x61...0x7A).contains($0) ? $0 - 32 : $0 }
    }

    /// The text with A–Z made a–z and everything else untouched.
    package var asciiLowercased: String {
        mappingASCII { (0x41...0x5A).contains($0) ? $0 + 32 : $0 }
    }

    /// The text itself if nothing changes; a short one is made in place, not on the heap.
    private func mappingASCII(_ change: (UInt8) -> UInt8) -> String {
        guard utf8.contains(where: { change($0) != $0 }) else { return self }
        return unsafe String(unsafeUninitializedCapacity: utf8.count) { bytes in
            var count = 0
            for byte in utf8 {
                unsafe bytes[count] = change(byte)
                count += 1
            }
            return count
        }
    }
}
