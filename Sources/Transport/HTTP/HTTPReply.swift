internal import Synchronization

/// The answer to one request; may be given later and from any thread, at once when given on the connection's loop.
///
/// A reply that is dropped without an answer closes the connection.
package final class HTTPReply: Sendable {
    private let connection: HTTPServerConnection
    /// Which request of the connection this answers; a late answer to an earlier one is ignored.
    private let number: Int
    package let loop: EventLoop
    /// Whether a whole answer was given, so that dropping the reply means nothing.
    private let isSettled = Atomic<Bool>(false)
    /// Bytes that other threads wrote and the loop has not taken over yet.
    private let underway = Atomic<Int>(0)
    private let isCut = Atomic<Bool>(false)

    private let maximumBacklog: Int

    init(connection: HTTPServerConnection, number: Int, loop: EventLoop, maximumBacklog: Int) {
        self.connection = connection
        self.number = number
        self.loop = loop
        self.maximumBacklog = maximumBacklog
    }

    deinit {
        // Never directly, even on the loop: an answer given from another thread may still be on its way there.
        guard !isSettled.load(ordering: .acquiring) else { return }
        let (connection, number) = (connection, number)
        loop.execute { connection.abandon(number) }
    }

    private func onLoop(_ body: @escaping @Sendable (HTTPServerConnection, Int) -> Void) {
        if loop.isOnLoop {
            body(connection, number)
        } else {
            let (connection, number) = (connection, number)
            loop.execute { body(connection, number) }
        }
    }

    /// The whole answer.
    package func send(status: Int, headers: [HTTPHeader] = [], body: [UInt8]) {
        send(status: status, headers: headers, body: body[...])
    }

    /// The whole answer.
    package func send(status: Int, headers: [HTTPHeader] = [], body: ArraySlice<UInt8>) {
        isSettled.store(true, ordering: .releasing)
        onLoop { $0.answer($1, status: status, headers: headers, body: body) }
    }

    /// A whole JSON answer; of status 200 it is the usual one, with no header list to walk.
    package func sendJSON(status: Int = 200, _ body: ArraySlice<UInt8>) {
        guard status == 200 else { return send(status: status, headers: Self.jsonType, body: body) }
        isSettled.store(true, ordering: .releasing)
        if loop.isOnLoop { return connection.answerJSON(number, body) }
        onLoop { $0.answerJSON($1, body) }
    }
    private static let jsonType = [HTTPHeader("content-type", "application/json")]

    /// Begins an answer of unknown length; the connection stays until `end`.
    package func begin(status: Int, headers: [HTTPHeader] = []) {
        onLoop { $0.begin($1, status: status, headers: headers) }
    }

    /// Adds to a begun answer.
    ///
    /// Bounded: a write that finds more than `HTTPServerConfiguration.maximumStreamBacklog` bytes waiting, for the peer or
    /// for the loop, closes the connection instead. One piece may be larger than that.
    package func write(_ bytes: [UInt8]) {
        if loop.isOnLoop { return connection.add(number, bytes) }
        guard !isCut.load(ordering: .relaxed) else { return }
        let before = underway.wrappingAdd(bytes.count, ordering: .relaxed).oldValue
        guard before <= maximumBacklog else {
            isCut.store(true, ordering: .relaxed)
            return onLoop { $0.cut($1) }
        }
        loop.execute { [self] in
            underway.wrappingSubtract(bytes.count, ordering: .relaxed)
            connection.add(number, bytes)
        }
    }

    /// Ends a begun answer.
    package func end() {
        isSettled.store(true, ordering: .releasing)
        onLoop { $0.end($1) }
    }

    /// Calls `body` on the loop when the connection ends before the answer does.
    package func onClose(_ body: @escaping @Sendable () -> Void) {
        onLoop { $0.whenClosed($1, body) }
    }

    /// Bytes of the answer that the peer has not taken yet; on the loop only.
    package var backlogBytes: Int { connection.backlogBytes }
    /// What the connection's output takes; on the loop only.
    var outputBytes: Int { connection.channel?.outputBytes ?? 0 }
}
