import DepthCacheAPI

/// Whether a book should go on waiting for a peer's copy, or ask the exchange; pure.
///
/// Each round of questions gives every peer's answer; as soon as none of them is a reason to wait, waiting ends.
struct PeerPatience: Sendable {
    enum Answer: Sendable, Equatable {
        case refused(BookCopyRefusal)
        /// The link is not open, or broke.
        case unreachable
        /// It answered something that no worker should.
        case unreadable
    }

    /// How long a peer that cannot be reached is waited for.
    static let forLink: Duration = .seconds(3)
    /// How long an elder may take until it has asked the exchange.
    static let forElder: Duration = .seconds(10)
    /// How long a peer may wait for the exchange's answer while we wait for its copy.
    let forExchange: Duration

    init(isServed: Bool) {
        // A book that is served from fewer levels can wait until all others had their turn.
        forExchange = isServed ? .seconds(1800) : .seconds(120)
    }

    /// Whether `answer`, given after `waited`, is a reason to ask this peer again.
    func isHopeful(_ answer: Answer, from source: PeerSource, waited: Duration) -> Bool {
        switch answer {
        case .unreachable: return (source.isHolder || source.isElder) && waited < Self.forLink
        case .unreadable: return false
        case .refused(let refusal):
            // Whoever has asked the exchange waits for no peer, so nobody waits in a circle.
            if refusal.isComing { return waited < forExchange }
            switch refusal.code {
            case .tooOld: return waited < Self.forLink
            case .notHere, .notSynchronized:
                return source.isElder ? waited < Self.forElder : source.isHolder && waited < Self.forLink
            case .tooShallow: return source.isElder && waited < Self.forLink
            case .lagging, .regressed, .auditFailed, .badRequest: return false
            }
        }
    }
}
