import Books
import DepthCacheAPI
import K8sClient
import Telemetry
import Transport

/// Tells over links how books stand: what is covered, and what the last audit has shown.
final class InfoEndpoint: LinkRequestHandler {
    private let directory: BookDirectory
    private let clock: WorkerClock

    init(directory: BookDirectory, clock: WorkerClock) {
        self.directory = directory
        self.clock = clock
    }

    func handle(_ request: LinkRequest, _ reply: LinkReply) {
        let answer = answer(unsafe [UInt8](request.payload))
        reply.send(kind: LinkMessageKind.bookInfoAnswer, payload: answer.encoded())
    }

    func answer(_ payload: [UInt8]) -> BookAnswer {
        let query: MarketQuery
        do { query = try MarketQuery(decoding: payload) } catch {
            return .badRequest(parameter: "query", message: "\(error)")
        }
        let books = directory.books(exchange: query.exchange, market: query.market)
        guard let first = books.first else { return .notHere }
        // Of several feed speeds the one that answers queries is told of.
        let book = books.first { $0.reach != nil } ?? first
        return .served(ArraySlice(describe(book).bytes))
    }

    private func describe(_ book: KeptBook) -> JSONValue {
        let report = book.report
        let now = clock.now
        return book.state.withLock { state in
            var members: [String: JSONValue] = [
                "phase": .string(report.phase.rawValue), "reason": .string(report.reason.rawValue),
                "message": .string(report.message), "restarts": .int(Int64(report.restarts)),
                "update_interval": .int(Int64(book.id.intervalMilliseconds)),
                "believable": .bool(state.book.isSynchronized && state.trust.isBelievable(now: now)),
                "last_audit": state.lastAudit.map(Self.audit) ?? .null,
            ]
            let shown: Void? = state.book.readIfSynchronized { book in
                members["update_id"] = .int(book.lastID)
                members["event_time"] = book.eventTime.map { .int($0) } ?? .null
                members["received_time"] = .int(book.receivedTime)
                members["bids"] = Self.side(book.bids)
                members["asks"] = Self.side(book.asks)
            }
            if shown == nil { members["update_id"] = .null }
            return .object(members)
        }
    }

    private static func side(_ side: borrowing Books.BookSide) -> JSONValue {
        [
            "covered_levels": .int(Int64(side.coveredCount)), "covered_to": number(side.coveredTo),
            "whole": .bool(side.isWhole),
        ]
    }

    private static func audit(_ record: AuditRecord) -> JSONValue {
        func side(_ side: SideAudit) -> JSONValue {
            [
                "matched": .int(Int64(side.matched)), "drifted": .int(Int64(side.drifted)),
                "orphaned": .int(Int64(side.orphaned)), "missed": .int(Int64(side.missed)),
                "compared_to": number(side.comparedTo),
            ]
        }
        return [
            "time": .int(record.time), "result": .string(record.isExact ? "match" : "mismatch"),
            "update_id": .int(record.audit.lastID), "bids": side(record.audit.bids),
            "asks": side(record.audit.asks),
            "dump": record.dump.map { .string($0) } ?? .null,
        ]
    }

    /// Numbers go as text, so that no digit is lost.
    private static func number(_ decimal: FixedDecimal?) -> JSONValue {
        guard let decimal else { return .null }
        var bytes: [UInt8] = []
        DecimalText.canonical.append(decimal, to: &bytes)
        return .string(String(decoding: bytes, as: UTF8.self))
    }
}
