import Books
import DepthCacheAPI
import Telemetry

/// When a copy of another worker's book does in place of the exchange's answer.
extension FeedLoop {
    /// What a peer's copy must be to answer `request`; nil: only the exchange will do.
    ///
    /// A served book that wants more levels takes only a copy that shows as many as the exchange's answer would after a while.
    func copyTerms(
        _ request: SnapshotRequest, _ duty: BookDuty, limit: Int, isSpare: Bool
    ) -> CopyTerms? {
        guard !request.needsExchange, Self.mayCopy(after: request.reason) else { return nil }
        let book = duty.book
        var terms = CopyTerms(book: book.id, isServed: isSpare)
        if isSpare { terms.leastLevels = Self.leastLevels(depth: duty.depth, limit: limit) }
        terms.leastID = {
            book.state.withLock { state in
                isSpare ? state.spare?.leastSnapshotID ?? 0 : state.book.leastSnapshotID
            }
        }
        if !isSpare {
            terms.onWait = { [weak self] name in self?.perform { $0.waits(book, for: name) } }
        }
        return terms
    }

    /// So many levels make a copy as good as an answer of `limit` levels: with fewer, more would be fetched soon.
    static func leastLevels(depth: Int, limit: Int) -> Int { min(depth, limit * 7 / 10) }

    /// A book whose ids or prices did not fit its own stream may have got that from a peer.
    private static func mayCopy(after reason: OutOfSyncReason) -> Bool {
        switch reason {
        case .regression, .feedBehind, .crossedBook: false
        default: true
        }
    }

    private func waits(_ book: KeptBook, for peer: String?) {
        guard let duty = duties[book.id], duty.book === book else { return }
        book.state.withLock { state in
            guard !state.book.isSynchronized else { return }
            if let peer {
                state.note = KeptBook.Note(
                    reason: .awaitingPeer, message: "waits for the copy of \(peer), at no request weight")
            } else if state.note?.reason == .awaitingPeer {
                state.note = nil
            }
        }
        report(duty)
    }
}
