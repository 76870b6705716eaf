import K8sClient

/// The results of `fathom audit`, for people and for programs.
enum AuditTable {
    /// One replica, or a market of which none could be asked.
    struct Row: Sendable {
        var exchange: String
        var market: String
        var worker = ""
        /// exact, mismatch or unavailable.
        var outcome = "unavailable"
        var reason = ""
        var result: JSONValue = [:]

        init(exchange: String, market: String, reason: String) {
            self.exchange = exchange
            self.market = market
            self.reason = reason
            result = ["outcome": "unavailable", "reason": .string(reason)]
        }

        init(exchange: String, market: String, _ replica: JSONValue) {
            self.exchange = exchange
            self.market = market
            worker = replica["worker"]?.text ?? ""
            outcome = replica["outcome"]?.text ?? "unavailable"
            reason = replica["reason"]?.text ?? replica["dump"]?.text ?? ""
            result = replica
        }

        func count(_ name: String) -> Int64 {
            (result.at("asks", name)?.number ?? 0) + (result.at("bids", name)?.number ?? 0)
        }
    }

    static func exitCode(_ rows: [Row]) -> Int32 {
        if rows.contains(where: { $0.outcome == "mismatch" }) { return 1 }
        return rows.allSatisfy { $0.outcome == "exact" } ? 0 : 2
    }

    static func json(_ rows: [Row]) -> String {
        let list = rows.map { row -> JSONValue in
            var object = row.result
            object.set(["exchange"], to: .string(row.exchange))
            object.set(["market"], to: .string(row.market))
            return object
        }
        return String(decoding: JSONValue.array(list).bytes, as: UTF8.self)
    }

    static func text(_ rows: [Row]) -> String {
        let titles = [
            "EXCHANGE", "MARKET", "WORKER", "RESULT", "MATCH", "DRIFT", "ORPHANED", "MISSED", "UPDATE ID",
            "MS", "",
        ]
        let cells = rows.map { row -> [String] in
            let head = [row.exchange, row.market, row.worker, row.outcome]
            guard row.outcome != "unavailable" else {
                return head + Array(repeating: "-", count: 6) + [row.reason]
            }
            return head + ["match", "drift", "orphaned", "missed"].map { String(row.count($0)) } + [
                row.result["update_id"]?.number.map(String.init) ?? "-",
                row.result["duration_ms"]?.number.map(String.init) ?? "-", row.reason,
            ]
        }
        let lines = [titles] + cells
        let widths = titles.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.map { line in
            let padded = zip(line, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
            let text = padded.joined(separator: "  ")
            return String(text[..<(text.lastIndex { $0 != " " }.map(text.index(after:)) ?? text.startIndex)])
        }.joined(separator: "\n")
    }
}
