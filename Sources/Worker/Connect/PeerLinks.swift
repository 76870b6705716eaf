import DepthCacheAPI
import Telemetry
import Transport

/// Links to other workers, opened when one is asked and closed when none is asked for a while.
actor PeerLinks {
    /// So many questions at once to one worker; copies may be large, and it answers queries too.
    static let questionsAtOnce = 16
    static let idleLimit: Duration = .seconds(30)
    static let answerDeadline: Duration = .seconds(2)
    private static let log = Log("peers")

    private final class Link {
        let peer: Peer
        let client: LinkClient
        var free = PeerLinks.questionsAtOnce
        var waiting: [CheckedContinuation<Void, Never>] = []
        var lastUsed: Duration

        init(peer: Peer, client: LinkClient, now: Duration) {
            self.peer = peer
            self.client = client
            lastUsed = now
        }
    }

    private let loop: EventLoop
    private let identity: LinkIdentity
    private let keys: @Sendable () -> LinkKeys
    private let clock: WorkerClock
    private let metrics: LinkMetrics
    private var links: [String: Link] = [:]

    init(
        loop: EventLoop, identity: LinkIdentity, keys: @escaping @Sendable () -> LinkKeys, clock: WorkerClock,
        metrics: LinkMetrics
    ) {
        self.metrics = metrics
        self.loop = loop
        self.identity = identity
        self.keys = keys
        self.clock = clock
    }

    /// How many links there are.
    var count: Int { links.count }

    func ask(_ peer: Peer, _ request: BookCopyRequest) async -> Result<BookCopyAnswer, PeerTrouble> {
        let link = link(to: peer)
        link.lastUsed = clock.now
        if link.free > 0 {
            link.free -= 1
        } else {
            // Whoever ends hands his place on, so that it is never free for a moment in between.
            await withCheckedContinuation { link.waiting.append($0) }
        }
        let result = await Self.send(request, link.client)
        link.lastUsed = clock.now
        if link.waiting.isEmpty { link.free += 1 } else { link.waiting.removeFirst().resume() }
        switch result {
        case .failure: return .failure(PeerTrouble(answer: .unreachable))
        case .success(let answer):
            do {
                guard answer.kind == LinkMessageKind.bookCopy else {
                    throw LinkPayloadError("expected kind \(LinkMessageKind.bookCopy), was \(answer.kind)")
                }
                return .success(try await Self.read(answer.payload))
            } catch {
                Self.log.warning(
                    "Worker's answer cannot be read", ["worker": peer.name, "error": "\(error)"])
                return .failure(PeerTrouble(answer: .unreadable))
            }
        }
    }

    private static func send(
        _ request: BookCopyRequest, _ client: LinkClient
    ) async -> Result<LinkAnswer, LinkError> {
        await withCheckedContinuation { continuation in
            client.request(
                kind: LinkMessageKind.bookCopyRequest, payload: request.encoded(), deadline: answerDeadline
            ) { continuation.resume(returning: $0) }
        }
    }

    /// Reads many levels off the actor.
    @concurrent private static func read(_ payload: [UInt8]) async throws -> BookCopyAnswer {
        try BookCopyAnswer(decoding: payload)
    }

    private func link(to peer: Peer) -> Link {
        if let link = links[peer.uid], link.peer == peer { return link }
        links.removeValue(forKey: peer.uid)?.client.stop()
        let client = LinkClient(
            loop: loop, endpoint: peer.endpoint, identity: identity, keys: keys, expectedUID: peer.uid,
            expectedIncarnation: peer.incarnation, onStateChange: metrics.follow())
        let link = Link(peer: peer, client: client, now: clock.now)
        links[peer.uid] = link
        client.start()
        return link
    }

    /// Closes links to workers that are gone, and those that nobody has used for a while.
    func tidy(_ peers: [String: Peer]) {
        let now = clock.now
        for (uid, link) in links where peers[uid] != link.peer || now - link.lastUsed >= Self.idleLimit {
            guard link.free == Self.questionsAtOnce else { continue }
            links[uid] = nil
            link.client.stop()
        }
    }

    func stop() {
        for link in links.values { link.client.stop() }
        links = [:]
    }
}
