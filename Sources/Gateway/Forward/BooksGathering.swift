internal import DepthCacheAPI
internal import Transport

/// Which workers are to answer for which of many books.
struct WorkerShares {
    struct Share {
        let uid: String
        let link: (any WorkerLink)?
        let isUp: Bool
        /// Where the markets stand in the request.
        var markets: [Int] = []
    }
    var all: [Share] = []
    private var numbers: [String: Int] = [:]
    /// Whose number was asked for last: many markets in a row have the same workers.
    private var last = 0

    /// The number of a worker's share, which is made with what `link` gives when it is asked for first.
    mutating func number(of uid: String, link: () -> (any WorkerLink)?) -> Int {
        if last < all.count, all[last].uid == uid { return last }
        if let number = numbers[uid] {
            last = number
            return number
        }
        let link = link()
        last = all.count
        numbers[uid] = last
        all.append(Share(uid: uid, link: link, isUp: link?.condition == .up))
        return last
    }
}

/// The answers for many books as they come in; bound to its loop.
final class BooksGathering {
    /// About so many bytes are asked of a worker at once: what leaves in one batch of its link, so that the gateway reads the
    /// first books while the worker writes the next.
    private static let answerBytes = 32 << 10
    /// What a book takes besides its levels, and what a level takes.
    private static let (bookBytes, levelBytes) = (300, 30)
    private var results: [Result<ServedBook, Problem>?]
    private var awaited: Int
    private var completion: (([Result<ServedBook, Problem>]) -> Void)?

    init(count: Int, completion: @escaping ([Result<ServedBook, Problem>]) -> Void) {
        results = Array(repeating: nil, count: count)
        awaited = count
        self.completion = completion
    }

    static func marketsPerQuery(limit: Int) -> Int {
        max(1, answerBytes / (bookBytes + 2 * levelBytes * limit))
    }

    func take(_ result: Result<ServedBook, Problem>, at index: Int) {
        guard results[index] == nil else { return }
        results[index] = result
        awaited -= 1
        endIfDone()
    }

    /// Takes what a worker has served, and returns for which of `indices` it has not.
    func take(
        _ result: Result<[UInt8], WorkerLinkError>, at indices: ArraySlice<Int>, from worker: String
    ) -> [Int] {
        guard case .success(let bytes) = result, let entries = try? BooksAnswer.entries(decoding: bytes),
            entries.count == indices.count
        else { return Array(indices) }
        var missing: [Int] = []
        for (index, entry) in zip(indices, entries) {
            guard case .served(let mark, let json) = entry else {
                missing.append(index)
                continue
            }
            take(.success(ServedBook(json: json, mark: mark, worker: worker)), at: index)
        }
        return missing
    }

    func endIfDone() {
        guard awaited == 0, let completion else { return }
        self.completion = nil
        completion(results.compactMap(\.self))
    }
}
