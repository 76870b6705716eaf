package import K8sClient

/// The markets of an exchange, as the leader publishes them in ConfigMaps `fathom-markets-<exchange>`.
///
/// One market a line, `BTCUSDT` for one that trades and `BTCUSDT BREAK` for one that does not. A list that does not fit
/// one ConfigMap goes on in `…-1`, `…-2`; each part names the revision that it belongs to.
package struct MarketList: Equatable, Sendable {
    package var exchange: String
    /// Market name in upper case to its status, such as `TRADING`.
    package var markets: [String: String]

    package init(exchange: String, markets: [String: String]) {
        self.exchange = exchange
        self.markets = Dictionary(
            markets.map { ($0.key.asciiUppercased, $0.value) }, uniquingKeysWith: { first, _ in first })
    }

    package static let tradingStatus = "TRADING"
    package static let componentLabel = "markets"
    /// The label selector that finds all published lists.
    package static let selector =
        "\(LabelKey.applicationName)=fathom,\(LabelKey.applicationComponent)=\(componentLabel)"
    /// Well under the 1 MiB that an object may have.
    ///
    /// The chart lets the controller write four parts of each exchange's list.
    static let partByteCount = 400_000

    package func contains(_ market: String) -> Bool { markets[market.asciiUppercased] != nil }

    /// The ConfigMaps that hold the list.
    package func configMaps(namespace: String, partByteCount: Int = Self.partByteCount) -> [ConfigMap] {
        var parts: [String] = [""]
        for (market, status) in markets.sorted(by: { $0.key < $1.key }) {
            let line = status == Self.tradingStatus ? "\(market)\n" : "\(market) \(status)\n"
            if let last = parts.last, !last.isEmpty, last.utf8.count + line.utf8.count > partByteCount {
                parts.append("")
            }
            parts[parts.count - 1] += line
        }
        let revision = ObjectNames.h8(parts.joined())
        return parts.enumerated().map { index, text in
            ConfigMap(
                metadata: ObjectMeta(
                    name: ObjectNames.markets(exchange: exchange, part: index), namespace: namespace,
                    labels: [
                        LabelKey.applicationName: "fathom",
                        LabelKey.applicationComponent: Self.componentLabel,
                    ]),
                data: [
                    "exchange": exchange, "markets": text, "part": "\(index)", "parts": "\(parts.count)",
                    "revision": revision,
                ])
        }
    }

    /// Puts the lists together that `configMaps` hold, by exchange in lower case; lists with a part missing are left out.
    package static func read(_ configMaps: [ConfigMap]) -> [String: MarketList] {
        var complete: [String: MarketList] = [:]
        let heads = configMaps.filter { $0.data["part"] == "0" }
        for head in heads {
            guard let exchange = head.data["exchange"], let count = head.data["parts"].flatMap({ Int($0) })
            else { continue }
            let parts = configMaps.filter {
                $0.data["exchange"] == exchange && $0.data["revision"] == head.data["revision"]
            }
            guard Set(parts.compactMap { $0.data["part"] }).count == count else { continue }
            var markets: [String: String] = [:]
            for line in parts.flatMap({ ($0.data["markets"] ?? "").split(separator: "\n") }) {
                let words = line.split(separator: " ")
                guard let market = words.first else { continue }
                markets[String(market)] = words.count > 1 ? String(words[1]) : tradingStatus
            }
            complete[exchange.asciiLowercased] = MarketList(exchange: exchange, markets: markets)
        }
        return complete
    }
}
