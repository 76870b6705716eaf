internal import Glibc

/// HTTP/1.1 on one accepted socket: cuts the bytes into requests, one at a time, and frames the answers.
// Safe because: used on its loop's thread only, which debug builds check.
final class HTTPServerConnection: ByteChannelHandler, @unchecked Sendable {
    enum Phase {
        case head
        /// So many bytes of body belong to the request; they gather in `input`.
        case body(HTTPServerRequest, length: Int)
        /// The handler has the request; later bytes wait.
        case answering(Answer)
        case closed
    }
    struct Answer {
        var number: Int
        var keepsAlive: Bool
        /// Of HTTP/1.0: has to be told that the connection stays, and reads no chunks.
        var isOld = false
        var isHead: Bool
        /// The peer may still be sending what nobody will read.
        var lingers = false
        /// The head is out and pieces follow.
        var hasBegun = false
        var whenClosed: (@Sendable () -> Void)?
    }

    let server: HTTPServer
    /// The header `date` of its answers.
    var date = HTTPDateLine()
    let loop: EventLoop
    let remoteAddress: String
    /// Whose connections are counted together.
    let client: String
    private(set) var channel: ByteChannel?
    var input: [UInt8] = []
    /// Bytes of `input` that have been taken; cut off when all of them are, so that many small requests cost no moving.
    private var taken = 0
    /// How far after `taken` the end of a head was looked for.
    private var scanned = 0
    private var isReadingOn = false
    var phase = Phase.head
    var requests = 0
    /// When the present wait began: for a head, a body, or (idle) the next request.
    var waitingSince = ContinuousClock.now
    var isReading = true
    /// A request waits until the peer has taken the answers before it.
    var isHeldBack = false
    /// No further request is begun while more than this waits for the peer.
    private static let maximumBacklog = 256 << 10
    /// Whether there is a peer that speaks: at once, or with TLS after the handshake.
    var isOpen = false
    /// What the server counts of the memory that this connection takes; nothing while it is little.
    var held = 0
    static let smallHold = 4 << 10
    /// How far the peer had come with its answers when they were last looked at, and since when.
    var stall: (handedOver: Int, since: ContinuousClock.Instant)?

    init(server: HTTPServer, loop: EventLoop, remoteAddress: String) {
        self.server = server
        self.loop = loop
        self.remoteAddress = remoteAddress
        client = IPAddress.client(of: remoteAddress)
    }

    func start(_ channel: ByteChannel) { self.channel = channel }

    var backlogBytes: Int { channel?.backlogBytes ?? 0 }

    // MARK: Reading

    func channelOpened() { isOpen = true }

    func channelReceived(_ bytes: UnsafeRawBufferPointer) {
        // The time of a request runs from its first byte, however it trickles in.
        if case .head = phase, waiting == 0 { waitingSince = .now }
        unsafe input.append(contentsOf: bytes)
        readOn()
        account()
        if held > 0, input.count > Self.smallHold, server.heldBytes > server.configuration.maximumHeldBytes {
            return refuse(503, .memory, "too much waits for slow clients; try again")
        }
        // A peer that sends on while we answer must wait once a whole head could be there.
        if isReading
            && waiting > server.configuration.maximumHeaderBytes + server.configuration.maximumBodyBytes
        {
            isReading = false
            channel?.setReading(false)
        }
    }

    /// Bytes that have come and are not taken.
    var waiting: Int { input.count - taken }

    private func take(_ count: Int) {
        taken += count
        if taken == input.count {
            taken = 0
            if input.capacity > 16 << 10 { input = [] } else { input.removeAll(keepingCapacity: true) }
        } else if taken > 64 << 10 {
            input.removeFirst(taken)
            taken = 0
        }
    }

    /// Reads what is there; an answer given at once returns here, so that the stack does not grow with the requests.
    func readOn() {
        guard !isReadingOn else { return }
        isReadingOn = true
        defer { isReadingOn = false }
        while true {
            switch phase {
            case .head:
                let wasHeldBack = isHeldBack
                isHeldBack = backlogBytes > Self.maximumBacklog
                guard !isHeldBack else { return }
                if wasHeldBack { waitingSince = .now }
                guard readHead() else { return }
            case .body(var request, let length):
                guard waiting >= length else { return }
                request.body = Array(input[taken..<(taken + length)])
                take(length)
                handle(request)
            case .answering, .closed:
                return
            }
        }
    }

    /// Reads one head if it is there whole; false: wait or give up.
    private func readHead() -> Bool {
        guard let end = findHeadEnd() else {
            if waiting > server.configuration.maximumHeaderBytes {
                refuseHead()
            }
            return false
        }
        guard end <= server.configuration.maximumHeaderBytes else {
            refuseHead()
            return false
        }
        let head = Array(input[taken..<(taken + end)])
        take(end)
        scanned = 0
        let isTLS = server.configuration.tls != nil
        guard
            let request = HTTPServerRequest(
                head: head, loop: loop, remoteAddress: remoteAddress, isTLS: isTLS)
        else {
            refuse(400, .unreadable, "this is not an HTTP/1.1 request")
            return false
        }
        // RFC 9112, 3.2. Two are how a request gets past who reads only the first.
        guard request.has(one: "host") || request.isHTTP10 && request.header("host") == nil else {
            refuse(400, .unreadable, "a request of HTTP/1.1 needs one Host header")
            return false
        }
        return readBody(of: request)
    }

    /// Whether the request may be read on: how long its body is, and whether anybody waits for a go-ahead.
    private func readBody(of request: HTTPServerRequest) -> Bool {
        if request.header("transfer-encoding") != nil {
            refuse(411, .unreadable, "send the body with a Content-Length")
            return false
        }
        guard let text = request.header("content-length") else {
            handle(request)
            return true
        }
        // Two lengths are how a request is hidden in another one from who reads only the first.
        guard request.has(one: "content-length"), let length = Int(text), length >= 0,
            text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 })
        else {
            refuse(400, .unreadable, "Content-Length: expected one number of bytes, was '\(text.prefix(40))'")
            return false
        }
        guard length <= server.configuration.maximumBodyBytes else {
            refuse(413, .bodySize, "the body is larger than \(server.configuration.maximumBodyBytes) bytes")
            return false
        }
        if request.header("expect", is: "100-continue") {
            channel?.writeNow(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
        }
        if length == 0 { handle(request) } else { phase = .body(request, length: length) }
        return true
    }

    /// How many bytes the head takes, with the empty line that ends it; empty lines before a request are skipped.
    private func findHeadEnd() -> Int? {
        if scanned == 0 {
            var leading = 0
            while leading < waiting, [0x0D, 0x0A].contains(input[taken + leading]) { leading += 1 }
            if leading > 0 { take(leading) }
        }
        let start = taken
        let from = start + max(scanned, 1)
        guard from < input.count else { return nil }
        let end = unsafe input.withUnsafeBufferPointer { bytes -> Int? in
            var index = from
            while index < bytes.count {
                if unsafe bytes[index] == 0x0A {
                    if unsafe bytes[index - 1] == 0x0A { return index + 1 }
                    if index >= start + 2, unsafe bytes[index - 1] == 0x0D, unsafe bytes[index - 2] == 0x0A {
                        return index + 1
                    }
                }
                index += 1
            }
            return nil
        }
        scanned = waiting
        return end.map { $0 - start }
    }

    private func handle(_ request: HTTPServerRequest) {
        requests += 1
        let isOld = request.isHTTP10
        let keepsAlive =
            (!isOld || request.header("connection", lists: "keep-alive"))
            && !request.header("connection", lists: "close") && !server.closesAfterAnswers
        phase = .answering(
            Answer(
                number: requests, keepsAlive: keepsAlive, isOld: isOld,
                isHead: request.isMethod("HEAD")))
        if request.header("upgrade", is: "websocket"),
            let acceptor = server.acceptor(for: request.path)
        {
            upgrade(request, acceptor)
            return
        }
        let reply = HTTPReply(
            connection: self, number: requests, loop: loop,
            maximumBacklog: server.configuration.maximumStreamBacklog)
        server.handler.handle(request, reply)
    }

    private func upgrade(_ request: HTTPServerRequest, _ acceptor: any WebSocketAcceptor) {
        guard let channel, let key = request.header("sec-websocket-key"),
            let delegate = acceptor.accept(request)
        else {
            answer(
                requests, status: 400, headers: [], body: Array("this WebSocket is not accepted\n".utf8)[...])
            return
        }
        phase = .closed
        // The socket hears the channel from now on; the server still counts and stops it.
        channel.whenClosed = { [self] in
            self.channel = nil
            release()
            server.forget(self)
        }
        channel.writeNow(WebSocketHandshake.answer(to: key))
        let socket = WebSocket(
            channel: channel, delegate: delegate, isClient: false,
            maximumMessageBytes: WebSocketOptions().maxMessageBytes)
        let rest = Array(input[taken...])
        drop()
        socket.begin(with: rest)
    }

    func drop() {
        input = []
        taken = 0
        scanned = 0
    }

    // MARK: The end

    func channelDrained() {
        if held > 0 { account() }
        if isHeldBack { readOn() }
    }

    func channelClosed(_ reason: String) {
        let last = phase
        phase = .closed
        channel = nil
        input = []
        release()
        server.forget(self)
        if case .answering(let answer) = last { answer.whenClosed?() }
    }
}
