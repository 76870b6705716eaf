import FoundationEssentials
import Telemetry

/// The markets of a burst: made once, shared by the threads that send their events and show their books.
final class BurstMarkets: Sendable {
    private let cycles: [String: Guarded<FrameCycle>]
    /// In upper case, in the order of the listing.
    let symbols: [String]

    /// So many frames are kept ready over all markets; more markets have shorter cycles.
    private static let frameCount = 24_000

    init(_ settings: EngineSettings) throws(SimulatorError) {
        guard let exchange = Exchange.named("binance.com") else { throw SimulatorError("no binance.com") }
        symbols = exchange.syntheticSymbols(count: settings.symbolCount)
        let each = min(1000, max(8, Self.frameCount / max(1, symbols.count)))
        var made: [String: Guarded<FrameCycle>] = [:]
        for symbol in symbols {
            made[symbol] = Guarded(FrameCycle(symbol: symbol, settings: settings, count: each))
        }
        cycles = made
    }

    /// The market of a stream `btcusdt@depth…`, or of a symbol.
    subscript(name: String) -> Guarded<FrameCycle>? {
        cycles[(name.split(separator: "@").first.map(String.init) ?? "").uppercased()]
    }

    static var milliseconds: Int64 { Int64(Date().timeIntervalSince1970 * 1000) }

    /// All markets as `exchangeInfo` lists them, whichever of them it is asked for.
    var list: [UInt8] {
        let entries = symbols.map { "{\"symbol\":\"\($0)\",\"status\":\"TRADING\"}" }
        return Array("{\"symbols\":[\(entries.joined(separator: ","))]}".utf8)
    }

    /// `{"BTCUSDT":1000000000020,…}`: the last id of every market.
    var lastIDs: [UInt8] {
        var writer = ByteWriter(capacity: symbols.count * 40 + 64)
        writer.literal("{")
        for (index, symbol) in symbols.enumerated() {
            if index > 0 { writer.literal(",") }
            writer.string(symbol)
            writer.literal(":")
            writer.integer(cycles[symbol]?.withLock { $0.lastID } ?? 0)
        }
        writer.literal("}")
        return writer.bytes
    }
}

/// How fast events are to go out, as told over `/burst`; shared by all connections.
struct BurstPace: Sendable {
    /// Events per second over all connections; 0 sends as fast as the readers take them.
    var rate = 0.0
    var isSending = true
    /// Whether every frame has a TLS record of its own; else records are filled with frames.
    var isOneRecordPerFrame = false
    /// Counts changes, so that senders notice.
    var version = 0
}
