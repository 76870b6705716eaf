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
    /// So long is a book that was compared with the exchange's own not audited again.
    let auditRest: Duration
    /// Where the evidence of a mismatch goes; nil: nowhere.
    let evidence: EvidenceStore?
    var feeds: [Feed] = []
    var duties: [BookID: BookDuty] = [:]
    let settings: LineSettings
    let statusPace: StatusPace
    /// By venue.
    var statusRounds: [ObjectIdentifier: StatusRound] = [:]
    /// Counts the connections of this loop.
    private var connections = 0
    /// When the loop last noticed that it had been away.
    private(set) var stalledAt: Duration = .zero
    private var lastTick: Duration
    private var lastBookTick: Duration = .zero
    private var isStopped = false

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    init(
        loop: EventLoop, clock: WorkerClock, board: ReportBoard, settings: LineSettings = LineSettings(),
        statusPace: StatusPace = StatusPace(), auditRest: Duration = .seconds(60),
        evidence: EvidenceStore? = nil
    ) {
        self.loop = loop
        self.clock = clock
        self.board = board
        self.settings = settings
        self.statusPace = statusPace
        self.auditRest = auditRest
        self.evidence = evidence
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
            feed.handover = nil
            drop(feed, .workerStops)
            socket?.close(reason: "going away")
        }
        feeds = []
        for duty in duties.values { duty.lines = [] }
        duties = [:]
    }

    /// The heartbeat of the loop: notices that it was away, lets machines and books see the time.
    private func tick() {
        guard !isStopped else { return }
        let now = clock.now
        if now - lastTick > LoopPulse.limit { wasAway(now - lastTick, now: now) }
        lastTick = now
        for feed in feeds { tick(feed, now: now) }
        if now - lastBookTick >= .seconds(1) {
            lastBookTick = now
            tickBooks(now: now)
            watchLines(now: now)
            tickHandovers(now: now)
        }
        // One that is to take another one's place goes with that.
        feeds.removeAll { $0.machine.isEmpty && $0.socket == nil && !$0.isStandIn }
        pulse.beat(now: now)
        loop.schedule(after: Self.tickInterval) { [weak self] in self?.perform { $0.tick() } }
    }

    /// The loop did not run for a while: nothing is believed until a pong that was asked for now comes back.
    private func wasAway(_ gap: Duration, now: Duration) {
        Self.log.warning(
            "Event loop was away", ["loop": loop.name, "milliseconds": "\(gap.wholeMilliseconds)"])
        stalledAt = now
        for feed in feeds where feed.machine.isOpen { feed.trust.set(false) }
        for duty in duties.values where duty.isOpen {
            duty.isStalled = true
            duty.book.state.withLock { $0.book.suspend(.loopStalled) }
            report(duty)
        }
    }

    /// Whether a pong proves that everything the exchange sent before the loop came back has been heard.
    func hasCaughtUp(_ feed: Feed) -> Bool { feed.pings.provenAt.map { $0 >= stalledAt } ?? false }

    private func tick(_ feed: Feed, now: Duration) {
        if stalledAt > .zero, feed.pings.sentAt.map({ $0 < stalledAt }) ?? true {
            carryOut(feed.machine.pingNow(now: now), feed, now)
        }
        carryOut(feed.machine.tick(now: now, mayConnect: feed.venue.mayConnect(now: now)), feed, now)
    }

    func carryOut(_ actions: [FeedMachine.Action], _ feed: Feed, _ now: Duration) {
        for action in actions {
            switch action {
            case .connect: connect(feed, now: now)
            case .close(let end):
                let socket = feed.socket
                drop(feed, end)
                socket?.abort(end.description)
            case .replace(let cause): beginHandover(feed, cause, now)
            case .send(let method, let id, let streams):
                let kind: SubscriptionMessage.Method = method == .subscribe ? .subscribe : .unsubscribe
                feed.socket?.send(
                    text: String(decoding: SubscriptionMessage.text(kind, streams, id: id), as: UTF8.self))
            case .ping:
                feed.ping(now: now)
            case .subscribed(let streams):
                for stream in streams { if let line = feed.lines[stream] { open(line, now) } }
            case .refused(let stream, let code, let message):
                guard let duty = feed.lines[stream]?.duty, !duty.isOpen else { continue }
                note(
                    duty, .exchangeUnreachable,
                    "the exchange refuses the stream \(stream): \(code) \(message)")
            }
        }
    }

    private func connect(_ feed: Feed, now: Duration) {
        connections += 1
        feed.generation = connections
        feed.venue.tookAttempt(now: now)
        let exchange = feed.venue.exchange
        let ear = FeedEar(owner: self, feed: feed.trust, generation: feed.generation)
        do {
            feed.socket = try WebSocket.connect(
                exchange.streamURL, on: loop, tls: TLSClientSettings(authorityFile: exchange.caFile),
                delegate: ear)
        } catch {
            drop(feed, .failed("\(error)"))
        }
    }

    func feed(_ trust: FeedTrust, _ generation: Int) -> Feed? {
        feeds.first { $0.trust === trust && $0.generation == generation }
    }
}
