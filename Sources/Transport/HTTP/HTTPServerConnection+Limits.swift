/// What a peer may cost: memory, and time.
extension HTTPServerConnection {
    func refuseHead() {
        let most = server.configuration.maximumHeaderBytes
        refuse(431, .headSize, "the request's head is larger than \(most) bytes")
    }

    /// Answers what cannot be read on, and closes.
    func refuse(_ status: Int, _ limit: HTTPRefusal, _ words: String) {
        server.refusals.add(limit, client: remoteAddress)
        if case .answering(let answer) = phase, answer.hasBegun { return cut(answer.number) }
        // A slow sender has had its time.
        phase = .answering(
            Answer(number: requests, keepsAlive: false, isHead: false, lingers: limit != .slowSender))
        let (type, body) = refusal(status, words)
        answer(requests, status: status, headers: [HTTPHeader("content-type", type)], body: body[...])
        drop()
        // The connection may stay for a while, for a peer that is still sending; nothing of what it sent does.
        account()
    }

    private func refusal(_ status: Int, _ words: String) -> (type: String, body: [UInt8]) {
        server.configuration.refusalBody?(status, words) ?? ("text/plain", Array((words + "\n").utf8))
    }

    /// Tells the server how much memory this connection takes, where that is worth counting.
    func account() {
        let now = input.count + (channel?.unsentBytes ?? 0)
        let counted = now > Self.smallHold ? now : 0
        guard counted != held else { return }
        server.hold(counted - held)
        held = counted
    }

    func release() {
        if held > 0 { server.hold(-held) }
        held = 0
    }

    /// Whether the peer has taken nothing of its answers for too long.
    private func isStalled(_ now: ContinuousClock.Instant) -> Bool {
        guard let channel, channel.unsentBytes > 0 else {
            stall = nil
            return false
        }
        guard let stall, stall.handedOver == channel.handedOver else {
            stall = (channel.handedOver, now)
            return false
        }
        return now - stall.since > server.configuration.writeTimeout
    }

    /// Closes the connection if it waits too long for a head, a body, a next request, or for its peer to read.
    func sweep(now: ContinuousClock.Instant) {
        loop.assertOnLoop()
        let limits = server.configuration
        if case .closed = phase { return }
        if isStalled(now) {
            server.refusals.add(.slowReader, client: remoteAddress)
            channel?.close("the peer does not read", afterOutput: false)
            return
        }
        switch phase {
        case .head where !isOpen:
            if now - waitingSince > limits.requestTimeout {
                server.refusals.add(.slowSender, client: remoteAddress)
                channel?.close("no handshake in time", afterOutput: false)
            }
        case .head where isHeldBack:
            if now - waitingSince > limits.idleTimeout {
                server.refusals.add(.slowReader, client: remoteAddress)
                channel?.close("the peer does not read", afterOutput: false)
            }
        case .head where waiting == 0:
            if server.isDraining || now - waitingSince > limits.idleTimeout {
                channel?.close("idle", afterOutput: true)
            }
        case .head, .body:
            if now - waitingSince > limits.requestTimeout {
                refuse(408, .slowSender, "the request did not arrive in time")
            }
        case .answering, .closed:
            break
        }
    }

    /// Whether an answer may wait for its reader: small ones always, large ones until too much waits for slow readers already.
    func isAffordable(_ body: ArraySlice<UInt8>) -> Bool {
        body.count <= Self.smallHold || server.heldBytes + body.count <= server.configuration.maximumHeldBytes
    }

    /// What takes the place of an answer that is not affordable.
    func memoryRefusal() -> (headers: [HTTPHeader], body: ArraySlice<UInt8>) {
        server.refusals.add(.memory, client: remoteAddress)
        let (type, words) = refusal(503, "too much waits for slow clients; try again")
        return ([HTTPHeader("content-type", type), HTTPHeader("retry-after", "1")], words[...])
    }
}
