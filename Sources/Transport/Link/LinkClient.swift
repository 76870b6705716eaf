import Telemetry

/// The asking side of one link: connects, proves itself, keeps the beat, asks many things at once, connects again.
package final class LinkClient: Sendable {
    package let loop: EventLoop
    package let endpoint: String
    private let session: LinkClientSession
    private let shared: LinkClientShared

    /// - Parameters:
    ///   - loop: where everything happens.
    ///   - endpoint: `address:port` of the peer.
    ///   - identity: who we say that we are.
    ///   - keys: asked for at each hello, so that they can change.
    ///   - expectedUID: the peer must say this uid, if given; so with the incarnation.
    ///   - expectedIncarnation: see `expectedUID`.
    ///   - timings: how fast trouble is noticed.
    ///   - onStateChange: called on the loop's thread.
    package init(
        loop: EventLoop, endpoint: String, identity: LinkIdentity, keys: @escaping @Sendable () -> LinkKeys,
        expectedUID: String? = nil, expectedIncarnation: String? = nil, timings: LinkTimings = LinkTimings(),
        onStateChange: @escaping @Sendable (LinkState) -> Void = { _ in }
    ) {
        self.loop = loop
        self.endpoint = endpoint
        let shared = LinkClientShared(onStateChange: onStateChange)
        self.shared = shared
        session = LinkClientSession(
            loop: loop, endpoint: endpoint, identity: identity, keys: keys,
            expected: (expectedUID, expectedIncarnation), timings: timings, shared: shared)
    }

    package var state: LinkState { shared.state }
    /// Who answered the last hello.
    package var peer: LinkIdentity? { shared.peer }

    /// Which batch the next request will leave with: one that was made at this number has not left; on the loop only.
    package var batchNumber: UInt64 { session.batchNumber }

    /// Begins to connect, and keeps at it until `stop`.
    package func start() { loop.execute { [session] in session.start() } }
    /// Closes; what is being asked fails.
    package func stop() { loop.execute { [session] in session.stop() } }

    /// Asks, on the loop only; `completion` runs exactly once, on the loop.
    ///
    /// Returns the number by which others may `join`; nil where nothing could be asked.
    package func ask(
        kind: UInt8, payload: [UInt8], deadline: Duration,
        completion: @escaping (Result<LinkAnswer, LinkError>) -> Void
    ) -> UInt64? {
        session.request(kind, payload, deadline, completion)
    }

    /// Lets one more wait for the answer to something asked; false if that has ended.
    ///
    /// On the loop only.
    package func join(
        _ number: UInt64, completion: @escaping (Result<LinkAnswer, LinkError>) -> Void
    ) -> Bool {
        session.join(number, completion)
    }

    /// Asks from any thread; `completion` runs exactly once, on the loop's thread.
    package func request(
        kind: UInt8, payload: [UInt8], deadline: Duration,
        completion: @escaping @Sendable (Result<LinkAnswer, LinkError>) -> Void
    ) {
        if loop.isOnLoop {
            session.request(kind, payload, deadline, completion)
        } else {
            let due = ContinuousClock.now + deadline
            loop.execute { [session] in
                session.request(kind, payload, ContinuousClock.now.duration(to: due), completion)
            }
        }
    }
}

/// What a link client lets other threads see.
final class LinkClientShared: Sendable {
    private let current = Guarded<(state: LinkState, peer: LinkIdentity?)>((.connecting, nil))
    private let onStateChange: @Sendable (LinkState) -> Void

    init(onStateChange: @escaping @Sendable (LinkState) -> Void) { self.onStateChange = onStateChange }

    var state: LinkState { current.withLock { $0.state } }
    var peer: LinkIdentity? { current.withLock { $0.peer } }
    func set(peer: LinkIdentity) { current.withLock { $0.peer = peer } }

    func set(_ state: LinkState) {
        let isNew = current.withLock { current in
            defer { current.state = state }
            return current.state != state
        }
        if isNew { onStateChange(state) }
    }
}
