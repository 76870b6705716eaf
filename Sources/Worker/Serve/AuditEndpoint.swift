import Books
import DepthCacheAPI
import Telemetry
import Transport

/// Compares books with the exchange's own when somebody asks over a link.
final class AuditEndpoint: LinkRequestHandler {
    private let directory: BookDirectory
    private let loops: [FeedLoop]

    init(directory: BookDirectory, loops: [FeedLoop]) {
        self.directory = directory
        self.loops = loops
    }

    func handle(_ request: LinkRequest, _ reply: LinkReply) {
        audit(unsafe [UInt8](request.payload)) { answer in
            reply.send(kind: LinkMessageKind.auditAnswer, payload: answer.encoded())
        }
    }

    /// Calls `completion` once, from any thread, within about a minute.
    func audit(_ payload: [UInt8], completion: @escaping @Sendable (AuditAnswer) -> Void) {
        let query: MarketQuery
        do { query = try MarketQuery(decoding: payload) } catch {
            return completion(.badRequest("\(error)"))
        }
        // Of several feed speeds the fastest is what queries are answered from.
        guard let book = directory.books(exchange: query.exchange, market: query.market).first else {
            return completion(.notHere)
        }
        ask(loops[...], book, since: .now, completion)
    }

    /// Only the loop that keeps the book can compare it.
    private func ask(
        _ loops: ArraySlice<FeedLoop>, _ book: KeptBook, since start: ContinuousClock.Instant,
        _ completion: @escaping @Sendable (AuditAnswer) -> Void
    ) {
        guard let loop = loops.first else { return completion(.notHere) }
        let rest = loops.dropFirst()
        loop.perform { loop in
            loop.audit(book) { outcome in
                switch outcome {
                case .compared(let record):
                    completion(.compared(AuditReport(record, took: start.duration(to: .now))))
                case .unavailable(let words): completion(.unavailable(words))
                case .notHere: self.ask(rest, book, since: start, completion)
                }
            }
        }
    }
}

extension AuditReport {
    init(_ record: AuditRecord, took duration: Duration) {
        let audit = record.audit
        self.init(
            updateID: audit.lastID, durationMilliseconds: UInt32(clamping: duration.wholeMilliseconds),
            asks: Side(audit.asks), bids: Side(audit.bids), dump: record.dump ?? "")
    }
}

extension AuditReport.Side {
    init(_ side: SideAudit) {
        self.init(
            matched: UInt32(clamping: side.matched), drifted: UInt32(clamping: side.drifted),
            orphaned: UInt32(clamping: side.orphaned), missed: UInt32(clamping: side.missed),
            comparedTo: side.comparedTo?.description ?? "")
    }
}
