/// The asking side of one link: connects, proves itself, keeps the beat, asks many things at once, connects again.
package final class LinkClient: Sendable {
    package let loop: EventLoop
    package let endpoint: String

    /// - Parameters:
    ///   - endpoint: `address:port` of the peer's port.
    ///   - expectedUID: the peer must say this uid, if given; so with the incarnation.
    ///   - onStateChange: called on the loop's thread.
    package init(
        loop: EventLoop, endpoint: String, identity: LinkIdentity, keys: @escaping @Sendable () -> LinkKeys,
        expectedUID: String? = nil, expectedIncarnation: String? = nil, timings: LinkTimings = LinkTimings(),
        onStateChange: @escaping @Sendable (LinkState) -> Void = { _ in }
    ) {
        self.loop = loop
        self.endpoint = endpoint
    }

    package var state: LinkState { .stopped }
    /// Who answered the last hello.
    package var peer: LinkIdentity? { nil }
    package func start() {}
    package func stop() {}

    /// Asks; `completion` runs exactly once, on the loop's thread. Callable from any thread.
    package func request(
        kind: UInt8, payload: [UInt8], deadline: Duration,
        completion: @escaping @Sendable (Result<LinkAnswer, LinkError>) -> Void
    ) { completion(.failure(.notConnected("not yet"))) }
}
