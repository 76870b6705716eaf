internal import CWebSockets
internal import Glibc

/// Takes what arrives on a `ByteChannel`; all calls are on the channel's loop.
protocol ByteChannelHandler: AnyObject {
    func channelOpened()
    /// The bytes are valid during the call only.
    func channelReceived(_ bytes: UnsafeRawBufferPointer)
    /// Everything that was there when the loop turned to the socket has been given.
    func channelReceivedAll()
    /// All that was written has left for the network.
    func channelDrained()
    /// Nothing comes after this.
    func channelClosed(_ reason: String)
}

extension ByteChannelHandler {
    func channelReceivedAll() {}
}

/// One socket, plain or TLS, on a loop: bytes in to its handler, bytes out through a bounded buffer.
// Safe because: used on its loop's thread only, which debug builds check; `wsi` is cleared when libwebsockets forgets it, and not used after.
@safe final class ByteChannel: LoopConnection, @unchecked Sendable {
    let loop: EventLoop
    var handler: (any ByteChannelHandler)?
    /// For who keeps account of the channel after its handler has changed; called once, after the handler.
    var whenClosed: (() -> Void)?
    private var wsi: OpaquePointer?
    private var output: [UInt8] = []
    private var sent = 0
    private var closesAfterOutput = false
    private var linger = Linger.no
    private var closeReason: String?
    private var isOpen = false
    private var hasSaidClosed = false
    /// TLS is ours; to libwebsockets every connection is plain.
    private var tls: (any TLSFilter)?
    /// Bytes that have been given to libwebsockets, which holds the last of them until the socket takes them.
    private(set) var handedOver = 0
    private var lastPiece = 0

    /// At most this much is given to the socket at once.
    ///
    /// libwebsockets 4.1 sends half its service buffer (64 KiB) in one call and keeps the rest to itself; over TLS that
    /// rest can stay there for ever. So nothing larger is given to it.
    private static let writeSize = 48 << 10
    /// So many bytes may leave in one turn of the loop, however fast the peer reads: others wait.
    private static let mostInTurn = 8 * writeSize
    /// In which turn something was sent last, and how much in it.
    private var turn: UInt64 = 0
    private var sentInTurn = 0
    /// Sent bytes beyond this are given back although others still wait.
    private static let compactionSize = 1 << 20
    /// Seconds that the last output may take.
    private static let farewell: Int32 = 10
    /// So long, and so many bytes, a peer may send on that was told that nobody will read them.
    private static let lingerSeconds: Int32 = 5
    private static let lingerBytes = 8 << 20

    /// What happens after the last output: a socket that is closed while its peer sends resets the connection, and takes the
    /// answer from a peer that has not read it yet.
    private enum Linger {
        case no, afterOutput
        /// Our side is closed; so many bytes of the peer's were thrown away.
        case begun(discarded: Int)
    }

    init(loop: EventLoop, handler: any ByteChannelHandler) {
        self.loop = loop
        self.handler = handler
    }

    var backlogBytes: Int { output.count - sent }
    /// What the output takes, with the bytes that are sent and not yet given back.
    var outputBytes: Int { output.count }
    var isConnected: Bool { unsafe wsi != nil }
    /// What the peer has still to take.
    var unsentBytes: Int { backlogBytes + (isHeldByLibrary ? lastPiece : 0) }

    /// Takes a connected socket; false if libwebsockets refused it (the socket is then closed).
    func adopt(socket: Int32, vhost: OpaquePointer) -> Bool {
        var descriptor = lws_sock_file_fd_type()
        unsafe descriptor.sockfd = socket
        guard
            let made = unsafe lws_adopt_descriptor_vhost(
                vhost, LWS_ADOPT_SOCKET, descriptor, LoopProtocols.name.pointer, nil)
        else { return false }
        unsafe attach(made)
        opened()
        return true
    }

    /// Keeps what `lws_client_connect_via_info` gave; `opened` follows when it is connected.
    func attach(_ made: OpaquePointer) {
        unsafe wsi = unsafe made
        if unsafe lws_get_opaque_user_data(made) == nil {
            unsafe lws_set_opaque_user_data(made, Unmanaged.passRetained(ConnectionBox(self)).toOpaque())
        }
    }

    /// Speaks TLS from the first byte on; before connecting.
    func use(_ filter: any TLSFilter) { tls = filter }

    private func opened() {
        guard !isOpen else { return }
        isOpen = true
        guard let tls else {
            handler?.channelOpened()
            return
        }
        do throws(TransportError) { add(try tls.start()) } catch { fail(error) }
    }

    private func add(_ bytes: [UInt8]) {
        guard unsafe wsi != nil, !bytes.isEmpty else { return }
        output.append(contentsOf: bytes)
        unsafe lws_callback_on_writable(wsi)
    }

    private func fail(_ error: TransportError) {
        close(error.message, afterOutput: false)
    }

    /// Takes bytes from the network, through TLS where we have it.
    private func received(_ bytes: UnsafeRawBufferPointer) {
        if case .begun(let discarded) = linger { return discard(bytes.count, after: discarded) }
        guard let tls else {
            if !closesAfterOutput { unsafe handler?.channelReceived(bytes) }
            return
        }
        do throws(TransportError) {
            let goesOn = try unsafe tls.receive(
                bytes, send: { self.add($0) }, opened: { self.handler?.channelOpened() },
                received: { if !self.closesAfterOutput { unsafe self.handler?.channelReceived($0) } })
            if !goesOn { close("closed by the peer", afterOutput: false) }
        } catch { fail(error) }
    }

    // MARK: Writing

    /// Adds to the output and lets it leave at the loop's next turn, together with what else is added until then.
    func write(_ bytes: [UInt8]) {
        loop.assertOnLoop()
        guard unsafe wsi != nil, !closesAfterOutput else { return }
        output.append(contentsOf: tls?.encrypt(bytes) ?? bytes)
        unsafe lws_callback_on_writable(wsi)
    }

    /// Adds to the output and sends at once what the socket takes.
    func writeNow(_ bytes: [UInt8]) { writeNow { $0.append(contentsOf: bytes) } }

    /// Lets `body` append to the output, and sends at once what the socket takes.
    func writeNow(appending body: (inout [UInt8]) -> Void) {
        loop.assertOnLoop()
        guard unsafe wsi != nil, !closesAfterOutput else { return }
        if let tls {
            var clear: [UInt8] = []
            body(&clear)
            output.append(contentsOf: tls.encrypt(clear))
        } else {
            body(&output)
        }
        sendNow()
    }

    /// Takes over `bytes` without its first `start`, in place of a copy where nothing else waits, and sends at once.
    func writeNow(owned bytes: consuming [UInt8], from start: Int) {
        loop.assertOnLoop()
        guard unsafe wsi != nil, !closesAfterOutput else { return }
        if let tls {
            output.append(contentsOf: tls.encrypt(Array(bytes[start...])))
        } else if output.isEmpty {
            output = bytes
            sent = start
        } else {
            output.append(contentsOf: bytes[start...])
        }
        sendNow()
    }

    /// Sends as long as the socket takes what it is given, but not for longer than others should wait.
    private func sendNow() {
        if turn != loop.turn { (turn, sentInTurn) = (loop.turn, 0) }
        var isMoreLeft = backlogBytes > 0
        while isMoreLeft, !isHeldByLibrary, sentInTurn < Self.mostInTurn {
            let before = handedOver
            isMoreLeft = flush()
            sentInTurn += handedOver &- before
        }
        if isMoreLeft || isHeldByLibrary { unsafe lws_callback_on_writable(wsi) }
    }

    /// Whether libwebsockets has bytes that the socket did not take.
    private var isHeldByLibrary: Bool {
        guard let wsi = unsafe wsi else { return false }
        return unsafe lws_partial_buffered(wsi) != 0
    }

    /// Closes when the output has left, or at once; lingering, only once the peer has closed too.
    func close(_ reason: String, afterOutput: Bool = true, lingers: Bool = false) {
        loop.assertOnLoop()
        guard unsafe wsi != nil else { return }
        closeReason = closeReason ?? reason
        if afterOutput, !closesAfterOutput, let tls { output.append(contentsOf: tls.farewell()) }
        closesAfterOutput = true
        linger = lingers ? .afterOutput : .no
        if afterOutput && (backlogBytes > 0 || isHeldByLibrary) {
            // For a peer that does not read.
            unsafe lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, Self.farewell)
            unsafe lws_callback_on_writable(wsi)
        } else if lingers {
            beginToLinger()
        } else {
            unsafe lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, -1)  // LWS_TO_KILL_ASYNC
        }
    }

    private func beginToLinger() {
        guard let wsi = unsafe wsi else { return }
        linger = .begun(discarded: 0)
        unsafe shutdown(lws_get_socket_fd(wsi), Int32(SHUT_WR))
        unsafe lws_rx_flow_control(wsi, 1)
        unsafe lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, Self.lingerSeconds)
    }

    private func discard(_ count: Int, after discarded: Int) {
        linger = .begun(discarded: discarded + count)
        guard discarded + count > Self.lingerBytes, let wsi = unsafe wsi else { return }
        unsafe lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, -1)
    }

    /// Stops or resumes reading, so that a peer cannot fill our memory.
    func setReading(_ isReading: Bool) {
        loop.assertOnLoop()
        if let wsi = unsafe wsi { unsafe lws_rx_flow_control(wsi, isReading ? 1 : 0) }
    }

    /// Sends one piece; true if more output is left.
    private func flush() -> Bool {
        guard let wsi = unsafe wsi, backlogBytes > 0 else { return false }
        guard !isHeldByLibrary else { return true }
        let count = min(backlogBytes, Self.writeSize)
        let written = unsafe output.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return Int32(0) }
            return unsafe lws_write(wsi, base + sent, count, CWEBSOCKETS_WRITE_RAW)
        }
        guard written >= 0 else {
            close("the peer does not take our bytes", afterOutput: false)
            return false
        }
        sent += count  // libwebsockets keeps what the socket did not take
        handedOver &+= count
        lastPiece = count
        // A peer that takes its last answer slowly takes it all the same.
        if closesAfterOutput { unsafe lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, Self.farewell) }
        if sent == output.count {
            sent = 0
            if output.capacity > 4 * Self.writeSize {
                output = []
            } else {
                output.removeAll(keepingCapacity: true)
            }
            return false
        }
        // Not before half of it is sent, so that each byte is moved about once.
        if sent > Self.compactionSize && sent > backlogBytes {
            output = Array(output[sent...])
            sent = 0
        }
        return true
    }

    // MARK: Events

    func receive(_ reason: lws_callback_reasons, _ bytes: UnsafeRawBufferPointer) -> Int32 {
        switch reason {
        case LWS_CALLBACK_RAW_CONNECTED, LWS_CALLBACK_RAW_ADOPT:
            opened()
        case LWS_CALLBACK_RAW_RX:
            loop.afterWait {
                opened()
                unsafe received(bytes)
                handler?.channelReceivedAll()
            }
        case LWS_CALLBACK_RAW_WRITEABLE:
            return writeable()
        case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
            let words = unsafe String(decoding: bytes, as: UTF8.self)
            closed(words.isEmpty ? "cannot connect" : words)
        case LWS_CALLBACK_RAW_CLOSE:
            closed(closeReason ?? "closed by the peer")
        default:
            break
        }
        return 0
    }

    private func writeable() -> Int32 {
        if flush() {
            unsafe lws_callback_on_writable(wsi)
            return 0
        }
        if closesAfterOutput {
            guard !isHeldByLibrary else {
                unsafe lws_callback_on_writable(wsi)
                return 0
            }
            switch linger {
            case .no: return -1
            case .afterOutput: beginToLinger()
            case .begun: break
            }
            return 0
        }
        handler?.channelDrained()
        return 0
    }

    private func closed(_ reason: String) {
        unsafe wsi = nil
        guard !hasSaidClosed else { return }
        hasSaidClosed = true
        let last = handler
        handler = nil
        last?.channelClosed(reason)
        whenClosed?()
        whenClosed = nil
    }

    /// Lets go of the handler, as a close does, where no socket was taken.
    func discard(_ reason: String) { closed(reason) }

    func destroyed() { closed(closeReason ?? "closed") }
}
