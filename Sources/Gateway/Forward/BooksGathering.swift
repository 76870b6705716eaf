internal import DepthCacheAPI
internal import Transport

/// The answers for many books as they come in; bound to its loop.
///
/// What a worker has sent at once becomes one text, with its name in each book; what follows each other there and in the
/// answer is copied at once.
final class BooksGathering {
    /// About so many bytes are asked of a worker at once: what leaves in one batch of its link, so that the gateway reads the
    /// first books while the worker writes the next.
    private static let answerBytes = 32 << 10
    /// What a book takes besides its levels, and what a level takes.
    private static let (bookBytes, levelBytes) = (300, 30)

    /// Where the text of a book is.
    private struct Place {
        /// None yet, or none at all.
        var text = -1
        var bytes = 0..<0
    }
    private var places: [Place]
    private var texts: [[UInt8]] = []
    /// Why books could not be had, by their numbers.
    private(set) var problems: [Int: Problem] = [:]
    private var awaited: Int
    private var completion: ((BooksGathering) -> Void)?

    init(count: Int, completion: @escaping (BooksGathering) -> Void) {
        places = Array(repeating: Place(), count: count)
        awaited = count
        self.completion = completion
    }

    static func marketsPerQuery(limit: Int) -> Int {
        max(1, answerBytes / (bookBytes + 2 * levelBytes * limit))
    }

    /// Takes what became of a book that was asked for alone.
    func take(_ result: Result<ServedBook, Problem>, at index: Int) {
        guard isOpen(index) else { return }
        switch result {
        case .success(let book):
            var text: [UInt8] = []
            text.append(book.json, with: Self.closing(worker: book.worker, failover: book.failover))
            texts.append(text)
            places[index] = Place(text: texts.count - 1, bytes: text.indices)
        case .failure(let problem): problems[index] = problem
        }
        awaited -= 1
        endIfDone()
    }

    private func isOpen(_ index: Int) -> Bool { places[index].text < 0 && problems[index] == nil }

    /// Takes what a worker has served, and returns for which of `indices` it has not.
    func take(
        _ result: Result<[UInt8], WorkerLinkError>, at indices: ArraySlice<Int>, from worker: String
    ) -> [Int] {
        guard case .success(let bytes) = result, let entries = try? BooksAnswer.entries(decoding: bytes),
            entries.count == indices.count
        else { return Array(indices) }
        let closing = Self.closing(worker: worker)
        var missing: [Int] = []
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count + entries.count * closing.count)
        for (index, entry) in zip(indices, entries) {
            guard case .served(_, let json) = entry else {
                missing.append(index)
                continue
            }
            guard isOpen(index) else { continue }
            // A comma before the book: whole runs of books can be copied with it.
            if !text.isEmpty { text.append(UInt8(ascii: ",")) }
            let start = text.count
            text.append(json, with: closing)
            places[index] = Place(text: texts.count, bytes: start..<text.count)
            awaited -= 1
        }
        texts.append(text)
        endIfDone()
        return missing
    }

    /// What a book ends with instead of its last brace.
    private static func closing(worker: String, failover: String? = nil) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(raw: ",\"worker\":")
        bytes.append(json: worker)
        if let failover {
            bytes.append(raw: ",\"failover\":")
            bytes.append(json: failover)
        }
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }

    func endIfDone() {
        guard awaited == 0, let completion else { return }
        self.completion = nil
        completion(self)
    }

    /// How many bytes `append` will append at most.
    var byteCount: Int { texts.reduce(places.count) { $0 + $1.count } }

    /// Appends all books that were had, in order, with commas between them.
    func append(to bytes: inout [UInt8]) {
        let empty = bytes.count
        var run = Place()
        for place in places where place.text >= 0 {
            if place.text == run.text, place.bytes.lowerBound == run.bytes.upperBound + 1 {
                run.bytes = run.bytes.lowerBound..<place.bytes.upperBound
            } else {
                append(run, to: &bytes, after: empty)
                run = place
            }
        }
        append(run, to: &bytes, after: empty)
    }

    private func append(_ run: Place, to bytes: inout [UInt8], after empty: Int) {
        guard run.text >= 0 else { return }
        if bytes.count > empty { bytes.append(UInt8(ascii: ",")) }
        bytes.append(contentsOf: texts[run.text][run.bytes])
    }
}

extension [UInt8] {
    /// Appends a book, with `closing` in place of its last brace.
    fileprivate mutating func append(_ json: ArraySlice<UInt8>, with closing: [UInt8]) {
        append(contentsOf: json.dropLast())
        append(contentsOf: closing)
    }
}
