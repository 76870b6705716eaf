import Books
import DepthCacheAPI
import Telemetry

/// When a copy of another worker's book does in place of the exchange's answer.
extension FeedLoop {
    /// What a peer's copy must be to answer `request` of a book that is not served; nil: only the exchange will do.
    func copyTerms(_ request: SnapshotRequest, _ duty: BookDuty) -> CopyTerms? {
        guard !request.needsExchange else { return nil }
        let book = duty.book
        var terms = CopyTerms(book: book.id)
        terms.leastID = { book.state.withLock { $0.book.leastSnapshotID } }
        terms.onWait = { [weak self] name in self?.perform { $0.waits(book, for: name) } }
        return terms
    }

    /// What a peer's copy must be to deepen a served book: it shows as many levels as the exchange's answer would after a while.
    ///
    /// A book whose last comparison found a difference is compared with the exchange first: who was wrong is not known. Nor
    /// does a copy do in place of one that broke the rules on its way.
    func copyTerms(_ order: BookDuty.FreshOrder, _ duty: BookDuty) -> CopyTerms? {
        let book = duty.book
        guard order.purpose == .deepen, !order.needsExchange, !book.state.withLock({ $0.isDoubtful }) else {
            return nil
        }
        var terms = CopyTerms(book: book.id, isServed: true)
        terms.leastLevels = duty.policy.leastLevels
        terms.leastID = { book.leastFreshID(order.number, order.purpose) }
        return terms
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
