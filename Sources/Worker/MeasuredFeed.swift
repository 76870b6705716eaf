internal import Binance
internal import Books
internal import DepthCacheAPI
internal import Telemetry
internal import Transport

/// The data path of a worker on one loop without a cluster around it, for `fathom-bench`.
///
/// The same feeds, books and snapshot desk as in production; nobody reads the books, and request weight is not limited.
package final class MeasuredFeed: Sendable {
    private let loop: FeedLoop
    private let venue: Venue
    private let books: [KeptBook]
    private let depth: Int
    private let desk: Task<Void, Never>

    /// Keeps books of `markets` from where an exchanges file (YAML) says that the exchange is.
    package init(exchange name: String, overridesYAML: [UInt8], markets: [String], depth: Int) throws {
        guard var exchange = try ExchangeDirectory(overridesYAML: overridesYAML)[name: name] else {
            throw WorkerError("no exchange \(name)")
        }
        exchange.weightPerMinute = RequestWeight.most
        let (clock, metrics) = (WorkerClock(), MetricRegistry())
        let desk = SnapshotDesk(
            exchange: exchange, http: try HTTPClient(connectionsPerHost: SnapshotDesk.parallelRequests),
            weight: Guarded(RequestWeight(limitPerMinute: exchange.weightPerMinute)), clock: clock,
            metrics: metrics)
        let venue = Venue(exchange: exchange, desk: desk, metrics: metrics)
        self.venue = venue
        self.depth = depth
        let loop = FeedLoop(loop: try EventLoop(name: "feed"), clock: clock, board: ReportBoard())
        self.loop = loop
        books = markets.compactMap { market in
            exchange.depthStream(market).map { stream in
                KeptBook(
                    id: BookID(
                        venue: name, market: market, intervalMilliseconds: exchange.defaultUpdateInterval),
                    stream: stream, family: exchange.family)
            }
        }
        self.desk = Task { await desk.run() }
        loop.start()
        for book in books {
            loop.perform { $0.keep(book, demand: BookDemand(depths: [depth]), venue: venue) }
        }
    }

    package var frameCount: Int { Int(venue.frames.value) }
    package var byteCount: Int { Int(venue.bytes.value) }
    package var synchronizedCount: Int {
        books.count { book in book.state.withLock { $0.book.isSynchronized } }
    }
    /// How many books are known as deep as was asked for.
    package var deepCount: Int { books.count { $0.reach.map { ($0.shortest ?? .max) >= depth } ?? false } }
    /// Resynchronisations of all books.
    package var restartCount: Int { books.reduce(0) { $0 + $1.report.restarts } }

    /// The last id of every book that is in sync.
    package var lastIDs: [String: Int64] {
        var ids: [String: Int64] = [:]
        for book in books {
            ids[book.id.market] = book.state.withLock { state in
                state.book.readIfSynchronized { $0.lastID }
            }
        }
        return ids
    }

    package func stop() {
        loop.perform { $0.stop() }
        desk.cancel()
        loop.loop.stop()
    }
}
