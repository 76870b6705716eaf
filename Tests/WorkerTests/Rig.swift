import Binance
import Books
import DepthCacheAPI
import FoundationEssentials
import K8sClient
import Telemetry
import TestSupport
import Transport

@testable import Worker

/// The data side of a worker against a running exchange simulator; no Kubernetes.
final class Rig: Sendable {
    let simulator: ChildProcess
    let base: String
    let tls: TLSClientSettings
    let http: HTTPClient
    let clock = WorkerClock()
    let metrics = MetricRegistry()
    let directory = BookDirectory()
    let board = ReportBoard()
    let loop: FeedLoop
    let keeper: ReplicaKeeper
    let endpoint: BookEndpoint
    private let desk: Task<Void, Never>
    private let writer: Task<Void, Never>
    private let listener: Task<Void, Never>

    private struct Listening: Decodable {
        var port: Int
        var caFile: String
    }

    /// Starts the simulator from the folder in which the tests were built.
    init(
        _ arguments: String..., linger: Duration = .seconds(10), lines: LineSettings = LineSettings(),
        statusPace: StatusPace = StatusPace(), auditRest: Duration = .seconds(60), evidence: String? = nil,
        announce: ReplicaKeeper.Announce? = nil
    ) async throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let beside = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        let candidates = [
            URL(filePath: beside).deletingLastPathComponent().path + "/exchange-simulator",
            root.path + "/.build/debug/exchange-simulator",
        ]
        guard let program = candidates.first(where: { FileManager.default.fileExists(atPath: $0) }) else {
            throw ChildError(message: "expected a built exchange-simulator in one of \(candidates)")
        }
        let simulator = try ChildProcess(program, ["--port", "0", "--symbols", "8"] + arguments)
        try await eventually("the simulator's listening line") { simulator.output.contains("\n") }
        let line = try JSONDecoder().decode(Listening.self, from: Data(simulator.output.utf8))
        self.simulator = simulator
        base = "https://127.0.0.1:\(line.port)"
        tls = TLSClientSettings(authorityFile: line.caFile)
        http = try HTTPClient()
        let yaml = """
            binance.com:
              restBaseURL: \(base)/binance.com
              webSocketBaseURL: wss://127.0.0.1:\(line.port)/binance.com
              caFile: \(line.caFile)
            """
        let exchanges = try ExchangeDirectory(overridesYAML: Array(yaml.utf8))
        guard let exchange = exchanges[name: "binance.com"] else {
            throw ChildError(message: "no binance.com")
        }
        let desk = SnapshotDesk(
            exchange: exchange, http: http,
            weight: Guarded(RequestWeight(limitPerMinute: exchange.weightPerMinute)),
            clock: clock, metrics: metrics)
        let venue = Venue(exchange: exchange, desk: desk, metrics: metrics)
        let store = evidence.map { EvidenceStore(directory: $0) }
        loop = FeedLoop(
            loop: try EventLoop(name: "feed"), clock: clock, board: board, settings: lines,
            statusPace: statusPace, auditRest: auditRest, evidence: store)
        writer = Task { await store?.run() }
        let keeper = ReplicaKeeper(
            incarnation: "this", exchanges: exchanges, venues: ["binance.com": venue], loops: [loop],
            directory: directory, metrics: metrics, clock: clock, linger: linger,
            announce: announce)
        self.keeper = keeper
        endpoint = BookEndpoint(
            directory: directory, clock: clock, counts: QueryCounts(metrics), rendered: RenderedSides())
        self.desk = Task { await desk.run() }
        listener = Task { [board] in
            for await _ in board.signal {
                await keeper.take(board.takeLosses())
                await keeper.take(board.take())
            }
        }
        loop.start()
    }

    func stop() async {
        await loop.stop()
        loop.loop.stop()
        desk.cancel()
        writer.cancel()
        listener.cancel()
        simulator.send(15)
        _ = try? await simulator.waitForExit()
    }

    func assign(_ markets: [String], exchange: String = "binance.com") async {
        await keeper.assign(
            markets.map { market in
                var metadata = ObjectMeta(name: "r-\(exchange)-\(market)".asciiLowercased)
                metadata.uid = market
                return DepthCacheReplica(
                    metadata: metadata,
                    spec: DepthCacheReplicaSpec(exchange: exchange, market: market, workerName: "w"))
            })
    }

    func book(_ market: String) -> KeptBook? {
        directory.books(exchange: "binance.com", market: market).first
    }
    func phase(_ market: String) -> ReplicaPhase? { book(market)?.report.phase }

    func query(_ market: String, _ side: DepthCacheAPI.BookSide, limit: Int64? = nil) throws -> BookAnswer {
        var bytes: [UInt8] = []
        let query = BookQuery(exchange: "binance.com", market: market, side: side, limitCount: limit)
        endpoint.answer(query.encoded(), into: &bytes)
        return try BookAnswer(decoding: bytes)
    }

    func isServed(_ market: String) -> Bool {
        if case .served? = try? query(market, .asks, limit: 1) { true } else { false }
    }

    /// Asks the simulator to make trouble.
    func inject(_ fault: String, _ parameters: String = "") async throws {
        let reply = try await http.send(
            HTTPClientRequest(
                url: "\(base)/control?exchange=binance.com&fault=\(fault)\(parameters)", tls: tls))
        guard reply.status == 200 else {
            throw ChildError(message: String(decoding: reply.body, as: UTF8.self))
        }
    }

    struct Truth: Decodable {
        var bids: [[String]]
        var asks: [[String]]
    }

    /// Compares what is served with the exchange's own book at the answer's id; nil if they agree.
    func difference(_ market: String, _ side: DepthCacheAPI.BookSide, limit: Int64 = 50) async throws
        -> String?
    {
        guard case .served(let json) = try query(market, side, limit: limit) else {
            return "\(market) is not served"
        }
        let text = String(decoding: json, as: UTF8.self)
        guard let id = text.split(separator: "\"update_id\":").last?.dropLast() else {
            return "no update_id in \(text)"
        }
        let reply = try await http.send(
            HTTPClientRequest(url: "\(base)/truth?exchange=binance.com&symbol=\(market)&id=\(id)", tls: tls))
        guard reply.status == 200 else { return String(decoding: reply.body, as: UTF8.self) }
        let truth = try JSONDecoder().decode(Truth.self, from: Data(reply.body))
        let levels = (side == .asks ? truth.asks : truth.bids).prefix(Int(limit))
        let expected = levels.map { "[\(Self.number($0[0])),\(Self.number($0[1]))]" }.joined(separator: ",")
        let name = side == .asks ? "asks" : "bids"
        return text.hasPrefix("{\"\(name)\":[\(expected)],\"complete\":true")
            ? nil : "\(text.prefix(300)) at \(id)"
    }

    /// As the compatibility API writes numbers: no trailing zeros, one decimal kept.
    private static func number(_ text: String) -> String {
        guard text.contains(".") else { return text + ".0" }
        var text = text
        while text.hasSuffix("0") { text.removeLast() }
        return text.hasSuffix(".") ? text + "0" : text
    }
}
