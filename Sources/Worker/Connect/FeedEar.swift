import Transport

/// Hears one connection and passes it to the loop's actor, on whose thread it already is.
final class FeedEar: WebSocketDelegate {
    private let owner: FeedLoop
    private let feed: FeedTrust
    private let generation: Int

    init(owner: FeedLoop, feed: FeedTrust, generation: Int) {
        self.owner = owner
        self.feed = feed
        self.generation = generation
    }

    func didOpen(_ socket: WebSocket) {
        owner.assumeIsolated { $0.didOpen(feed, generation) }
    }

    func didReceive(_ message: UnsafeRawBufferPointer, isText: Bool, on socket: WebSocket) {
        // Safe because: the call is on the actor's own thread and ends before the frame does.
        nonisolated(unsafe) let frame = unsafe message
        owner.assumeIsolated { unsafe $0.didReceive(frame, feed, generation) }
    }

    func didReceiveAll(on socket: WebSocket) {
        owner.assumeIsolated { $0.didReceiveAll(feed, generation) }
    }

    func didReceivePong(_ payload: UnsafeRawBufferPointer, on socket: WebSocket) {
        let number = unsafe UInt64(String(decoding: payload, as: UTF8.self))
        owner.assumeIsolated { $0.didPong(number, feed, generation) }
    }

    func didClose(_ reason: WebSocketCloseReason, on socket: WebSocket) {
        owner.assumeIsolated { owner in
            guard let feed = owner.feed(feed, generation) else { return }
            owner.drop(feed, .failed(reason.description))
        }
    }
}
