import Books
import DepthCacheAPI
import K8sClient
import Telemetry
import Transport

/// Answers queries for both sides of one or many books.
///
/// Each book is read once, under its lock: both sides, the id and the coverage belong to one state.
final class BooksEndpoint: LinkRequestHandler {
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
        let query: BooksQuery
        do { query = try BooksQuery(decoding: unsafe [UInt8](request.payload)) } catch {
            counts.bad.add()
            let answer = BookAnswer.badRequest(parameter: "query", message: "\(error)")
            return reply.send(kind: LinkMessageKind.bookAnswer, payload: answer.encoded())
        }
        reply.send(kind: LinkMessageKind.booksAnswer) { self.answer(query, into: &$0) }
    }

    func answer(_ query: BooksQuery, into bytes: inout [UInt8]) {
        BooksAnswer.begin(query.markets.count, into: &bytes)
        let (wall, now) = (WallClock.milliseconds, clock.now)
        for market in query.markets { append(market, query, wall, now, into: &bytes) }
    }

    private func append(
        _ market: MarketQuery, _ query: BooksQuery, _ wall: Int64, _ now: Duration, into bytes: inout [UInt8]
    ) {
        // Of several feed speeds the fastest that can be believed answers.
        let books = directory.books(exchange: market.exchange, market: market.market)
        var reason: String?
        var latest: Int64?
        for book in books {
            var behind: Int64?
            let problem = book.read(now: now, into: &bytes) { book, bytes in
                guard book.lastID >= query.leastID else {
                    behind = book.lastID
                    return
                }
                BothSidesJSON.appendEntry(book, market, query, rendered, wall: wall, to: &bytes)
            }
            if let problem {
                reason = reason ?? problem
            } else if let behind {
                latest = max(latest ?? behind, behind)
            } else {
                return counts.served.add()
            }
        }
        if let latest {
            counts.behind.add()
            BooksAnswer.append(.behind(latest), into: &bytes)
        } else if let reason {
            counts.notSynchronized.add()
            BooksAnswer.append(.notSynchronized(reason: reason), into: &bytes)
        } else {
            counts.notHere.add()
            BooksAnswer.append(.notHere, into: &bytes)
        }
    }
}

/// The JSON object of both sides; numbers of the book are text, as they were sent.
enum BothSidesJSON {
    /// `wall`: now, in milliseconds since 1970.
    static func appendEntry(
        _ book: borrowing OrderBook, _ market: MarketQuery, _ query: BooksQuery, _ rendered: RenderedSides,
        wall: Int64, to bytes: inout [UInt8]
    ) {
        let start = BooksAnswer.beginServed(into: &bytes)
        let limit = query.limit == 0 ? nil : Int(query.limit)
        let threshold = query.threshold.quote
        let bids = book.bids.select(limit: limit, threshold: threshold)
        let asks = book.asks.select(limit: limit, threshold: threshold)
        text("{\"exchange\":", &bytes)
        name(market.exchange, &bytes)
        text(",\"market\":", &bytes)
        name(market.market, &bytes)
        text(",\"update_id\":", &bytes)
        bytes.append(number: book.lastID)
        text(",\"event_time\":", &bytes)
        if let time = book.eventTime { bytes.append(number: time) } else { text("null", &bytes) }
        text(",\"received_time\":", &bytes)
        bytes.append(number: book.receivedTime)
        text(",\"age\":", &bytes)
        bytes.append(number: max(0, wall - book.receivedTime))
        text(",\"bids\":", &bytes)
        rendered.append(book.bids, bids, of: book.version, as: .exact, to: &bytes)
        text(",\"asks\":", &bytes)
        rendered.append(book.asks, asks, of: book.version, as: .exact, to: &bytes)
        text(",\"coverage\":{\"bids\":", &bytes)
        coverage(book.bids, bids, &bytes)
        text(",\"asks\":", &bytes)
        coverage(book.asks, asks, &bytes)
        text("}}", &bytes)
        let mark = BookMark(
            updateID: book.lastID,
            coveredLevels: UInt32(clamping: book.bids.coveredCount + book.asks.coveredCount))
        BooksAnswer.endServed(mark, from: start, in: &bytes)
    }

    private static func coverage(
        _ side: borrowing Books.BookSide, _ selection: LevelSelection, _ bytes: inout [UInt8]
    ) {
        text("{\"levels\":", &bytes)
        bytes.append(number: Int64(side.coveredCount))
        text(",\"to\":", &bytes)
        if let bound = side.coveredTo {
            Books.BookSide.appendJSON(bound, as: .exact, to: &bytes)
        } else {
            text("null", &bytes)
        }
        text(selection.isComplete ? ",\"complete\":true}" : ",\"complete\":false}", &bytes)
    }

    private static func text(_ text: StaticString, _ bytes: inout [UInt8]) {
        text.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
    }

    /// Names are plain text nearly always; what is not goes the long way.
    private static func name(_ name: String, _ bytes: inout [UInt8]) {
        guard name.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x22 && $0 != 0x5C }) else {
            return bytes.append(contentsOf: JSONValue.string(name).bytes)
        }
        bytes.append(0x22)
        bytes.append(contentsOf: name.utf8)
        bytes.append(0x22)
    }
}
