import Arguments
import K8sClient

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
        ] + ClientFlags.target)

    /// So many markets are compared at once.
    private static let atOnce = 8
    /// A gateway waits for its workers for 65 s; the rest is for the way.
    private static let timeout = Duration.seconds(75)
    /// The exit code if something could not be compared, be it that nobody could be asked.
    private static let notCompared: Int32 = 2

    private struct Market: Sendable {
        var exchange: String
        var market: String
    }

    static func run(_ arguments: ParsedArguments) async throws {
        let wantsJSON = try ClientFlags.wantsJSON(arguments)
        let isForAll = arguments.has("all")
        let named = [arguments.string("exchange"), arguments.string("market")].compactMap(\.self)
        guard named.count == (isForAll ? 0 : 2) else {
            throw ArgumentError("expected either --exchange and --market, or --all")
        }
        let rows: [AuditTable.Row]
        do {
            let gateway = try await ClusterTarget(arguments).gateway()
            let markets =
                isForAll
                ? try await allMarkets(gateway)
                : [
                    Market(
                        exchange: try arguments.required("exchange"), market: try arguments.required("market")
                    )
                ]
            rows = try await audit(markets, gateway)
        } catch let error where !(error is ArgumentError) {
            try Task.checkCancellation()
            throw CommandExit(code: notCompared, words: words(error))
        }
        Screen.write((wantsJSON ? AuditTable.json(rows) : AuditTable.text(rows)) + "\n")
        let code = AuditTable.exitCode(rows)
        if code != 0 { throw CommandExit(code: code) }
    }

    private static func allMarkets(_ gateway: GatewayAccess) async throws -> [Market] {
        let answer = try await gateway.ask("/get_depthcache_list")
        guard answer["depthcache_list"]?.fields != nil else {
            throw CommandExit(
                code: notCompared,
                words: answer["message"]?.text ?? "the gateway has no list of DepthCaches")
        }
        return CacheList(answer).rows.map { Market(exchange: $0.exchange, market: $0.market) }
    }

    private static func audit(
        _ markets: [Market], _ gateway: GatewayAccess
    ) async throws -> [AuditTable.Row] {
        try await withThrowingTaskGroup(of: (Int, [AuditTable.Row]).self) { group in
            var rows: [Int: [AuditTable.Row]] = [:]
            for (index, market) in markets.enumerated() {
                if index >= atOnce, let (done, result) = try await group.next() { rows[done] = result }
                group.addTask { (index, try await audit(market, gateway)) }
            }
            for try await (done, result) in group { rows[done] = result }
            return markets.indices.flatMap { rows[$0] ?? [] }
        }
    }

    /// A row for each replica; one with the reason if none could be asked.
    private static func audit(_ market: Market, _ gateway: GatewayAccess) async throws -> [AuditTable.Row] {
        let reason: String
        do {
            let answer = try await gateway.ask(
                "/v1/audits", ["exchange": market.exchange, "market": market.market], method: "POST",
                timeout: timeout)
            let replicas = answer["replicas"]?.elements ?? []
            guard replicas.isEmpty else {
                return replicas.map { AuditTable.Row(exchange: market.exchange, market: market.market, $0) }
            }
            reason = answer["message"]?.text ?? "no replica is placed"
        } catch {
            try Task.checkCancellation()
            reason = words(error)
        }
        return [AuditTable.Row(exchange: market.exchange, market: market.market, reason: reason)]
    }

    private static func words(_ error: any Error) -> String {
        switch error {
        case let refusal as GatewayAccess.Refusal: refusal.message
        case let end as CommandExit: end.words ?? "no reason given"
        default: "\(error)"
        }
    }
}

/// Ends the process with a code of the command's own.
struct CommandExit: Error {
    var code: Int32
    /// Said on standard error; nil: all has been said.
    var words: String?
}
