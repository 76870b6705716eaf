import DepthCacheAPI
import Glibc
import Telemetry

/// One market of a question, found.
struct AskedBook: Sendable {
    /// Of several feed speeds the fastest that can be believed answers; the others hold the rest.
    let book: KeptBook?
    let others: [KeptBook]
    /// Where `BooksQuestion.openings` has what its entry begins with.
    let opening: Range<Int>
    fileprivate let memory: BookMemory?
}

/// A question for many books, read and looked up.
final class BooksQuestion: Sendable {
    let query: BooksQuery
    let books: [AskedBook]
    /// What the entries begin with, up to and with the names, one after the other.
    let openings: [UInt8]

    /// `books`: those of each market of `query`.
    init(_ query: BooksQuery, books: [[KeptBook]]) {
        self.query = query
        var openings: [UInt8] = []
        self.books = zip(query.markets, books).map { market, books in
            let start = openings.count
            BothSidesJSON.appendOpening(market, to: &openings)
            return AskedBook(
                book: books.first, others: Array(books.dropFirst()), opening: start..<openings.count,
                memory: books.first.map { BookMemory($0) })
        }
        self.openings = openings
    }

    /// How many books ahead the state is asked for, and how many the best prices, which the state knows the place of.
    private static let (stateAhead, pricesAhead) = (6, 3)

    /// Calls `body` with each market, while the memory of the next ones is on its way: with hundreds of books they are in
    /// no cache, and each part of them is found through the one before.
    func forEach(_ body: (AskedBook) -> Void) {
        for place in 0..<min(Self.stateAhead, books.count) { books[place].memory?.prefetch() }
        for place in books.indices {
            if place + Self.stateAhead < books.count { books[place + Self.stateAhead].memory?.prefetch() }
            if place + Self.pricesAhead < books.count {
                books[place + Self.pricesAhead].book?.prefetchBest()
            }
            body(books[place])
        }
    }
}

/// The questions that were asked last: gateways ask for the same books again and again, with the same bytes.
///
/// What is kept is which books they are for, and nothing of what the books hold.
struct KnownQuestions: Sendable {
    /// Those for less are read as fast as they are found; so many bytes eight markets have at the least.
    static let (fewestMarkets, shortest) = (8, 128)
    /// Longer ones no gateway sends, which asks for what one batch of a link holds.
    static let mostMarkets = 256
    /// So many are kept: those of two gateways for all the markets that a worker may have.
    static let most = 64

    private var kept: [(bytes: [UInt8], question: BooksQuestion)] = []
    /// The place of the oldest, which is given up next.
    private var oldest = 0

    func find(_ bytes: UnsafeRawBufferPointer) -> BooksQuestion? {
        kept.first { unsafe Self.isSame($0.bytes, bytes) }?.question
    }

    private static func isSame(_ known: [UInt8], _ bytes: UnsafeRawBufferPointer) -> Bool {
        guard known.count == bytes.count, let base = bytes.baseAddress else { return false }
        return unsafe known.withUnsafeBytes { known in
            guard let start = known.baseAddress else { return false }
            return unsafe memcmp(start, base, bytes.count) == 0
        }
    }

    mutating func keep(_ question: BooksQuestion, _ bytes: [UInt8]) {
        guard Self.fewestMarkets...Self.mostMarkets ~= question.books.count else { return }
        if kept.count < Self.most { return kept.append((bytes, question)) }
        kept[oldest] = (bytes, question)
        oldest = (oldest + 1) % Self.most
    }
}
