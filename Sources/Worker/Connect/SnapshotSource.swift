import DepthCacheAPI
import Telemetry

/// Where the snapshots of one exchange's books come from: a peer's copy where one will do, else the exchange.
///
/// It also knows which books wait for the exchange, so that peers can be told to wait for them instead of asking too.
final class SnapshotSource: Sendable {
    private typealias Purpose = SnapshotOrder.Purpose
    private static let arrivalPeriod: Duration = .milliseconds(250)
    private struct Key: Hashable {
        var book: BookID
        var purpose: Purpose
    }
    private struct State {
        var lastToken: UInt64 = 0
        /// Orders that ask peers; a newer one of the same book and purpose ends an older one.
        var atPeers: [Key: (token: UInt64, notBefore: Duration, book: ObjectIdentifier?)] = [:]
        var atExchange: [BookID: [Purpose: UInt64]] = [:]
        /// Books for which the exchange's last answer was none.
        var failing: Set<BookID> = []

        /// An order of the same book and purpose that asks peers would come back later and take this one's place.
        mutating func giveUp(like order: SnapshotOrder) {
            guard let book = order.book else { return }
            atPeers = atPeers.filter { $0.value.book != book || $0.key.purpose != order.purpose }
        }

        mutating func ended(_ key: Key, _ token: UInt64) {
            guard atExchange[key.book]?[key.purpose] == token else { return }
            atExchange[key.book]?[key.purpose] = nil
            if atExchange[key.book]?.isEmpty == true { atExchange[key.book] = nil }
        }
    }

    let desk: SnapshotDesk
    private let peers: PeerDesk?
    private let state = Guarded(State())

    init(desk: SnapshotDesk, peers: PeerDesk?) {
        self.desk = desk
        self.peers = peers
    }

    /// Takes an order; without terms for a copy it goes to the exchange.
    func submit(_ order: SnapshotOrder) {
        guard let peers, let terms = order.copy else {
            state.withLock { $0.giveUp(like: order) }
            return askExchange(order)
        }
        let key = Key(book: terms.book, purpose: order.purpose)
        let (token, notBefore) = state.withLock { state in
            state.lastToken += 1
            // A book that starts over again and again is served at last.
            let notBefore = min(order.notBefore, state.atPeers[key]?.notBefore ?? order.notBefore)
            state.atPeers[key] = (state.lastToken, notBefore, order.book)
            return (state.lastToken, notBefore)
        }
        Task {
            let copy = await peers.fetch(terms, notBefore: notBefore) { self.isNewest(token, key) }
            let isStillWanted = self.state.withLock { state in
                guard state.atPeers[key]?.token == token else { return false }
                state.atPeers[key] = nil
                return true
            }
            guard isStillWanted else { return }
            if let copy { order.completion(.copy(copy)) } else { askExchange(order) }
        }
    }

    private func isNewest(_ token: UInt64, _ key: Key) -> Bool {
        state.withLock { $0.atPeers[key]?.token == token }
    }

    private func askExchange(_ order: SnapshotOrder) {
        guard let book = order.copy?.book else { return desk.submit(order) }
        let key = Key(book: book, purpose: order.purpose)
        let token = state.withLock { state in
            state.lastToken += 1
            state.atExchange[book, default: [:]][order.purpose] = state.lastToken
            return state.lastToken
        }
        var followed = order
        followed.completion = { [weak self] outcome in
            self?.answered(outcome, key, token)
            order.completion(outcome)
        }
        if let willSend = order.willSend {
            followed.willSend = { [weak self] in
                if willSend() { return true }
                self?.ended(key, token)
                return false
            }
        }
        desk.submit(followed)
    }

    /// The exchange is not asked any more.
    private func ended(_ key: Key, _ token: UInt64) {
        state.withLock { $0.ended(key, token) }
    }

    private func answered(_ outcome: SnapshotOutcome, _ key: Key, _ token: UInt64) {
        if case .failed = outcome {
            return state.withLock { state in
                state.ended(key, token)
                state.failing.insert(key.book)
            }
        }
        state.withLock { _ = $0.failing.remove(key.book) }
        Task { [weak self] in
            // The answer is on its way into the book; who asks meanwhile is not to ask the exchange for the same.
            try? await Task.sleep(for: Self.arrivalPeriod)
            self?.ended(key, token)
        }
    }

    /// Whether the exchange has been asked for this book and has not refused lately.
    func isComing(_ book: BookID) -> Bool {
        state.withLock { state in
            !state.failing.contains(book) && state.atExchange[book] != nil
        }
    }

    /// The book is kept no longer: nobody waits for its snapshots.
    func forget(_ book: BookID) {
        state.withLock { state in
            state.atPeers = state.atPeers.filter { $0.key.book != book }
            state.atExchange[book] = nil
            state.failing.remove(book)
        }
    }
}
