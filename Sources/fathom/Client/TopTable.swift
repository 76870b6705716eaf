import DepthCacheAPI
import K8sClient

/// All books of a cluster with their best prices.
struct TopTable: Sendable {
    struct Row: Sendable {
        var cache: CacheList.Row
        var book: Result<BookAnswer, GatewayAccess.Refusal>
    }

    private static let atOnce = 16
    var rows: [Row]

    static func ask(
        _ gateway: GatewayAccess, exchange: String?, tell: (String) -> Void = { _ in }
    ) async throws -> TopTable {
        let list = CacheList(try await gateway.ask("/get_depthcache_list"))
        let caches = list.rows.filter { row in
            exchange.map { $0.asciiUppercased == row.exchange.asciiUppercased } ?? true
        }
        var found: [Int: Row] = [:]
        try await withThrowingTaskGroup(of: (Int, Row).self) { group in
            for (index, cache) in caches.enumerated() {
                if index >= atOnce, let (place, row) = try await group.next() {
                    found[place] = row
                    tell("\(found.count) of \(caches.count) books ...")
                }
                group.addTask {
                    do {
                        let book = try await BookAnswer.ask(
                            gateway, exchange: cache.exchange, market: cache.market, limit: 1)
                        return (index, Row(cache: cache, book: .success(book)))
                    } catch let refusal as GatewayAccess.Refusal {
                        return (index, Row(cache: cache, book: .failure(refusal)))
                    }
                }
            }
            for try await (place, row) in group { found[place] = row }
        }
        return TopTable(rows: caches.indices.compactMap { found[$0] })
    }

    static let titles = [
        "EXCHANGE", "MARKET", "BID", "ASK", "SPREAD", "BP", "AGE", "COVERAGE", "REPLICAS", "STATE",
    ]

    func table(now: Double) -> TextTable {
        var table = TextTable(titles: Self.titles, rows: rows.map { $0.cells(now: now) })
        table.rightAligned = [2, 3, 4, 5, 6, 7, 8]
        return table
    }

    /// For a terminal: a line about all of them above the table.
    func screen(_ place: String, now: Double) -> [String] {
        let inSync = rows.count { if case .success = $0.book { true } else { false } }
        return ["\(place)   \(inSync) of \(rows.count) books in sync", ""] + table(now: now).padded
    }

    var json: JSONValue {
        .array(
            rows.map { row in
                var object = row.cache.json
                object["name"] = nil
                switch row.book {
                case .success(let book):
                    let best = { (side: SideAnswer) -> JSONValue in
                        side.levels.first.map { .string($0.price) } ?? .null
                    }
                    object["bid"] = best(book.bids)
                    object["ask"] = best(book.asks)
                    object["spread"] = book.spread.map { .string($0) } ?? .null
                    object["received_time"] = book.receivedTime.map { .int($0) } ?? .null
                    object["coverage"] = .string(book.coverage)
                case .failure(let refusal):
                    object["error_id"] = .string(refusal.id)
                    object["message"] = .string(refusal.message)
                }
                return object
            })
    }
}

extension TopTable.Row {
    func cells(now: Double) -> [String] {
        let head = [cache.exchange, cache.market]
        let copies = "\(cache.ready)/\(cache.wanted)"
        switch book {
        case .success(let book):
            return head + [
                book.bids.levels.first?.price ?? "-", book.asks.levels.first?.price ?? "-",
                book.spread ?? "-",
                book.spreadInBasisPoints.flatMap { Ladder.rounded($0) } ?? "-",
                book.age(now: now).map { Age.text(seconds: $0) } ?? "-", book.coverage, copies,
                cache.state.rawValue,
            ]
        case .failure(let refusal):
            return head + Array(repeating: "-", count: 6) + [copies, refusal.id]
        }
    }
}
