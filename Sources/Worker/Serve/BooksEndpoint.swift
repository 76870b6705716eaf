import Books
import DepthCacheAPI
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
        let question: BooksQuestion
        do { question = try unsafe directory.question(request.payload) } catch {
            counts.bad.add()
            let answer = BookAnswer.badRequest(parameter: "query", message: "\(error)")
            return reply.send(kind: LinkMessageKind.bookAnswer, payload: answer.encoded())
        }
        reply.send(kind: LinkMessageKind.booksAnswer) { self.answer(question, into: &$0) }
    }

    func answer(_ question: BooksQuestion, into bytes: inout [UInt8]) {
        BooksAnswer.begin(question.books.count, into: &bytes)
        let (wall, now) = (WallClock.milliseconds, clock.now)
        question.forEach { append($0, question, wall, now, into: &bytes) }
    }

    private func append(
        _ asked: AskedBook, _ question: BooksQuestion, _ wall: Int64, _ now: Duration,
        into bytes: inout [UInt8]
    ) {
        var reason: String?
        var latest: Int64?
        var next = asked.book
        var others = asked.others.makeIterator()
        while let book = next {
            var behind: Int64?
            let problem = book.read(now: now, into: &bytes) { book, bytes in
                guard book.lastID >= question.query.leastID else {
                    behind = book.lastID
                    return
                }
                BothSidesJSON.appendEntry(
                    book, question.openings[asked.opening], question.query, rendered, wall: wall, to: &bytes)
            }
            if let problem {
                reason = reason ?? problem
            } else if let behind {
                latest = max(latest ?? behind, behind)
            } else {
                return counts.served.add()
            }
            next = others.next()
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
