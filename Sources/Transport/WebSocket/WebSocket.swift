/// One WebSocket on a loop, of either side. Everything happens on its loop's thread.
// Safe because: used on its loop's thread only; `send` and `close` check that and hop otherwise.
package final class WebSocket: ByteChannelHandler, @unchecked Sendable {
    private enum Phase {
        case connecting(key: String)
        case open
        case closed
    }
    package let loop: EventLoop
    private let isClient: Bool
    /// May be changed between two messages.
    var maximumMessageBytes: Int
    private var channel: ByteChannel?
    private var delegate: (any WebSocketDelegate)?
    private var phase: Phase
    private var wasOpen = false
    private var handshake: [UInt8] = []
    private var connectRequest: [UInt8] = []
    /// Bytes of a frame that has not arrived whole.
    private var partial: [UInt8] = []
    /// How many bytes `partial` must have before it is worth looking at again.
    private var needed = 0
    /// The payload of the last ping, if its answer waits until the peer has taken what is before it.
    private var owedPong: [UInt8]?
    /// Pings are not answered one by one while more than this waits for the peer.
    private static let maximumPongBacklog = 1 << 20
    /// Payload of a message whose last frame has not come.
    private var message: [UInt8] = []
    private var messageOpcode: UInt8?
    private var closeCode: Int?
    private var closeText: String?

    init(channel: ByteChannel, delegate: any WebSocketDelegate, isClient: Bool, maximumMessageBytes: Int) {
        loop = channel.loop
        self.channel = channel
        self.delegate = delegate
        self.isClient = isClient
        self.maximumMessageBytes = maximumMessageBytes
        phase = .open
        channel.handler = self
    }

    /// A client that is not connected yet.
    init(
        connecting loop: EventLoop, key: String, request: [UInt8], options: WebSocketOptions,
        delegate: any WebSocketDelegate
    ) {
        self.loop = loop
        self.delegate = delegate
        isClient = true
        maximumMessageBytes = options.maxMessageBytes
        connectRequest = request
        phase = .connecting(key: key)
    }

    func use(_ channel: ByteChannel) { self.channel = channel }

    /// A server's socket is open at once; `rest` are bytes that came with the request.
    func begin(with rest: [UInt8]) {
        wasOpen = true
        delegate?.didOpen(self)
        if !rest.isEmpty { unsafe rest.withUnsafeBytes { unsafe channelReceived($0) } }
    }

    var isOpen: Bool { if case .open = phase { true } else { false } }

    /// Bytes that the peer has not taken yet; on the loop only.
    package var backlogBytes: Int { channel?.backlogBytes ?? 0 }

    // MARK: Sending

    package func send(text: String) { send(opcode: WebSocketFrame.text, Array(text.utf8)) }
    package func send(binary: [UInt8]) { send(opcode: WebSocketFrame.binary, binary) }
    package func ping(_ payload: [UInt8] = []) { send(opcode: WebSocketFrame.ping, payload) }

    /// Sends at once what follows the first `WebSocketFrame.room` bytes, which make room for the header; on the loop only.
    func sendNow(binaryAfterRoom bytes: consuming [UInt8]) {
        loop.assertOnLoop()
        guard case .open = phase else { return }
        let start = WebSocketFrame.frame(
            opcode: WebSocketFrame.binary, isMasked: isClient, inPlace: &bytes)
        channel?.writeNow(owned: bytes, from: start)
    }

    /// Sends a frame that was built once for many sockets; servers only.
    package func send(_ frame: SharedFrame) {
        onLoop { $0.channel?.write(frame.bytes) }
    }

    private func send(opcode: UInt8, _ payload: [UInt8]) {
        onLoop { socket in
            guard case .open = socket.phase else { return }
            if socket.isClient {
                socket.channel?.write(WebSocketFrame.masked(opcode: opcode, payload))
            } else {
                var bytes: [UInt8] = []
                bytes.reserveCapacity(payload.count + 10)
                WebSocketFrame.appendHeader(opcode: opcode, count: payload.count, to: &bytes)
                bytes.append(contentsOf: payload)
                socket.channel?.write(bytes)
            }
        }
    }

    /// Sends a close frame and closes; the delegate hears `didClose`.
    package func close(code: Int = 1000, reason: String = "") {
        onLoop { socket in
            let text = reason.utf8.prefix(120)
            socket.send(
                opcode: WebSocketFrame.close, [UInt8(code >> 8 & 255), UInt8(code & 255)] + Array(text))
            if socket.closeText == nil { socket.closeText = reason.isEmpty ? "closed by us" : reason }
            guard let channel = socket.channel else { return socket.channelClosed("closed by us") }
            channel.close(reason.isEmpty ? "closed by us" : reason)
        }
    }

    /// Drops the connection at once, for a peer that is not there any more.
    package func abort(_ reason: String) {
        onLoop { socket in
            if socket.closeText == nil { socket.closeText = reason }
            socket.giveUp(reason)
        }
    }

    /// Ends a connection at once, or one that was never begun.
    func giveUp(_ reason: String) {
        // A channel without a socket has nobody who would tell of its end.
        if let channel, channel.isConnected {
            channel.close(reason, afterOutput: false)
        } else {
            channelClosed(reason)
        }
    }

    /// Whether the connection is still wanted once the address is known.
    var mayDial: Bool { if case .connecting = phase { true } else { false } }

    /// Stops or resumes reading; while stopped, not even pings are answered.
    package func setReading(_ isReading: Bool) {
        onLoop { $0.channel?.setReading(isReading) }
    }

    private func onLoop(_ body: @escaping @Sendable (WebSocket) -> Void) {
        if loop.isOnLoop {
            body(self)
        } else {
            loop.execute { body(self) }
        }
    }

    // MARK: Receiving

    func channelOpened() {
        if case .connecting = phase { channel?.writeNow(connectRequest) }
    }

    func channelReceived(_ bytes: UnsafeRawBufferPointer) {
        if case .connecting(let key) = phase {
            unsafe handshake.append(contentsOf: bytes)
            readHandshake(key)
            return
        }
        guard !partial.isEmpty else {
            let used = unsafe readFrames(bytes)
            if used >= 0 && used < bytes.count { unsafe partial.append(contentsOf: bytes[used...]) }
            return
        }
        unsafe partial.append(contentsOf: bytes)
        guard partial.count >= needed else { return }
        let whole = partial
        partial = []
        let used = unsafe whole.withUnsafeBytes { unsafe readFrames($0) }
        if used >= 0 && used < whole.count { partial = Array(whole[used...]) }
    }

    func channelReceivedAll() { delegate?.didReceiveAll(on: self) }

    private func readHandshake(_ key: String) {
        let bytes = handshake
        guard let end = bytes.indices.first(where: { $0 >= 3 && bytes[$0] == 10 && bytes[$0 - 2] == 10 })
        else {
            if bytes.count > 16_384 { fail("the server's answer to the WebSocket request is too long") }
            return
        }
        if let refusal = WebSocketHandshake.refusal(head: Array(bytes[...end]), key: key) {
            fail(refusal)
            return
        }
        handshake = []
        phase = .open
        begin(with: Array(bytes[(end + 1)...]))
    }

    /// Takes every whole frame at the start of `bytes`; returns how many bytes that were, -1 after an end.
    ///
    /// What is left is less than `needed`.
    private func readFrames(_ bytes: UnsafeRawBufferPointer) -> Int {
        var start = 0
        while start < bytes.count {
            guard case .open = phase else { return -1 }
            let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[start...])
            switch unsafe WebSocketFrame.header(rest) {
            case .needsMore:
                needed = rest.count + 1
                return start
            case .broken(let words):
                fail("broken frame: \(words)")
                return -1
            case .whole(let header):
                guard header.isMasked != isClient else {
                    fail(isClient ? "the server masks its frames" : "the client does not mask its frames")
                    return -1
                }
                guard header.payloadCount + message.count <= maximumMessageBytes else {
                    fail("a message is larger than \(maximumMessageBytes) bytes")
                    return -1
                }
                let end = header.headerCount + header.payloadCount
                guard rest.count >= end else {
                    needed = end
                    return start
                }
                let payload = unsafe UnsafeRawBufferPointer(rebasing: rest[header.headerCount..<end])
                if header.isMasked {
                    let clear = unsafe Self.unmasked(payload, key: header.key)
                    unsafe clear.withUnsafeBytes { unsafe take(header, $0) }
                } else {
                    unsafe take(header, payload)
                }
                start += end
            }
        }
        return start
    }

    private static func unmasked(_ payload: UnsafeRawBufferPointer, key: UInt32) -> [UInt8] {
        var bytes = unsafe [UInt8](payload)
        WebSocketFrame.mask(&bytes, from: 0, key: key)
        return bytes
    }

    private func take(_ header: WebSocketFrame.Header, _ payload: UnsafeRawBufferPointer) {
        switch header.opcode {
        case WebSocketFrame.ping:
            if backlogBytes > Self.maximumPongBacklog {
                owedPong = unsafe [UInt8](payload)
            } else {
                owedPong = nil
                send(opcode: WebSocketFrame.pong, unsafe [UInt8](payload))
            }
            unsafe delegate?.didReceivePing(payload, on: self)
        case WebSocketFrame.pong: unsafe delegate?.didReceivePong(payload, on: self)
        case WebSocketFrame.close:
            if payload.count >= 2 { closeCode = unsafe Int(payload[0]) << 8 | Int(payload[1]) }
            let words = unsafe String(decoding: payload.dropFirst(2), as: UTF8.self)
            closeText = closeText ?? (words.isEmpty ? "closed by the peer" : words)
            send(opcode: WebSocketFrame.close, unsafe [UInt8](payload.prefix(2)))
            channel?.close("closed by the peer")
            phase = .closed
        case WebSocketFrame.text, WebSocketFrame.binary:
            guard messageOpcode == nil else { return fail("a new message inside another") }
            if header.isFinal {
                unsafe delegate?.didReceive(payload, isText: header.opcode == WebSocketFrame.text, on: self)
            } else {
                messageOpcode = header.opcode
                message = unsafe [UInt8](payload)
            }
        case WebSocketFrame.continuation:
            guard let opcode = messageOpcode else { return fail("a continuation of nothing") }
            unsafe message.append(contentsOf: payload)
            guard header.isFinal else { return }
            let whole = message
            message = []
            messageOpcode = nil
            unsafe whole.withUnsafeBytes {
                unsafe delegate?.didReceive($0, isText: opcode == WebSocketFrame.text, on: self)
            }
        default: fail("unknown opcode \(header.opcode)")
        }
    }

    private func fail(_ words: String) {
        closeText = closeText ?? words
        phase = .closed
        channel?.close(words, afterOutput: false)
    }

    func channelDrained() {
        guard let payload = owedPong else { return }
        owedPong = nil
        send(opcode: WebSocketFrame.pong, payload)
    }

    func channelClosed(_ reason: String) {
        phase = .closed
        channel = nil
        let last = delegate
        delegate = nil
        last?.didClose(
            WebSocketCloseReason(code: closeCode, text: closeText ?? reason, wasOpen: wasOpen), on: self)
    }
}
