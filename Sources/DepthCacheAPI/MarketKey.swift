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
        String(decoding: utf8.map { (0x61...0x7A).contains($0) ? $0 - 32 : $0 }, as: UTF8.self)
    }

    /// The text with A–Z made a–z and everything else untouched.
    package var asciiLowercased: String {
        String(decoding: utf8.map { (0x41...0x5A).contains($0) ? $0 + 32 : $0 }, as: UTF8.self)
    }
}
