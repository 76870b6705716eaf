/// How a WebSocket ended.
package struct WebSocketCloseReason: Sendable, Equatable, CustomStringConvertible {
    /// The code of the peer's close frame, if one came.
    package var code: Int?
    /// The peer's text, or our words for what happened.
    package var text: String
    /// Whether the connection was ever open.
    package var wasOpen: Bool

    package init(code: Int? = nil, text: String, wasOpen: Bool) {
        self.code = code
        self.text = text
        self.wasOpen = wasOpen
    }

    package var description: String { code.map { "\($0) \(text)" } ?? text }
}

/// Hears what happens on a WebSocket; everything on the loop's thread.
///
/// After `didClose` nothing more comes.
package protocol WebSocketDelegate: AnyObject, Sendable {
    func didOpen(_ socket: WebSocket)
    /// One whole message; the bytes are valid during the call only.
    func didReceive(_ message: UnsafeRawBufferPointer, isText: Bool, on socket: WebSocket)
    /// Every message that had arrived when the loop turned to the socket has been told.
    func didReceiveAll(on socket: WebSocket)
    func didReceivePong(_ payload: UnsafeRawBufferPointer, on socket: WebSocket)
    /// The pong goes out by itself.
    func didReceivePing(_ payload: UnsafeRawBufferPointer, on socket: WebSocket)
    func didClose(_ reason: WebSocketCloseReason, on socket: WebSocket)
}

extension WebSocketDelegate {
    package func didOpen(_ socket: WebSocket) {}
    package func didReceiveAll(on socket: WebSocket) {}
    package func didReceivePong(_ payload: UnsafeRawBufferPointer, on socket: WebSocket) {}
    package func didReceivePing(_ payload: UnsafeRawBufferPointer, on socket: WebSocket) {}
}

/// Decides, on the loop's thread, whether a request may become a WebSocket.
package protocol WebSocketAcceptor: AnyObject, Sendable {
    /// Returns who listens to the new socket, or `nil` to refuse it with 400.
    func accept(_ request: HTTPServerRequest) -> (any WebSocketDelegate)?
}

/// How a client connects.
package struct WebSocketOptions: Sendable {
    package var headers: [HTTPHeader] = []
    package var connectTimeout: Duration = .seconds(10)
    package var maxMessageBytes = 16 << 20
    package init() {}
}

/// A frame built once for many sockets: sending it copies nothing but a reference.
package struct SharedFrame: Sendable {
    /// Header and payload as a server sends them.
    let bytes: [UInt8]
    let headerCount: Int

    package init(text: [UInt8]) { self.init(opcode: 1, text) }
    package init(binary: [UInt8]) { self.init(opcode: 2, binary) }

    private init(opcode: UInt8, _ payload: [UInt8]) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(payload.count + 10)
        WebSocketFrame.appendHeader(opcode: opcode, count: payload.count, to: &bytes)
        headerCount = bytes.count
        bytes.append(contentsOf: payload)
        self.bytes = bytes
    }

    package var payloadCount: Int { bytes.count - headerCount }
}
