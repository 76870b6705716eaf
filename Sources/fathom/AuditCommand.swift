import Arguments
import FoundationEssentials
import Glibc
import K8sClient
import Transport

/// `fathom audit`: has books compared with the exchange's own, and tells how they fared.
enum AuditCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom audit",
        summary: "Compare books with the exchange's own at the same update id.",
        discussion: """
            Each replica of a market is compared by its worker, level by level inside what it covers, with a snapshot
            fetched for that. Levels match, drift (another quantity), are orphaned (ours only) or missed (the exchange's only).
            Exit code: 0 all are exact, 1 a book differs, 2 something could not be compared.
            """,
        flags: [
            .value("exchange", "NAME", help: "The exchange, such as binance.com."),
            .value("market", "NAME", help: "The market."),
            .toggle("all", help: "All markets of all DepthCaches, instead of one."),
            .value(
                "output", "table|json", default: "table", short: "o",
                help: "How to print the result; -o is short for it."),
            .value("gateway", "URL", help: "The gateway to ask; otherwise the one of the local cluster."),
            .value(
                "data-dir", "dir", default: "./.fathom", help: "The data directory of the local cluster."),
        ])

    /// So many markets are compared at once.
    private static let atOnce = 8

    private struct Market: Sendable {
        var exchange: String
        var market: String
    }

    static func run(_ arguments: ParsedArguments) async throws {
        let output = arguments.string("output") ?? "table"
        guard ["table", "json"].contains(output) else {
            throw ArgumentError("--output: expected table or json, was '\(output)'")
        }
        let isForAll = arguments.has("all")
        let named = [arguments.string("exchange"), arguments.string("market")].compactMap(\.self)
        guard named.count == (isForAll ? 0 : 2) else {
            throw ArgumentError("expected either --exchange and --market, or --all")
        }
        do {
            let gateway = try gatewayURL(arguments)
            let http = try HTTPClient()
            let markets =
                isForAll
                ? try await allMarkets(gateway, http)
                : [
                    Market(
                        exchange: try arguments.required("exchange"), market: try arguments.required("market")
                    )
                ]
            let rows = try await audit(markets, gateway, http)
            print(output == "json" ? AuditTable.json(rows) : AuditTable.text(rows))
            let code = AuditTable.exitCode(rows)
            if code != 0 { throw CommandExit(code: code) }
        } catch let error as CommandExit {
            throw error
        } catch let error as ArgumentError {
            throw error
        } catch {
            throw CommandExit(code: 2, words: "\(error)")
        }
    }

    private static func gatewayURL(_ arguments: ParsedArguments) throws -> String {
        if let url = arguments.string("gateway") {
            guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
                throw ArgumentError("--gateway: expected http://host:port, was '\(url)'")
            }
            return url.hasSuffix("/") ? String(url.dropLast()) : url
        }
        let file = (arguments.string("data-dir") ?? "./.fathom") + "/up.json"
        guard let bytes = try? Data(contentsOf: URL(filePath: file)),
            let port = try? JSONValue(parsing: [UInt8](bytes)).at("gateway", "port")?.number
        else { throw CommandExit(code: 2, words: "no local cluster runs in \(file); say --gateway URL") }
        return "http://127.0.0.1:\(port)"
    }

    private static func allMarkets(_ gateway: String, _ http: HTTPClient) async throws -> [Market] {
        let answer = try await http.send(HTTPClientRequest(url: gateway + "/get_depthcache_list"))
        let list = try JSONValue(parsing: answer.body)
        guard let exchanges = list["depthcache_list"]?.fields else {
            throw CommandExit(
                code: 2, words: list["message"]?.text ?? "the gateway has no list of DepthCaches")
        }
        return exchanges.sorted { $0.key < $1.key }.flatMap { exchange, markets in
            (markets.fields ?? [:]).keys.sorted().map { Market(exchange: exchange, market: $0) }
        }
    }

    private static func audit(
        _ markets: [Market], _ gateway: String, _ http: HTTPClient
    ) async throws -> [AuditTable.Row] {
        try await withThrowingTaskGroup(of: (Int, [AuditTable.Row]).self) { group in
            var rows: [Int: [AuditTable.Row]] = [:]
            for (index, market) in markets.enumerated() {
                if index >= atOnce, let (done, result) = try await group.next() { rows[done] = result }
                group.addTask { (index, try await audit(market, gateway, http)) }
            }
            for try await (done, result) in group { rows[done] = result }
            return markets.indices.flatMap { rows[$0] ?? [] }
        }
    }

    private static func audit(
        _ market: Market, _ gateway: String, _ http: HTTPClient
    ) async throws -> [AuditTable.Row] {
        var request = HTTPClientRequest(
            method: "POST",
            url: "\(gateway)/v1/audits?exchange=\(encoded(market.exchange))&market=\(encoded(market.market))")
        request.timeout = .seconds(75)
        let answer = try await http.send(request)
        let body = try JSONValue(parsing: answer.body)
        let replicas = body["replicas"]?.elements ?? []
        guard !replicas.isEmpty else {
            let words = body["message"]?.text ?? body["detail"]?.text ?? "no replica is placed"
            return [AuditTable.Row(exchange: market.exchange, market: market.market, reason: words)]
        }
        return replicas.map { AuditTable.Row(exchange: market.exchange, market: market.market, $0) }
    }

    private static func encoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: bytes.append(byte)
            default: bytes += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Ends the process with a code of the command's own.
struct CommandExit: Error {
    var code: Int32
    /// Said on standard error; nil: all has been said.
    var words: String?
}
