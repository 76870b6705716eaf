import FoundationEssentials

@testable import exchange_simulator

/// A depth cache by the letter of the exchange's text: slow, obvious and strict.
struct NaiveClient {
    struct Frame: Decodable {
        var e: String
        var E: Int64
        var s: String
        var U: Int64
        var u: Int64
        var pu: Int64?
        var b: [[String]]
        var a: [[String]]
    }
    struct Snapshot: Decodable {
        var lastUpdateId: Int64
        var bids: [[String]]
        var asks: [[String]]
    }
    private struct Wrapped: Decodable {
        var stream: String
        var data: Frame
    }
    enum Problem: Error, Equatable { case gap(Int64), snapshotTooOld }

    private(set) var id: Int64
    private(set) var bids: [String: String] = [:]
    private(set) var asks: [String: String] = [:]
    private(set) var applied = 0
    private let chainsByPrevious: Bool
    private var lastSeen: Int64?

    init(_ snapshot: Snapshot, kind: MarketKind) {
        id = snapshot.lastUpdateId
        chainsByPrevious = kind.chainsByPreviousID
        for level in snapshot.bids { bids[level[0]] = level[1] }
        for level in snapshot.asks { asks[level[0]] = level[1] }
    }

    static func snapshot(_ bytes: [UInt8]) throws -> Snapshot {
        try JSONDecoder().decode(Snapshot.self, from: Data(bytes))
    }

    static func frame(_ bytes: [UInt8]) throws -> Frame {
        if let wrapped = try? JSONDecoder().decode(Wrapped.self, from: Data(bytes)) { return wrapped.data }
        return try JSONDecoder().decode(Frame.self, from: Data(bytes))
    }

    mutating func take(_ frame: Frame) throws {
        let previous = chainsByPrevious ? frame.pu ?? -1 : frame.U - 1
        guard frame.u > id else { return }
        if let lastSeen {
            guard previous == lastSeen else { throw Problem.gap(frame.U) }
        } else {
            guard previous <= id else { throw Problem.snapshotTooOld }
        }
        for level in frame.b { bids[level[0]] = Self.isZero(level[1]) ? nil : level[1] }
        for level in frame.a { asks[level[0]] = Self.isZero(level[1]) ? nil : level[1] }
        id = frame.u
        lastSeen = frame.u
        applied += 1
    }

    private static func isZero(_ text: String) -> Bool { text.allSatisfy { "0.".contains($0) } }

    /// Whether this book is exactly that one.
    func equals(_ truth: MarketSnapshot?, _ format: DecimalFormat) -> Bool {
        guard let truth else { return false }
        func texts(_ levels: [Level]) -> [String: String] {
            var result: [String: String] = [:]
            for level in levels {
                result[DecimalFormat.text(level.price, scale: format.priceScale)] = DecimalFormat.text(
                    level.quantity, scale: format.quantityScale)
            }
            return result
        }
        return texts(truth.bids) == bids && texts(truth.asks) == asks
    }
}

/// Keeps everything that a session sends.
final class RecordingWire: SessionWire {
    var texts: [[UInt8]] = []
    var frames: [[UInt8]] = []
    var closeCode: UInt16?
    var isAborted = false

    func send(text: [UInt8]) { texts.append(text) }
    func send(_ frame: StreamFrame, isCombined: Bool) {
        if let bytes = isCombined ? frame.combined : frame.raw { frames.append(bytes) }
    }
    var pings: [[UInt8]] = []
    func ping(_ payload: [UInt8]) { pings.append(payload) }
    func close(code: UInt16, reason: String) { closeCode = code }
    func abort() { isAborted = true }
    func stall(until microseconds: Int64) {}

    var lastText: String { String(decoding: texts.last ?? [], as: UTF8.self) }
    func decoded() throws -> [NaiveClient.Frame] { try frames.map(NaiveClient.frame) }
}

/// An exchange without sockets, driven by hand.
struct Bench {
    let engine: ExchangeEngine
    let rest: RESTService
    var now: Int64 = 1_800_000_000_000_000

    init(
        _ exchange: String, _ change: (inout EngineSettings) -> Void = { _ in }, recordings: [Recording] = []
    )
        throws
    {
        guard let exchange = Exchange.named(exchange) else { throw SimulatorError("no exchange \(exchange)") }
        var settings = EngineSettings(symbolCount: 6, depth: 60, seed: 42)
        change(&settings)
        engine = ExchangeEngine(exchange, settings: settings, recordings: recordings)
        rest = RESTService(engine, pool: WeightPool(limit: settings.weightLimit ?? 1_000_000))
    }

    var kind: MarketKind { engine.exchange.kind }
    var symbol: String { engine.symbols[0] }

    func session(_ wire: RecordingWire, _ streams: [String], path: String = "/stream") throws -> StreamSession
    {
        guard let path = StreamPath(path, QueryString(""), kind: kind) else {
            throw SimulatorError("bad path")
        }
        let session = StreamSession(engine, wire: wire, path: path)
        session.open(streams, at: now)
        return session
    }

    mutating func run(milliseconds: Int, step: Int = 10) {
        for _ in 0..<milliseconds / step {
            now += Int64(step) * 1000
            engine.tick(at: now)
        }
    }

    func get(_ name: String, _ query: String) -> RESTReply {
        rest.answer(engine.exchange.kind.restPrefix + "/" + name, QueryString(query), at: now)
    }

    func snapshot(_ symbol: String, limit: Int = 1000) throws -> NaiveClient.Snapshot {
        try NaiveClient.snapshot(get("depth", "symbol=\(symbol)&limit=\(limit)").body)
    }

    func market(_ symbol: String) throws -> Market {
        guard let market = engine.markets[symbol] else { throw SimulatorError("no market \(symbol)") }
        return market
    }
}
