import Binance
import Books
import DepthCacheAPI
import Telemetry
import Transport

/// All connections and books of one event loop: carries frames to books and does what books and feeds ask for.
///
/// The actor's executor is the loop, so callbacks enter it without a hop.
actor FeedLoop {
    static let tickInterval: Duration = .milliseconds(100)
    static let log = Log("feed")

    nonisolated let loop: EventLoop
    nonisolated let pulse: LoopPulse
    nonisolated let clock: WorkerClock
    let board: ReportBoard
    var feeds: [Feed] = []
    private var lastTick: Duration
    private var lastBookTick: Duration = .zero
    private var isStopped = false

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    init(loop: EventLoop, clock: WorkerClock, board: ReportBoard) {
        self.loop = loop
        self.clock = clock
        self.board = board
        lastTick = clock.now
        pulse = LoopPulse(now: clock.now)
    }

    /// Runs `body` on the loop: at once if this is its thread, else soon.
    nonisolated func perform(_ body: @escaping @Sendable (isolated FeedLoop) -> Void) {
        if loop.isOnLoop {
            assumeIsolated { body($0) }
        } else {
            loop.execute { self.assumeIsolated { body($0) } }
        }
    }

    nonisolated func start() { perform { $0.tick() } }

    /// Ends all connections; the books are out of sync from then on.
    func stop() {
        isStopped = true
        for feed in feeds {
            let socket = feed.socket
            drop(feed, reason: "the worker stops", delay: nil)
            socket?.close(reason: "going away")
        }
        feeds = []
    }

    func keep(_ book: KeptBook, depth: Int, venue: Venue) {
        let feed = feeds.first { $0.venue === venue && $0.hasRoom } ?? openFeed(venue)
        let duty = BookDuty(book: book, depth: depth)
        feed.add(duty)
        book.state.withLock { $0.trust = feed.trust }
        report(duty)
    }

    func changeDepth(_ book: KeptBook, to depth: Int) {
        for feed in feeds {
            if let duty = feed.duties[book.stream], duty.book === book { duty.depth = depth }
        }
    }

    func letGo(_ book: KeptBook) {
        for feed in feeds where feed.duties[book.stream]?.book === book { feed.remove(book.stream) }
        book.state.withLock { state in
            state.trust = nil
            state.spare = nil
            state.book.streamClosed(.disconnected)
        }
    }

    private func openFeed(_ venue: Venue) -> Feed {
        let feed = Feed(venue: venue, pulse: pulse)
        feeds.append(feed)
        return feed
    }

    /// The heartbeat of the loop: notices that it was away, lets machines and books see the time.
    private func tick() {
        guard !isStopped else { return }
        let now = clock.now
        if now - lastTick > LoopPulse.limit { wasAway(now - lastTick) }
        lastTick = now
        for feed in feeds { tick(feed, now: now) }
        if now - lastBookTick >= .seconds(1) {
            lastBookTick = now
            for feed in feeds { tickBooks(feed, now: now) }
        }
        feeds.removeAll { $0.machine.isEmpty && $0.socket == nil }
        pulse.beat(now: now)
        loop.schedule(after: Self.tickInterval) { [weak self] in self?.perform { $0.tick() } }
    }

    /// The loop did not run for a while: nothing is believed until a pong that was asked for now comes back.
    private func wasAway(_ gap: Duration) {
        Self.log.warning(
            "Event loop was away", ["loop": loop.name, "milliseconds": "\(gap.wholeMilliseconds)"])
        for feed in feeds where feed.machine.isOpen {
            feed.trust.set(false)
            feed.pongNeeded = feed.pingsSent + 1
            for duty in feed.duties.values {
                duty.book.state.withLock { $0.book.suspend(.loopStalled) }
                report(duty)
            }
        }
    }

    private func tick(_ feed: Feed, now: Duration) {
        if let needed = feed.pongNeeded, feed.pingsSent < needed {
            carryOut(feed.machine.pingNow(now: now), feed, now)
        }
        carryOut(feed.machine.tick(now: now, mayConnect: feed.venue.mayConnect(now: now)), feed, now)
    }

    func carryOut(_ actions: [FeedMachine.Action], _ feed: Feed, _ now: Duration) {
        for action in actions {
            switch action {
            case .connect: connect(feed, now: now)
            case .close(let reason):
                let socket = feed.socket
                drop(feed, reason: reason, delay: nil)
                socket?.abort(reason)
            case .send(let method, let id, let streams):
                let kind: SubscriptionMessage.Method = method == .subscribe ? .subscribe : .unsubscribe
                feed.socket?.send(
                    text: String(decoding: SubscriptionMessage.text(kind, streams, id: id), as: UTF8.self))
            case .ping:
                feed.pingsSent += 1
                feed.socket?.ping(Array("\(feed.pingsSent)".utf8))
            case .subscribed(let streams): for stream in streams { opened(stream, feed, now) }
            case .refused(let stream, let code, let message):
                guard let duty = feed.duties[stream] else { continue }
                note(
                    duty, .exchangeUnreachable,
                    "the exchange refuses the stream \(stream): \(code) \(message)")
            }
        }
    }

    private func connect(_ feed: Feed, now: Duration) {
        feed.generation += 1
        feed.venue.tookAttempt(now: now)
        let exchange = feed.venue.exchange
        let ear = FeedEar(owner: self, feed: feed.trust, generation: feed.generation)
        do {
            feed.socket = try WebSocket.connect(
                exchange.streamURL, on: loop, tls: TLSClientSettings(authorityFile: exchange.caFile),
                delegate: ear)
        } catch {
            drop(feed, reason: "\(error)", delay: nil)
        }
    }

    func feed(_ trust: FeedTrust, _ generation: Int) -> Feed? {
        feeds.first { $0.trust === trust && $0.generation == generation }
    }

    /// Nothing of this connection is believed from here on; its books wait for the next one.
    func drop(_ feed: Feed, reason: String, delay: Duration?) {
        let wasOpen = feed.machine.isOpen
        feed.trust.set(false)
        feed.pongNeeded = nil
        feed.socket = nil
        feed.generation += 1
        feed.machine.closed(now: clock.now, delay: delay)
        guard !feed.duties.isEmpty else { return }
        let address = feed.venue.exchange.streamURL
        Self.log.warning(
            "Feed is down", ["exchange": feed.venue.exchange.name, "url": address, "reason": reason])
        let words = "\(address): \(reason); trying again with waits of up to 30 s"
        let cause: OutOfSyncReason = reason.hasPrefix("nothing received") ? .connectionSilent : .disconnected
        for duty in feed.duties.values {
            duty.isOpen = false
            forgetDoubt(duty)
            duty.awaited = nil
            duty.book.state.withLock { state in
                state.spare = nil
                state.book.streamClosed(cause)
                if state.book.phase == .failed { return }
                state.note = KeptBook.Note(
                    reason: wasOpen ? .disconnected : .exchangeUnreachable, message: words)
            }
            report(duty)
        }
    }
}

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

    func didReceivePong(_ payload: UnsafeRawBufferPointer, on socket: WebSocket) {
        let number = unsafe UInt64(String(decoding: payload, as: UTF8.self))
        owner.assumeIsolated { $0.didPong(number, feed, generation) }
    }

    func didClose(_ reason: WebSocketCloseReason, on socket: WebSocket) {
        owner.assumeIsolated { owner in
            guard let feed = owner.feed(feed, generation) else { return }
            owner.drop(feed, reason: reason.description, delay: nil)
        }
    }
}
