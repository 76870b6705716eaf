/// The four dialects of Binance market data: which fields an event has, how ids are chained, which snapshot limits exist.
enum MarketKind: Sendable {
    case spot, usdMargined, coinMargined, options

    /// Whether events carry `pu`, the last id of the event before; else `U` is that id plus one.
    var chainsByPreviousID: Bool { self != .spot }

    /// The folder of the REST API.
    var restPrefix: String {
        switch self {
        case .spot: "/api/v3"
        case .usdMargined: "/fapi/v1"
        case .coinMargined: "/dapi/v1"
        case .options: "/eapi/v1"
        }
    }

    /// The documented suffixes of diff streams and their intervals; 0 is every event at once.
    var speeds: [String: Int] {
        switch self {
        case .spot: ["depth": 1000, "depth@100ms": 100]
        case .usdMargined, .coinMargined:
            ["depth": 250, "depth@500ms": 500, "depth@100ms": 100, "depth@0ms": 0]
        case .options: ["depth@500ms": 500, "depth@100ms": 100]
        }
    }

    /// The snapshot limits that are accepted; nil means any from 1 on, cut off at 5000.
    var snapshotLimits: [Int]? {
        switch self {
        case .spot: nil
        case .usdMargined, .coinMargined: [5, 10, 20, 50, 100, 500, 1000]
        case .options: [10, 20, 50, 100, 500, 1000]
        }
    }

    var defaultSnapshotLimit: Int {
        switch self {
        case .spot, .options: 100
        case .usdMargined, .coinMargined: 500
        }
    }

    /// The request weight of a snapshot, by the requested limit.
    func snapshotWeight(limit: Int) -> Int {
        switch self {
        case .spot: limit <= 100 ? 5 : limit <= 500 ? 25 : limit <= 1000 ? 50 : 250
        case .usdMargined, .coinMargined: limit <= 50 ? 2 : limit <= 100 ? 5 : limit <= 500 ? 10 : 20
        case .options: limit <= 50 ? 1 : limit <= 100 ? 5 : limit <= 500 ? 10 : 20
        }
    }

    var exchangeInfoWeight: Int { self == .spot ? 20 : 1 }

    var isRoutedByCategory: Bool { self == .usdMargined || self == .options }
}

/// One exchange as the design names it, with the limits that the real one has.
struct Exchange: Sendable {
    var name: String
    var kind: MarketKind
    /// Exchanges with one pool share one request weight budget.
    var pool: String
    var weightPerMinute: Int
    var messagesPerSecond: Int
    var streamsPerConnection: Int
    var pingSeconds: Int
    var pongSeconds: Int
    var firstID: Int64

    private static func spot(_ name: String, pool: String, firstID: Int64) -> Exchange {
        Exchange(
            name: name, kind: .spot, pool: pool, weightPerMinute: 6000, messagesPerSecond: 5,
            streamsPerConnection: 1024, pingSeconds: 20, pongSeconds: 60, firstID: firstID)
    }

    private static func futures(_ name: String, _ kind: MarketKind, pool: String, firstID: Int64) -> Exchange
    {
        Exchange(
            name: name, kind: kind, pool: pool, weightPerMinute: 2400, messagesPerSecond: 10,
            streamsPerConnection: 1024, pingSeconds: 180, pongSeconds: 600, firstID: firstID)
    }

    private static func options(_ name: String, firstID: Int64) -> Exchange {
        Exchange(
            name: name, kind: .options, pool: name, weightPerMinute: 400, messagesPerSecond: 10,
            streamsPerConnection: 200, pingSeconds: 300, pongSeconds: 900, firstID: firstID)
    }

    /// Every exchange that is simulated.
    static let all: [Exchange] = [
        spot("binance.com", pool: "binance.com", firstID: 50_000_000_000),
        spot("binance.com-testnet", pool: "binance.com-testnet", firstID: 4_000_000),
        futures("binance.com-futures", .usdMargined, pool: "binance.com-futures", firstID: 5_000_000_000_000),
        futures(
            "binance.com-futures-testnet", .usdMargined, pool: "binance.com-futures-testnet",
            firstID: 60_000_000_000),
        futures(
            "binance.com-coin_futures", .coinMargined, pool: "binance.com-futures", firstID: 1_000_000_000_000
        ),
        options("binance.com-vanilla-options", firstID: 300_000_000_000),
        options("binance.com-vanilla-options-testnet", firstID: 3_000_000_000),
        spot("binance.us", pool: "binance.us", firstID: 1_900_000_000),
        spot("trbinance.com", pool: "trbinance.com", firstID: 390_000_000),
    ]

    /// Names under which the same exchange is reachable as well.
    static let aliases: [String: String] = [
        "binance.com-margin": "binance.com",
        "binance.com-isolated_margin": "binance.com",
        "binance.com-margin-testnet": "binance.com-testnet",
        "binance.com-isolated_margin-testnet": "binance.com-testnet",
        "binance.tr": "trbinance.com",
    ]

    /// The exchange of that name or alias.
    static func named(_ name: String) -> Exchange? {
        let name = aliases[name] ?? name
        return all.first { $0.name == name }
    }

    /// The symbols that exist without recordings, the five well-known ones first.
    func syntheticSymbols(count: Int) -> [String] {
        let known = ["BTC", "ETH", "BNB", "XRP", "SOL"]
        return (0..<max(0, count)).map { index in
            let number = String(index + 1)
            let base =
                index < known.count
                ? known[index] : "SIM" + String(repeating: "0", count: max(0, 4 - number.count)) + number
            return switch kind {
            case .spot, .usdMargined: base + "USDT"
            case .coinMargined: base + "USD_PERP"
            case .options: base + "-301227-" + (index == 0 ? "60000" : index == 1 ? "3000" : "100") + "-C"
            }
        }
    }

    /// A listed market that is not trading: its snapshot is empty on both sides and its stream silent.
    var brokenSymbol: String {
        switch kind {
        case .spot, .usdMargined: "SIMBREAKUSDT"
        case .coinMargined: "SIMBREAKUSD_PERP"
        case .options: "SIMBREAK-301227-100-C"
        }
    }
}
