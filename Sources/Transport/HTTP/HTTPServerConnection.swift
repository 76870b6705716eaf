internal import Glibc

/// HTTP/1.1 on one accepted socket: cuts the bytes into requests, one at a time, and frames the answers.
// Safe because: used on its loop's thread only, which debug builds check.
final class HTTPServerConnection: ByteChannelHandler, @unchecked Sendable {
    private enum Phase {
        case head
        case body(HTTPServerRequest, missing: Int)
        /// The handler has the request; later bytes wait.
        case answering(Answer)
        case closed
    }
    private struct Answer {
        var number: Int
        var keepsAlive: Bool
        var isHead: Bool
        /// The head is out and pieces follow.
        var hasBegun = false
        var isChunked = false
        var whenClosed: (@Sendable () -> Void)?
    }

    private let server: HTTPServer
    private let loop: EventLoop
    private let remoteAddress: String
    private(set) var channel: ByteChannel?
    private var input: [UInt8] = []
    /// Bytes of `input` that have been taken; cut off when all of them are, so that many small requests cost no moving.
    private var taken = 0
    /// How far after `taken` the end of a head was looked for.
    private var scanned = 0
    private var isReadingOn = false
    private var phase = Phase.head
    private var requests = 0
    /// When the present wait began: for a head, a body, or (idle) the next request.
    private var waitingSince = ContinuousClock.now
    private var isReading = true
    /// A request waits until the peer has taken the answers before it.
    private var isHeldBack = false
    /// No further request is begun while more than this waits for the peer.
    private static let maximumBacklog = 256 << 10

    init(server: HTTPServer, loop: EventLoop, remoteAddress: String) {
        self.server = server
        self.loop = loop
        self.remoteAddress = remoteAddress
    }

    func start(_ channel: ByteChannel) { self.channel = channel }

    var backlogBytes: Int { channel?.backlogBytes ?? 0 }

    // MARK: Reading

    func channelOpened() {}

    func channelReceived(_ bytes: UnsafeRawBufferPointer) {
        if waiting == 0 && scanned == 0 { waitingSince = .now }
        unsafe input.append(contentsOf: bytes)
        readOn()
        // A peer that sends on while we answer must wait once a whole head could be there.
        if isReading
            && waiting > server.configuration.maximumHeaderBytes + server.configuration.maximumBodyBytes
        {
            isReading = false
            channel?.setReading(false)
        }
    }

    /// Bytes that have come and are not taken.
    private var waiting: Int { input.count - taken }

    private func take(_ count: Int) {
        taken += count
        if taken == input.count {
            taken = 0
            if input.capacity > 256 << 10 { input = [] } else { input.removeAll(keepingCapacity: true) }
        } else if taken > 64 << 10 {
            input.removeFirst(taken)
            taken = 0
        }
    }

    /// Reads what is there; an answer given at once returns here, so that the stack does not grow with the requests.
    private func readOn() {
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
            case .body(var request, let missing):
                let count = min(missing, waiting)
                request.body.append(contentsOf: input[taken..<(taken + count)])
                take(count)
                guard count == missing else {
                    phase = .body(request, missing: missing - count)
                    return
                }
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
                refuse(
                    431, "the request's head is larger than \(server.configuration.maximumHeaderBytes) bytes")
            }
            return false
        }
        guard end <= server.configuration.maximumHeaderBytes else {
            refuse(431, "the request's head is larger than \(server.configuration.maximumHeaderBytes) bytes")
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
            refuse(400, "this is not an HTTP/1.1 request")
            return false
        }
        return readBody(of: request)
    }

    /// Whether the request may be read on: how long its body is, and whether anybody waits for a go-ahead.
    private func readBody(of request: HTTPServerRequest) -> Bool {
        if request.header("transfer-encoding") != nil {
            refuse(411, "send the body with a Content-Length")
            return false
        }
        guard let text = request.header("content-length") else {
            handle(request)
            return true
        }
        guard let length = Int(text), length >= 0, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else {
            refuse(400, "Content-Length: expected a number of bytes, was '\(text.prefix(40))'")
            return false
        }
        guard length <= server.configuration.maximumBodyBytes else {
            refuse(413, "the body is larger than \(server.configuration.maximumBodyBytes) bytes")
            return false
        }
        if request.header("expect")?.lowercased() == "100-continue" {
            channel?.writeNow(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
        }
        if length == 0 { handle(request) } else { phase = .body(request, missing: length) }
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
        let asked = request.header("connection")?.lowercased()
        let keepsAlive = request.isHTTP10 ? asked == "keep-alive" : asked != "close"
        phase = .answering(
            Answer(
                number: requests, keepsAlive: keepsAlive && !server.closesAfterAnswers,
                isHead: request.isMethod("HEAD")))
        if request.header("upgrade")?.lowercased() == "websocket",
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
            answer(requests, status: 400, headers: [], body: Array("this WebSocket is not accepted\n".utf8))
            return
        }
        phase = .closed
        // The socket hears the channel from now on; the server still counts and stops it.
        channel.whenClosed = { [self] in
            self.channel = nil
            server.forget(self, on: loop)
        }
        channel.writeNow(WebSocketHandshake.answer(to: key))
        let socket = WebSocket(
            channel: channel, delegate: delegate, isClient: false,
            maximumMessageBytes: WebSocketOptions().maxMessageBytes)
        let rest = Array(input[taken...])
        drop()
        socket.begin(with: rest)
    }

    /// Answers what cannot be read on, and closes.
    private func refuse(_ status: Int, _ words: String) {
        server.countRefused(status)
        phase = .answering(Answer(number: requests, keepsAlive: false, isHead: false))
        let (type, body) =
            server.configuration.refusalBody?(status, words) ?? ("text/plain", Array((words + "\n").utf8))
        answer(requests, status: status, headers: [HTTPHeader("content-type", type)], body: body)
        drop()
    }

    private func drop() {
        input = []
        taken = 0
        scanned = 0
    }

    // MARK: Answering

    private func current(_ number: Int) -> Answer? {
        loop.assertOnLoop()
        guard case .answering(let answer) = phase, answer.number == number else { return nil }
        return answer
    }

    func answer(_ number: Int, status: Int, headers: [HTTPHeader], body: [UInt8]) {
        guard let answer = current(number), !answer.hasBegun else { return }
        var bytes = Self.head(
            status: status, headers: headers, keepsAlive: answer.keepsAlive, extra: 160 + body.count)
        // These have no body, and a length would be read as that of the answer to a plain GET.
        if HTTPStatus.hasBody(status) {
            bytes.append(contentsOf: "content-length: ".utf8)
            Self.append(body.count, to: &bytes)
            bytes.append(contentsOf: "\r\n".utf8)
        }
        bytes.append(contentsOf: "\r\n".utf8)
        if HTTPStatus.hasBody(status), !answer.isHead { bytes.append(contentsOf: body) }
        channel?.writeNow(bytes)
        finish(answer)
    }

    func begin(_ number: Int, status: Int, headers: [HTTPHeader]) {
        guard var answer = current(number), !answer.hasBegun else { return }
        var bytes = Self.head(status: status, headers: headers, keepsAlive: answer.keepsAlive, extra: 64)
        bytes.append(contentsOf: "transfer-encoding: chunked\r\n\r\n".utf8)
        answer.hasBegun = true
        phase = .answering(answer)
        channel?.writeNow(bytes)
    }

    func add(_ number: Int, _ bytes: [UInt8]) {
        guard let answer = current(number), answer.hasBegun, !answer.isHead, !bytes.isEmpty else { return }
        guard backlogBytes <= server.configuration.maximumStreamBacklog else { return cut(number) }
        var piece = Array(String(bytes.count, radix: 16).utf8)
        piece.append(contentsOf: [0x0D, 0x0A])
        piece.append(contentsOf: bytes)
        piece.append(contentsOf: [0x0D, 0x0A])
        channel?.writeNow(piece)
    }

    /// Ends a streamed answer whose reader does not keep up; what it has not taken is dropped, so that it sees a break.
    func cut(_ number: Int) {
        guard current(number) != nil else { return }
        channel?.close("the reader is too slow", afterOutput: false)
    }

    func end(_ number: Int) {
        guard let answer = current(number), answer.hasBegun else { return }
        channel?.writeNow(Array("0\r\n\r\n".utf8))
        finish(answer)
    }

    func whenClosed(_ number: Int, _ body: @escaping @Sendable () -> Void) {
        guard var answer = current(number) else {
            body()
            return
        }
        answer.whenClosed = body
        phase = .answering(answer)
    }

    /// The reply was dropped: without an answer there is nothing left to say on this connection.
    func abandon(_ number: Int) {
        guard current(number) != nil else { return }
        channel?.close("the request was not answered", afterOutput: false)
    }

    private func finish(_ answer: Answer) {
        guard answer.keepsAlive else {
            phase = .closed
            channel?.close("the answer said so")
            return
        }
        phase = .head
        waitingSince = .now
        if !isReading {
            isReading = true
            channel?.setReading(true)
        }
        if waiting > 0 { readOn() }
    }

    private static func head(status: Int, headers: [HTTPHeader], keepsAlive: Bool, extra: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(extra)
        bytes.append(
            contentsOf: status == 200
                ? "HTTP/1.1 200 OK\r\n".utf8 : "HTTP/1.1 \(status) \(HTTPStatus.reason(status))\r\n".utf8)
        for header in headers {
            bytes.append(contentsOf: header.name.utf8)
            bytes.append(contentsOf: ": ".utf8)
            bytes.append(contentsOf: header.value.utf8)
            bytes.append(contentsOf: "\r\n".utf8)
        }
        if !keepsAlive { bytes.append(contentsOf: "connection: close\r\n".utf8) }
        return bytes
    }

    private static func append(_ number: Int, to bytes: inout [UInt8]) {
        if number >= 10 { append(number / 10, to: &bytes) }
        bytes.append(UInt8(0x30 + number % 10))
    }

    // MARK: The end

    /// Closes the connection if it waits too long for a head, a body or a next request.
    func sweep(now: ContinuousClock.Instant) {
        loop.assertOnLoop()
        let limits = server.configuration
        switch phase {
        case .head where isHeldBack:
            if now - waitingSince > limits.idleTimeout {
                channel?.close("the peer does not read", afterOutput: false)
            }
        case .head where waiting == 0:
            if server.isDraining || now - waitingSince > limits.idleTimeout {
                channel?.close("idle", afterOutput: true)
            }
        case .head, .body:
            if now - waitingSince > limits.requestTimeout {
                refuse(408, "the request did not arrive in time")
            }
        case .answering, .closed:
            break
        }
    }

    func channelDrained() {
        if isHeldBack { readOn() }
    }

    func channelClosed(_ reason: String) {
        let last = phase
        phase = .closed
        channel = nil
        server.forget(self, on: loop)
        if case .answering(let answer) = last { answer.whenClosed?() }
    }
}
