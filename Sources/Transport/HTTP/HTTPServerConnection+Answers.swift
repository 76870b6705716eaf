/// Answering: frames what the handler gives, for the request that is under way.
extension HTTPServerConnection {
    func current(_ number: Int) -> Answer? {
        loop.assertOnLoop()
        guard case .answering(let answer) = phase, answer.number == number else { return nil }
        return answer
    }

    func answer(_ number: Int, status: Int, headers: [HTTPHeader], body: ArraySlice<UInt8>) {
        guard let answer = current(number), !answer.hasBegun else { return }
        if isAffordable(body) {
            write(answer, status, body) { appendHead(status: status, headers: headers, to: &$0) }
        } else {
            refuseMemory(answer)
        }
    }

    /// The usual answer, whose head is always the same.
    func answerJSON(_ number: Int, _ body: ArraySlice<UInt8>) {
        guard let answer = current(number), !answer.hasBegun else { return }
        if isAffordable(body) {
            write(answer, 200, body) {
                $0.append(contentsOf: Self.jsonHead)
                $0.append(contentsOf: date.line)
            }
        } else {
            refuseMemory(answer)
        }
    }
    private static let jsonHead = Array("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n".utf8)

    /// Says that too much waits for slow readers already.
    private func refuseMemory(_ answer: Answer) {
        let (headers, body) = memoryRefusal()
        write(answer, 503, body) { appendHead(status: 503, headers: headers, to: &$0) }
    }

    private func write(
        _ answer: Answer, _ status: Int, _ body: ArraySlice<UInt8>, head: (inout [UInt8]) -> Void
    ) {
        channel?.writeNow { bytes in
            head(&bytes)
            Self.append(connectionOf: answer, to: &bytes)
            // These have no body, and a length would be read as that of the answer to a plain GET.
            if HTTPStatus.hasBody(status) {
                bytes.append(raw: "content-length: ")
                Self.append(body.count, to: &bytes)
                bytes.append(raw: "\r\n")
            }
            bytes.append(raw: "\r\n")
            if HTTPStatus.hasBody(status), !answer.isHead { bytes.append(contentsOf: body) }
        }
        account()
        finish(answer)
    }

    func begin(_ number: Int, status: Int, headers: [HTTPHeader]) {
        guard var answer = current(number), !answer.hasBegun else { return }
        // Without chunks only the end of the connection tells where the answer ends.
        if answer.isOld { answer.keepsAlive = false }
        var bytes: [UInt8] = []
        appendHead(status: status, headers: headers, to: &bytes)
        Self.append(connectionOf: answer, to: &bytes)
        bytes.append(raw: answer.isOld ? "\r\n" : "transfer-encoding: chunked\r\n\r\n")
        answer.hasBegun = true
        phase = .answering(answer)
        channel?.writeNow(bytes)
    }

    func add(_ number: Int, _ bytes: [UInt8]) {
        guard let answer = current(number), answer.hasBegun, !answer.isHead, !bytes.isEmpty else { return }
        guard backlogBytes <= server.configuration.maximumStreamBacklog else { return cut(number) }
        if answer.isOld {
            channel?.writeNow(bytes)
        } else {
            var piece = Array(String(bytes.count, radix: 16).utf8)
            piece.append(contentsOf: [0x0D, 0x0A])
            piece.append(contentsOf: bytes)
            piece.append(contentsOf: [0x0D, 0x0A])
            channel?.writeNow(piece)
        }
        account()
    }

    /// Ends a streamed answer whose reader does not keep up; what it has not taken is dropped, so that it sees a break.
    func cut(_ number: Int) {
        guard current(number) != nil else { return }
        server.refusals.add(.slowReader, client: remoteAddress)
        channel?.close("the reader is too slow", afterOutput: false)
    }

    func end(_ number: Int) {
        guard let answer = current(number), answer.hasBegun else { return }
        if !answer.isOld { channel?.writeNow(Array("0\r\n\r\n".utf8)) }
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
            channel?.close("the answer said so", lingers: answer.lingers)
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

    /// Appends the status and the headers, with the date if it is not among them.
    private func appendHead(status: Int, headers: [HTTPHeader], to bytes: inout [UInt8]) {
        bytes.append(
            contentsOf: status == 200
                ? "HTTP/1.1 200 OK\r\n".utf8 : "HTTP/1.1 \(status) \(HTTPStatus.reason(status))\r\n".utf8)
        for header in headers {
            bytes.append(contentsOf: header.name.utf8)
            bytes.append(contentsOf: ": ".utf8)
            bytes.append(contentsOf: header.value.utf8)
            bytes.append(contentsOf: "\r\n".utf8)
        }
        if !headers.contains(where: { $0.name == "date" }) { bytes.append(contentsOf: date.line) }
    }

    private static func append(connectionOf answer: Answer, to bytes: inout [UInt8]) {
        if !answer.keepsAlive {
            bytes.append(raw: "connection: close\r\n")
        } else if answer.isOld {
            bytes.append(raw: "connection: keep-alive\r\n")
        }
    }

    private static func append(_ number: Int, to bytes: inout [UInt8]) {
        if number >= 10 { append(number / 10, to: &bytes) }
        bytes.append(UInt8(0x30 + number % 10))
    }
}

extension [UInt8] {
    fileprivate mutating func append(raw text: StaticString) {
        unsafe append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
}
