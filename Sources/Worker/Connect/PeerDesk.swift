import Books
import DepthCacheAPI
import Telemetry

/// What a copy must be to take the place of the exchange's snapshot, and for whom.
struct CopyTerms: Sendable {
    var book: BookID
    /// Each side must be whole or cover so many levels; 0: any.
    var leastLevels = 0
    /// Whether the book is served meanwhile, from fewer or older levels.
    var isServed = false
    /// Where the book's own events begin; looked up before each question, since they go on coming.
    var leastID: @Sendable () -> Int64 = { 0 }
    /// Told whom the book waits for; nil once it waits for no peer any more.
    var onWait: @Sendable (String?) -> Void = { _ in }
}

/// Takes copies of books from other workers, at no request weight.
///
/// It asks whoever holds the market, and as long as somebody gives reason to wait, it asks again; then it gives up.
/// `docs/copies.md` tells whom it asks and how long it waits.
final class PeerDesk: Sendable {
    typealias Ask = @Sendable (Peer, BookCopyRequest) async -> Result<BookCopyAnswer, PeerTrouble>
    private static let log = Log("peers")
    /// How long to wait until all replicas of the market are placed and the watches have brought them.
    static let forDirectory: Duration = .seconds(1)

    private let clock: WorkerClock
    private let ask: Ask
    private let directory = Guarded<PeerDirectory?>(nil)
    private let copied: Counter
    private let without: Counter

    init(clock: WorkerClock, metrics: MetricRegistry, ask: @escaping Ask) {
        self.clock = clock
        self.ask = ask
        func counter(_ outcome: String) -> Counter {
            metrics.counter(
                "fathom_worker_peer_copies_total",
                help: "Snapshots wanted of other workers: copied, or none to be had.",
                labels: ["outcome": outcome])
        }
        copied = counter("copied")
        without = counter("none")
    }

    func update(_ new: PeerDirectory) { directory.withLock { $0 = new } }

    /// The other workers, by uid.
    var workers: [String: Peer] { directory.withLock { $0?.workers ?? [:] } }

    /// A copy that meets the terms; nil if none is to be had in time, or the book stopped wanting one.
    func fetch(
        _ terms: CopyTerms, notBefore: Duration = .zero, isWanted: @Sendable () -> Bool
    ) async -> BookCopy? {
        let pause = notBefore - clock.now
        if pause > .zero { try? await Task.sleep(for: pause) }
        let begin = clock.now
        let patience = PeerPatience(isServed: terms.isServed)
        var backoff = RetryBackoff(first: .milliseconds(25), longest: .seconds(1))
        var awaited: String?
        defer { if awaited != nil { terms.onWait(nil) } }
        while isWanted() {
            let waited = clock.now - begin
            var hope: Peer?
            let (sources, isComplete) = sources(terms.book)
            for source in sources {
                let answer: PeerPatience.Answer
                switch await question(source.peer, terms) {
                case .success(let copy):
                    copied.add()
                    Self.log.info(
                        "Copied book",
                        [
                            "book": terms.book.description, "worker": source.peer.name,
                            "id": "\(copy.snapshot.lastID)",
                        ])
                    return copy
                case .failure(let trouble): answer = trouble.answer
                }
                if hope == nil, patience.isHopeful(answer, from: source, waited: waited) {
                    hope = source.peer
                }
            }
            guard hope != nil || (!isComplete && waited < Self.forDirectory) else { break }
            if let hope, awaited != hope.name, backoff.attempts > 1 {
                awaited = hope.name
                terms.onWait(hope.name)
            }
            do { try await Task.sleep(for: backoff.next()) } catch { break }
        }
        without.add()
        return nil
    }

    /// Whom to ask, and whether these are all who will keep the market.
    private func sources(_ book: BookID) -> (sources: [PeerSource], isComplete: Bool) {
        let market = PeerMarket(venue: book.venue, market: book.market)
        guard let directory = directory.withLock({ $0 }) else { return ([], false) }
        return (directory.sources(of: market), directory.isComplete(market))
    }

    private func question(_ peer: Peer, _ terms: CopyTerms) async -> Result<BookCopy, PeerTrouble> {
        let request = BookCopyRequest(
            venue: terms.book.venue, market: terms.book.market, leastID: terms.leastID(),
            leastLevels: UInt32(clamping: terms.leastLevels))
        switch await ask(peer, request) {
        case .failure(let trouble): return .failure(trouble)
        case .success(.refused(let refusal)): return .failure(PeerTrouble(answer: .refused(refusal)))
        case .success(.copy(let copy)):
            guard copy.venue == request.venue, copy.market == request.market,
                copy.incarnation == peer.incarnation, copy.snapshot.lastID >= request.leastID
            else {
                Self.log.warning(
                    "Worker gave another copy than asked for",
                    [
                        "worker": peer.name, "asked": terms.book.description,
                        "given": "\(copy.venue)/\(copy.market) at \(copy.snapshot.lastID)",
                    ])
                return .failure(PeerTrouble(answer: .unreadable))
            }
            return .success(copy)
        }
    }
}

/// Why a peer gave no copy.
struct PeerTrouble: Error, Sendable, Equatable {
    var answer: PeerPatience.Answer
}
