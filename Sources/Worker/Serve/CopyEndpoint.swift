import Books
import DepthCacheAPI
import Telemetry
import Transport

/// Gives other workers copies of the books that are kept here.
///
/// A book is read under its lock into plain levels; they are written after the lock is given back.
final class CopyEndpoint: LinkRequestHandler {
    private let incarnation: String
    private let directory: BookDirectory
    private let clock: WorkerClock
    private let isComing: @Sendable (BookID) -> Bool
    private let given: Counter
    private let refused: [BookCopyRefusal.Code: Counter]

    /// `isComing` says whether the exchange has been asked for a book's snapshot.
    init(
        incarnation: String, directory: BookDirectory, clock: WorkerClock, metrics: MetricRegistry,
        isComing: @escaping @Sendable (BookID) -> Bool
    ) {
        self.incarnation = incarnation
        self.directory = directory
        self.clock = clock
        self.isComing = isComing
        func counter(_ outcome: String) -> Counter {
            metrics.counter(
                "fathom_worker_copies_served_total", help: "Copies that other workers asked for, by outcome.",
                labels: ["outcome": outcome])
        }
        given = counter("given")
        refused = Dictionary(
            uniqueKeysWithValues: BookCopyRefusal.Code.allCases.map { ($0, counter("\($0)")) })
    }

    func handle(_ request: LinkRequest, _ reply: LinkReply) {
        let answer = answer(unsafe [UInt8](request.payload))
        switch answer {
        case .copy: given.add()
        case .refused(let refusal): refused[refusal.code]?.add()
        }
        reply.send(kind: LinkMessageKind.bookCopy, payload: answer.encoded())
    }

    func answer(_ payload: [UInt8]) -> BookCopyAnswer {
        let request: BookCopyRequest
        do {
            request = try BookCopyRequest(decoding: payload)
        } catch {
            return .refused(BookCopyRefusal(.badRequest, reason: "\(error)"))
        }
        let market = PeerMarket(venue: request.venue, market: request.market)
        // Of several feed speeds any will do; what is said of the first is as good as what is said of the others.
        var refusal = BookCopyRefusal(.notHere)
        for (index, book) in directory.books(of: market).enumerated() {
            switch copy(book, request) {
            case .copy(let copy): return .copy(copy)
            case .refused(let why): if index == 0 || why.isComing { refusal = why }
            }
        }
        return .refused(refusal)
    }

    private func copy(_ book: KeptBook, _ request: BookCopyRequest) -> BookCopyAnswer {
        let now = clock.now
        let isAsked = isComing(book.id)
        return book.state.withLock { state in
            let isAboutToDeepen = state.fresh?.isAboutToDeepen ?? false
            let isComing = isAsked || isAboutToDeepen
            guard state.trust.isBelievable(now: now), state.book.isSynchronized else {
                let reason = state.book.reason ?? .loopStalled
                return .refused(
                    BookCopyRefusal(
                        Self.code(reason), isComing: isComing,
                        reason: state.note.map { "\($0.reason): \($0.message)" } ?? reason.rawValue))
            }
            guard !state.isDoubtful else {
                return .refused(
                    BookCopyRefusal(.auditFailed, isComing: isComing, reason: "its last audit failed"))
            }
            return state.book.readIfSynchronized { copy($0, request, isComing) }
                ?? .refused(BookCopyRefusal(.notSynchronized))
        }
    }

    /// Whether a feed is late only `LatenessWatch` can say, by the exchange's clock: ours may be wrong, and a quiet market is old.
    private static func code(_ reason: OutOfSyncReason) -> BookCopyRefusal.Code {
        switch reason {
        case .regression: .regressed
        case .feedLate: .lagging
        default: .notSynchronized
        }
    }

    private func copy(
        _ book: borrowing OrderBook, _ request: BookCopyRequest, _ isComing: Bool
    ) -> BookCopyAnswer {
        let id = book.lastID
        func refusal(_ code: BookCopyRefusal.Code, _ reason: String) -> BookCopyAnswer {
            .refused(BookCopyRefusal(code, isComing: isComing, id: id, reason: reason))
        }
        guard id >= request.leastID else { return refusal(.tooOld, "stands at \(id)") }
        let least = Int(request.leastLevels)
        guard book.bids.isWhole || book.bids.coveredCount >= least,
            book.asks.isWhole || book.asks.coveredCount >= least
        else {
            return refusal(
                .tooShallow, "covers \(book.bids.coveredCount) bids and \(book.asks.coveredCount) asks")
        }
        return .copy(
            BookCopy(
                incarnation: incarnation, venue: request.venue, market: request.market,
                snapshot: BookSnapshot(
                    lastID: id, eventTime: book.eventTime, bids: book.levels(.bids), asks: book.levels(.asks)),
                bidFloor: book.bids.coveredTo, askCeiling: book.asks.coveredTo))
    }
}

/// Hands what comes over the worker's links to whoever answers it.
final class LinkEndpoint: LinkRequestHandler {
    private let books: BookEndpoint
    private let bothSides: BooksEndpoint
    private let copies: CopyEndpoint
    private let audits: AuditEndpoint
    private let infos: InfoEndpoint
    private let weights: WeightEndpoint
    private let loads: @Sendable () -> LoadReport
    private let durations: LinkDurations

    init(
        books: BookEndpoint, bothSides: BooksEndpoint, copies: CopyEndpoint, audits: AuditEndpoint,
        infos: InfoEndpoint,
        weights: WeightEndpoint, durations: LinkDurations, loads: @escaping @Sendable () -> LoadReport
    ) {
        self.loads = loads
        self.durations = durations
        self.books = books
        self.bothSides = bothSides
        self.copies = copies
        self.audits = audits
        self.infos = infos
        self.weights = weights
    }

    func handle(_ request: LinkRequest, _ reply: LinkReply) {
        switch request.kind {
        case LinkMessageKind.booksQuery:
            durations.books.measure { bothSides.handle(request, reply) }
        case LinkMessageKind.bookCopyRequest: copies.handle(request, reply)
        case LinkMessageKind.auditQuery: audits.handle(request, reply)
        case LinkMessageKind.weightGrant: weights.handle(request, reply)
        case LinkMessageKind.loadQuery:
            reply.send(kind: LinkMessageKind.loadReport, payload: loads().encoded())
        case LinkMessageKind.bookInfoQuery: infos.handle(request, reply)
        default: durations.book.measure { books.handle(request, reply) }
        }
    }
}

/// How long answers take that are written at once.
struct LinkDurations: Sendable {
    let book: Histogram
    let books: Histogram

    init(_ metrics: MetricRegistry) {
        func histogram(_ kind: String) -> Histogram {
            metrics.histogram(
                "fathom_worker_link_request_duration_seconds",
                help: "Time to read books and write the answer to a query over a link.",
                bounds: [
                    0.000_001, 0.000_002_5, 0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25,
                    0.000_5,
                    0.001, 0.005, 0.025, 0.1,
                ], labels: ["kind": kind])
        }
        book = histogram("book")
        books = histogram("books")
    }
}

extension Histogram {
    fileprivate func measure(_ body: () -> Void) {
        let start = ContinuousClock.now
        body()
        observe(start.duration(to: .now))
    }
}
