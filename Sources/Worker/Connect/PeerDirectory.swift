import Binance
import DepthCacheAPI
import K8sClient

/// Another worker, as its Lease describes it.
struct Peer: Hashable, Sendable {
    var uid: String
    var name: String
    var incarnation: String
    var endpoint: String
}

/// A market of a venue, whatever feed speed is used.
struct PeerMarket: Hashable, Sendable {
    var venue: String
    var market: String
}

/// A worker that may be asked for a copy of one market.
struct PeerSource: Equatable, Sendable {
    var peer: Peer
    /// It said that it is synchronised.
    var isHolder: Bool
    /// When both need the exchange, it is its turn and not ours.
    var isElder: Bool
}

/// Which other workers keep which markets; pure.
///
/// What a replica's status says counts only if the running incarnation of its worker said it.
/// Of several replicas that start together one asks the exchange, the others wait for its copy. Which one is settled without
/// a word between them: the one whose rank, a hash of worker and market, is the smallest. So the markets are spread over
/// the workers, and nobody waits for somebody who waits for him.
struct PeerDirectory: Sendable {
    private let ownUID: String
    private var peers: [String: Peer] = [:]
    private var phases: [PeerMarket: [String: ReplicaPhase]] = [:]
    private var own: Set<PeerMarket> = []
    /// Markets of which a replica is still to be placed.
    private var unplaced: Set<PeerMarket> = []

    init(
        ownUID: String, caches: some Sequence<DepthCache> = [], replicas: some Sequence<DepthCacheReplica>,
        leases: some Sequence<Lease>, exchanges: ExchangeDirectory
    ) {
        func market(_ exchange: String, _ market: String) -> PeerMarket? {
            exchanges[name: exchange.asciiLowercased].map {
                PeerMarket(venue: $0.marketDataName, market: Exchange.canonicalMarket(market))
            }
        }
        self.ownUID = ownUID
        var workers = 1
        for lease in leases {
            guard let worker = WorkerRecord(lease), worker.uid != ownUID,
                let incarnation = worker.incarnation, let endpoint = worker.endpoint
            else { continue }
            if !worker.isDraining { workers += 1 }
            peers[worker.uid] = Peer(
                uid: worker.uid, name: worker.name, incarnation: incarnation, endpoint: endpoint)
        }
        var placed: [String: Int] = [:]
        for replica in replicas {
            guard let uid = replica.workerUID, let market = market(replica.spec.exchange, replica.spec.market)
            else { continue }
            if let cache = replica.cacheUID { placed[cache, default: 0] += 1 }
            if uid == ownUID { own.insert(market) }
            guard let peer = peers[uid] else { continue }
            let phase = replica.phase(ofIncarnation: peer.incarnation)
            // Two caches of one market (an alias, another speed): one synchronised book is enough.
            if phases[market]?[uid] != .synchronized { phases[market, default: [:]][uid] = phase }
        }
        for cache in caches {
            guard let uid = cache.metadata.uid, let placed = placed[uid],
                placed < min(cache.spec.replicas, workers),
                let market = market(cache.spec.exchange, cache.spec.market)
            else { continue }
            unplaced.insert(market)
        }
    }

    /// Whether all replicas of the market have been read that there are to be.
    ///
    /// The worker may have heard of its own before the others were placed.
    func isComplete(_ market: PeerMarket) -> Bool { own.contains(market) && !unplaced.contains(market) }

    /// All other workers, by uid.
    var workers: [String: Peer] { peers }

    /// Whom to ask for a copy: who has one first, in no order, then the others by rank.
    func sources(of market: PeerMarket) -> [PeerSource] {
        let own = Self.rank(ownUID, market)
        var holders: [PeerSource] = []
        var others: [(rank: UInt64, source: PeerSource)] = []
        for (uid, phase) in phases[market] ?? [:] where phase != .failed {
            guard let peer = peers[uid] else { continue }
            let rank = Self.rank(uid, market)
            let source = PeerSource(
                peer: peer, isHolder: phase == .synchronized, isElder: (rank, uid) < (own, ownUID))
            if source.isHolder { holders.append(source) } else { others.append((rank, source)) }
        }
        others.sort { ($0.rank, $0.source.peer.uid) < ($1.rank, $1.source.peer.uid) }
        return holders.shuffled() + others.map(\.source)
    }

    /// FNV-1a over worker and market, its bits mixed so that similar uids do not keep their order in every market.
    static func rank(_ uid: String, _ market: PeerMarket) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for text in [uid, market.venue, market.market] {
            for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
            hash = (hash ^ 0xFF) &* 0x100_0000_01b3
        }
        hash = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
        hash = (hash ^ (hash >> 33)) &* 0xc4ce_b9fe_1a85_ec53
        return hash ^ (hash >> 33)
    }
}
