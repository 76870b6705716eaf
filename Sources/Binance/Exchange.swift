package import Books

/// The kinds of venues that differ in wire format, paths or id chain.
package enum ExchangeFamily: Sendable, Hashable, CaseIterable {
    case spot, usdMargined, coinMargined, options, us, tr

    /// How its events are linked.
    package var sequenceRule: SequenceRule {
        switch self {
        case .spot, .us, .tr: .contiguous
        case .usdMargined, .coinMargined, .options: .linked
        }
    }
}

/// One exchange as users name it, with everything that depends on it.
///
/// The only table of such facts.
package struct Exchange: Sendable, Equatable {
    /// A snapshot size that can be asked for, and what it costs.
    package struct SnapshotLimit: Sendable, Equatable {
        package var levels: Int
        package var weight: Int
    }

    package var name: String
    package var family: ExchangeFamily
    /// The exchange whose books this one shares; itself unless it is an alias.
    package var marketDataName: String
    /// Which credentials fit it.
    package var accountGroup: String
    /// Exchanges of one pool spend one budget of request weight.
    package var weightPool: String
    package var restBaseURL: String
    /// Ends before `/stream` and `/ws`.
    package var webSocketBaseURL: String
    /// Where Binance TR lists its markets; nil where `exchangeInfo` of `restBaseURL` does.
    package var marketListBaseURL: String? = nil
    package var caFile: String?
    package var apiPath: String
    /// Ascending by levels.
    package var snapshotLimits: [SnapshotLimit]
    package var weightPerMinute: Int
    /// Whether the operator set `weightPerMinute`: what the exchange tells then counts only where it is less.
    package var isWeightOverridden = false
    package var exchangeInfoWeight: Int
    package var streamsPerConnection: Int
    package var messagesPerSecond: Int
    /// The offered feed speeds in milliseconds, the fastest documented one first.
    package var updateIntervals: [Int]
    /// The speed that a stream without a suffix has; nil if every stream needs one.
    package var plainInterval: Int?

    package var sequenceRule: SequenceRule { family.sequenceRule }
    package var defaultUpdateInterval: Int { updateIntervals[0] }

    /// The first, cheap snapshot: the most levels for the least weight.
    package var cheapestSnapshotLimit: Int {
        let least = snapshotLimits.map(\.weight).min() ?? 0
        return snapshotLimits.last { $0.weight == least }?.levels ?? 100
    }

    /// The request weight per minute that counts once the exchange has told its own.
    package func weightLimit(told: Int) -> Int {
        isWeightOverridden ? min(told, weightPerMinute) : told
    }

    /// What a snapshot of `limit` levels costs.
    package func snapshotWeight(limit: Int) -> Int {
        (snapshotLimits.first { $0.levels >= limit } ?? snapshotLimits.last)?.weight ?? 1
    }

    /// A market's name as it is compared and sent by REST: ASCII letters in upper case, others untouched.
    package static func canonicalMarket(_ market: String) -> String {
        String(
            decoding: market.utf8.map { (0x61...0x7A).contains($0) ? $0 - 0x20 : $0 }, as: UTF8.self)
    }

    /// The name of a market's depth stream; nil if the exchange does not offer that interval.
    package func depthStream(_ market: String, intervalMilliseconds: Int? = nil) -> String? {
        let interval = intervalMilliseconds ?? defaultUpdateInterval
        guard updateIntervals.contains(interval) else { return nil }
        let symbol = String(
            decoding: market.utf8.map { (0x41...0x5A).contains($0) ? $0 + 0x20 : $0 }, as: UTF8.self)
        return interval == plainInterval ? "\(symbol)@depth" : "\(symbol)@depth@\(interval)ms"
    }

    /// Where a connection for combined streams is opened; streams are then asked for by message.
    package var streamURL: String { webSocketBaseURL + "/stream" }
}

extension Exchange {
    private static let spotLimits = [
        (5, 5), (10, 5), (20, 5), (50, 5), (100, 5), (500, 25), (1000, 50), (5000, 250),
    ]
    private static let futuresLimits = [(5, 2), (10, 2), (20, 2), (50, 2), (100, 5), (500, 10), (1000, 20)]
    private static let optionsLimits = [(10, 1), (20, 1), (50, 1), (100, 5), (500, 10), (1000, 20)]

    private static func spotLike(
        _ name: String, _ rest: String, _ stream: String, family: ExchangeFamily = .spot, group: String? = nil
    ) -> Exchange {
        Exchange(
            name: name, family: family, marketDataName: name, accountGroup: group ?? name, weightPool: name,
            restBaseURL: rest, webSocketBaseURL: stream, apiPath: "/api/v3",
            snapshotLimits: spotLimits.map { SnapshotLimit(levels: $0.0, weight: $0.1) },
            weightPerMinute: 6000,
            exchangeInfoWeight: 20, streamsPerConnection: 1024, messagesPerSecond: 5,
            updateIntervals: [100, 1000], plainInterval: 1000)
    }

    private static func futures(
        _ name: String, _ rest: String, _ stream: String, _ path: String, group: String, pool: String
    ) -> Exchange {
        Exchange(
            name: name, family: path == "/dapi/v1" ? .coinMargined : .usdMargined, marketDataName: name,
            accountGroup: group, weightPool: pool, restBaseURL: rest, webSocketBaseURL: stream, apiPath: path,
            snapshotLimits: futuresLimits.map { SnapshotLimit(levels: $0.0, weight: $0.1) },
            weightPerMinute: 2400, exchangeInfoWeight: 1, streamsPerConnection: 1024, messagesPerSecond: 10,
            updateIntervals: [100, 250, 500], plainInterval: 250)
    }

    private static func options(_ name: String, _ rest: String, _ stream: String, group: String) -> Exchange {
        Exchange(
            name: name, family: .options, marketDataName: name, accountGroup: group, weightPool: name,
            restBaseURL: rest, webSocketBaseURL: stream, apiPath: "/eapi/v1",
            snapshotLimits: optionsLimits.map { SnapshotLimit(levels: $0.0, weight: $0.1) },
            weightPerMinute: 400,
            exchangeInfoWeight: 1, streamsPerConnection: 200, messagesPerSecond: 10,
            updateIntervals: [100, 500], plainInterval: nil)
    }

    /// Books come from the global engine's host, which lists the global markets; the Turkish ones are listed elsewhere.
    private static var turkish: Exchange {
        var exchange = spotLike(
            "trbinance.com", "https://api.binance.me", "wss://stream-cloud.binance.tr", family: .tr,
            group: "binance.tr")
        exchange.marketListBaseURL = "https://www.binance.tr"
        exchange.exchangeInfoWeight = 1
        return exchange
    }

    private func alias(_ name: String) -> Exchange {
        var copy = self
        copy.name = name
        return copy
    }

    /// All exchanges with the addresses and limits of their documents.
    package static let documented: [Exchange] = {
        let live = spotLike("binance.com", "https://api.binance.com", "wss://stream.binance.com:9443")
        let testnet = spotLike(
            "binance.com-testnet", "https://testnet.binance.vision", "wss://stream.testnet.binance.vision")
        return [
            live, live.alias("binance.com-margin"), live.alias("binance.com-isolated_margin"), testnet,
            testnet.alias("binance.com-margin-testnet"), testnet.alias("binance.com-isolated_margin-testnet"),
            futures(
                "binance.com-futures", "https://fapi.binance.com", "wss://fstream.binance.com/public",
                "/fapi/v1", group: "binance.com", pool: "binance.com-futures"),
            futures(
                "binance.com-futures-testnet", "https://testnet.binancefuture.com",
                "wss://fstream.binancefuture.com/public", "/fapi/v1", group: "binance.com-futures-testnet",
                pool: "binance.com-futures-testnet"),
            futures(
                "binance.com-coin_futures", "https://dapi.binance.com", "wss://dstream.binance.com",
                "/dapi/v1",
                group: "binance.com", pool: "binance.com-futures"),
            options(
                "binance.com-vanilla-options", "https://eapi.binance.com", "wss://fstream.binance.com/public",
                group: "binance.com"),
            options(
                "binance.com-vanilla-options-testnet", "https://testnet.binancefuture.com",
                "wss://fstream.binancefuture.com/public", group: "binance.com-futures-testnet"),
            spotLike("binance.us", "https://api.binance.us", "wss://stream.binance.us:9443", family: .us),
            turkish,
        ]
    }()
}

/// The exchanges of this installation: the documented ones with what an override file changed.
package struct ExchangeDirectory: Sendable {
    private var byName: [String: Exchange]

    package init(_ exchanges: [Exchange] = Exchange.documented) {
        byName = [:]
        for exchange in exchanges { byName[exchange.name] = exchange }
    }

    package subscript(name name: String) -> Exchange? { byName[name] }

    /// All names, sorted.
    package var names: [String] { byName.keys.sorted() }

    package var all: [Exchange] { names.compactMap { byName[$0] } }

    /// Changes one exchange and, if it is the origin of aliases, those too.
    mutating func update(_ name: String, _ change: (inout Exchange) -> Void) {
        for (key, exchange) in byName where key == name || exchange.marketDataName == name {
            var changed = exchange
            change(&changed)
            byName[key] = changed
        }
    }
}
