import Binance
import Books
import Telemetry
import Transport

/// Records the feeds and snapshots of some markets over one connection, until cancelled or the duration is over.
///
/// - Throws: `RecordingError` if the files cannot be written or the exchange does not know a market.
package func runRecording(_ configuration: RecordingConfiguration) async throws {
    let loop = try EventLoop(name: "record")
    let recorder: FeedRecorder
    do {
        recorder = try FeedRecorder(configuration, loop: loop)
    } catch {
        loop.stop()
        throw error
    }
    let result: Result<Void, any Error>
    do { result = .success(try await recorder.run()) } catch { result = .failure(error) }
    loop.stop()
    try result.get()
}

/// The connection, its markets and their files; everything on one loop's thread, which also waits for the disk.
actor FeedRecorder {
    static let log = Log("record")
    static let tickInterval: Duration = .milliseconds(100)
    static let progressInterval: Duration = .seconds(5)
    static let parallelRequests = 4

    nonisolated let loop: EventLoop
    private nonisolated let clock = WorkerClock()
    let configuration: RecordingConfiguration
    let markets: [RecordedMarket]
    let http: HTTPClient
    var weight: RequestWeight
    var requests: [ObjectIdentifier: Task<Void, Never>] = [:]
    private let parser = DepthEventParser()
    private var event = DepthEvent()
    private var machine: FeedMachine
    private var attempts = RateWindow(limit: 60, period: .seconds(300))
    private var socket: WebSocket?
    private var generation = 0
    private var startedAt: Duration?
    private var shownAt: Duration = .zero
    private var unreadable = 0
    private var ending: CheckedContinuation<Void, any Error>?
    private var end: Result<Void, RecordingError>?

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }
    nonisolated var now: Duration { clock.now }

    init(_ configuration: RecordingConfiguration, loop: EventLoop) throws {
        self.configuration = configuration
        self.loop = loop
        let exchange = configuration.exchange
        var settings = FeedMachine.Settings()
        settings.messagesPerSecond = exchange.messagesPerSecond
        machine = FeedMachine(settings: settings)
        http = try HTTPClient(connectionsPerHost: Self.parallelRequests)
        weight = RequestWeight(limitPerMinute: exchange.weightPerMinute)
        var markets: [RecordedMarket] = []
        for name in configuration.markets {
            guard
                let stream = exchange.depthStream(
                    name, intervalMilliseconds: configuration.intervalMilliseconds)
            else { throw RecordingError("\(exchange.name) offers no such interval") }
            let directory =
                configuration.markets.count == 1
                ? configuration.directory : "\(configuration.directory)/\(Exchange.canonicalMarket(name))"
            let files = try RecordingFiles(directory: directory)
            markets.append(
                RecordedMarket(name: name, stream: stream, files: files, rule: exchange.sequenceRule))
            machine.add(stream)
        }
        self.markets = markets
    }

    /// Records; returns when it is over and everything is in the files.
    func run() async throws {
        tick()
        defer { finish() }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                ending = continuation
                settle()
            }
        } onCancel: {
            perform { $0.stop(.success(())) }
        }
    }

    /// Runs `body` on the loop: at once if this is its thread, else soon.
    private nonisolated func perform(_ body: @escaping @Sendable (isolated FeedRecorder) -> Void) {
        if loop.isOnLoop {
            assumeIsolated { body($0) }
        } else {
            loop.execute { self.assumeIsolated { body($0) } }
        }
    }

    /// Ends the recording; the first reason counts.
    func stop(_ reason: Result<Void, RecordingError>) {
        end = end ?? reason
        settle()
    }

    private func settle() {
        guard let end, let ending else { return }
        self.ending = nil
        ending.resume(with: end.mapError { $0 })
    }

    private func finish() {
        generation += 1
        for request in requests.values { request.cancel() }
        socket?.close(reason: "the recording is over")
        for market in markets {
            do { try market.files.flush() } catch {
                Self.log.error("Recording is not whole", ["market": market.name, "error": "\(error)"])
            }
            if !market.hasSnapshot {
                Self.log.warning("Recording has no snapshot that fits", ["market": market.name])
            }
        }
        configuration.onProgress(progress(now))
    }

    private func tick() {
        guard end == nil else { return }
        let now = now
        carryOut(machine.tick(now: now, mayConnect: attempts.hasRoom(now: now)), now)
        for market in markets where market.wantsSnapshot(now: now, every: configuration.snapshotInterval) {
            request(market)
        }
        if now - shownAt >= Self.progressInterval {
            shownAt = now
            guarded { () throws(RecordingError) in for market in markets { try market.files.flush() } }
            configuration.onProgress(progress(now))
        }
        if let startedAt, let duration = configuration.duration, now - startedAt >= duration {
            return stop(.success(()))
        }
        loop.schedule(after: Self.tickInterval) { [weak self] in self?.perform { $0.tick() } }
    }

    private func progress(_ now: Duration) -> String {
        func sum(_ count: (RecordedMarket) -> Int) -> Int { markets.reduce(0) { $0 + count($1) } }
        let seconds = startedAt.map { (now - $0).components.seconds } ?? 0
        let names = markets.count == 1 ? markets[0].name : "\(markets.count) markets"
        return "\(seconds) s, \(names): \(sum(\.events)) events, \(sum(\.files.byteCount) / 1024) KiB, "
            + "\(sum(\.files.snapshotCount)) snapshots, \(sum(\.gaps)) gaps"
            + (unreadable > 0 ? ", \(unreadable) unreadable frames" : "")
            + (machine.isOpen ? "" : ", not connected")
    }

    /// Ends the recording if `body` cannot write.
    func guarded(_ body: () throws(RecordingError) -> Void) {
        do { try body() } catch { stop(.failure(error)) }
    }

    // The connection

    private func carryOut(_ actions: [FeedMachine.Action], _ now: Duration) {
        for action in actions {
            switch action {
            case .connect: connect(now)
            // A recording may have a gap where its connection is replaced; the snapshot after it goes on from there.
            case .close(let cause), .replace(let cause):
                let old = socket
                lost(cause.description)
                old?.abort(cause.description)
            case .send(let method, let id, let streams):
                let kind: SubscriptionMessage.Method = method == .subscribe ? .subscribe : .unsubscribe
                socket?.send(
                    text: String(decoding: SubscriptionMessage.text(kind, streams, id: id), as: UTF8.self))
            case .ping: socket?.ping([])
            case .subscribed(let streams):
                startedAt = startedAt ?? now
                for market in markets where streams.contains(market.stream) { market.opened(now: now) }
            case .refused(let stream, let code, let message):
                stop(
                    .failure(RecordingError("the exchange refuses the stream \(stream): \(code) \(message)")))
            }
        }
    }

    private func connect(_ now: Duration) {
        generation += 1
        attempts.take(now: now)
        let exchange = configuration.exchange
        do {
            socket = try WebSocket.connect(
                exchange.streamURL, on: loop, tls: TLSClientSettings(authorityFile: exchange.caFile),
                delegate: RecorderEar(owner: self, generation: generation))
        } catch {
            lost("\(error)")
        }
    }

    private func lost(_ reason: String) {
        generation += 1
        socket = nil
        machine.closed(now: now)
        for market in markets { market.closed() }
        if end == nil {
            Self.log.warning(
                "Connection lost, opened anew", ["exchange": configuration.exchange.name, "reason": reason])
        }
    }

    fileprivate func opened(_ number: Int) {
        guard number == generation else { return }
        machine.opened(now: now)
        carryOut(machine.tick(now: now), now)
    }

    fileprivate func closed(_ number: Int, _ reason: String) {
        if number == generation { lost(reason) }
    }

    fileprivate func ponged(_ number: Int) {
        if number == generation { machine.received(now: now) }
    }

    fileprivate func received(_ frame: UnsafeRawBufferPointer, _ number: Int) {
        guard number == generation, end == nil else { return }
        let (now, time) = (now, WallTime.now)
        machine.received(now: now)
        let message: WireMessage
        do throws(WireError) {
            message = unsafe try parser.parse(frame.bytes, into: &event)
        } catch {
            unreadable += 1
            Self.log.warning("Frame cannot be read", ["error": "\(error)"])
            return
        }
        switch message {
        case .depth(let stream, _):
            guard let market = markets.first(where: { unsafe frame[stream].elementsEqual($0.streamBytes) })
            else {
                return
            }
            market.note(event)
            guarded { () throws(RecordingError) in unsafe try market.files.add(frame: frame, at: time) }
        case .reply(let reply):
            guard let id = reply.id else { return }
            let error = reply.errorCode.map { (code: Int($0), message: reply.message ?? "") }
            carryOut(machine.replied(id: id, error: error, now: now), now)
        case .serverShutdown: Self.log.info("Exchange announces that this connection will end")
        case .other: return
        }
    }
}

/// Hears one connection and passes it to the recorder, on whose thread it already is.
private final class RecorderEar: WebSocketDelegate {
    private let owner: FeedRecorder
    private let generation: Int

    init(owner: FeedRecorder, generation: Int) {
        self.owner = owner
        self.generation = generation
    }

    func didOpen(_ socket: WebSocket) { owner.assumeIsolated { $0.opened(generation) } }

    func didReceive(_ message: UnsafeRawBufferPointer, isText: Bool, on socket: WebSocket) {
        // Safe because: the call is on the actor's own thread and ends before the frame does.
        nonisolated(unsafe) let frame = unsafe message
        owner.assumeIsolated { unsafe $0.received(frame, generation) }
    }

    func didReceivePong(_ payload: UnsafeRawBufferPointer, on socket: WebSocket) {
        owner.assumeIsolated { $0.ponged(generation) }
    }

    func didClose(_ reason: WebSocketCloseReason, on socket: WebSocket) {
        owner.assumeIsolated { $0.closed(generation, reason.description) }
    }
}
