import Books
import DepthCacheAPI
import Telemetry
import Transport

/// Answers queries that come over links: reads the book under its lock and writes the whole JSON into the reply.
final class BookEndpoint: LinkRequestHandler {
    private let directory: BookDirectory
    private let clock: WorkerClock
    private let counts: QueryCounts
    private let rendered: RenderedSides

    init(directory: BookDirectory, clock: WorkerClock, counts: QueryCounts, rendered: RenderedSides) {
        self.rendered = rendered
        self.directory = directory
        self.clock = clock
        self.counts = counts
    }

    func handle(_ request: LinkRequest, _ reply: LinkReply) {
        guard request.kind == LinkMessageKind.bookQuery else {
            counts.bad.add()
            let answer = BookAnswer.badRequest(
                parameter: "kind", message: "expected \(LinkMessageKind.bookQuery), was \(request.kind)")
            return reply.send(kind: LinkMessageKind.bookAnswer, payload: answer.encoded())
        }
        let payload = unsafe [UInt8](request.payload)
        reply.send(kind: LinkMessageKind.bookAnswer) { self.answer(payload, into: &$0) }
    }

    /// Appends the answer to the query in `payload`.
    func answer(_ payload: [UInt8], into bytes: inout [UInt8]) {
        let query: BookQuery
        do {
            query = try BookQuery(decoding: payload)
        } catch {
            counts.bad.add()
            return BookAnswer.badRequest(parameter: "query", message: "\(error)").encode(into: &bytes)
        }
        let books = directory.books(exchange: query.exchange, market: query.market)
        guard !books.isEmpty else {
            counts.notHere.add()
            return BookAnswer.notHere.encode(into: &bytes)
        }
        var reason = ""
        for book in books {
            guard let problem = render(book, query, into: &bytes) else { return counts.served.add() }
            if reason.isEmpty { reason = problem }
        }
        counts.notSynchronized.add()
        BookAnswer.notSynchronized(reason: reason).encode(into: &bytes)
    }

    /// Appends the book's answer; or nothing, and returns why it cannot be believed.
    private func render(_ book: KeptBook, _ query: BookQuery, into bytes: inout [UInt8]) -> String? {
        book.read(now: clock.now, into: &bytes) { BookJSON.append($0, query, rendered, to: &$1) }
    }
}

/// How queries over links have ended.
struct QueryCounts: Sendable {
    let served: Counter
    let notSynchronized: Counter
    let notHere: Counter
    /// In sync, but before the id that was asked for.
    let behind: Counter
    let bad: Counter

    init(_ metrics: MetricRegistry) {
        func counter(_ outcome: String) -> Counter {
            metrics.counter(
                "fathom_worker_link_requests_total", help: "Queries over links, by outcome.",
                labels: ["outcome": outcome])
        }
        served = counter("served")
        notSynchronized = counter("not_synchronized")
        notHere = counter("not_here")
        behind = counter("behind")
        bad = counter("bad_request")
    }
}

extension KeptBook {
    /// Lets `body` read the book under its lock and append to `bytes`; or returns why the book cannot be believed.
    func read(
        now: Duration, into bytes: inout [UInt8], _ body: (borrowing OrderBook, inout [UInt8]) -> Void
    ) -> String? {
        state.read { state in
            guard state.trust.isBelievable(now: now) else {
                let words = state.note.map { "\($0.reason): \($0.message)" }
                return words ?? state.book.reason?.rawValue ?? Reason.loopStalled.rawValue
            }
            let isDone: Void? = state.book.readIfSynchronized { body($0, &bytes) }
            if isDone != nil { return nil }
            let own = state.book.reason?.rawValue ?? Reason.awaitingSnapshot.rawValue
            return state.note.map { "\($0.reason): \($0.message)" } ?? own
        }
    }
}

/// The envelope of a served query; keys in the order of the alphabet.
enum BookJSON {
    static func append(
        _ book: borrowing OrderBook, _ query: BookQuery, _ rendered: RenderedSides, to bytes: inout [UInt8]
    ) {
        BookAnswer.beginServed(into: &bytes)
        switch query.side {
        case .asks: append(book.asks, "{\"asks\":", "GET_ASKS", book, query, rendered, to: &bytes)
        case .bids: append(book.bids, "{\"bids\":", "GET_BIDS", book, query, rendered, to: &bytes)
        }
    }

    private static func append(
        _ side: borrowing Books.BookSide, _ opening: StaticString, _ event: StaticString,
        _ book: borrowing OrderBook,
        _ query: BookQuery, _ rendered: RenderedSides, to bytes: inout [UInt8]
    ) {
        let limit = query.limitCount.map { Int(clamping: $0) }
        let selection = side.select(limit: limit, threshold: query.threshold.quote)
        text(opening, &bytes)
        rendered.append(side, selection, of: book.version, as: .compatible, to: &bytes)
        text(
            selection.isComplete
                ? ",\"complete\":true,\"covered_levels\":" : ",\"complete\":false,\"covered_levels\":", &bytes
        )
        bytes.append(number: Int64(side.coveredCount))
        text(",\"covered_to\":", &bytes)
        if let bound = side.coveredTo {
            DecimalText.compatible.append(bound, to: &bytes)
        } else {
            text("null", &bytes)
        }
        text(",\"event\":\"", &bytes)
        text(event, &bytes)
        text("\",\"event_time\":", &bytes)
        if let time = book.eventTime { bytes.append(number: time) } else { text("null", &bytes) }
        text(",\"received_time\":", &bytes)
        bytes.append(number: book.receivedTime)
        text(",\"result\":\"OK\",\"update_id\":", &bytes)
        bytes.append(number: book.lastID)
        bytes.append(0x7D)
    }

    private static func text(_ text: StaticString, _ bytes: inout [UInt8]) {
        text.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
    }
}

extension VolumeThreshold {
    /// As the book takes it.
    var quote: QuoteThreshold? {
        switch self {
        case .none: nil
        case .unlimited: .unlimited
        case .bestOnly: .bestOnly
        case .quote(let mantissa, let scale): .volume(mantissa: mantissa, exponent: -Int(scale))
        }
    }
}
