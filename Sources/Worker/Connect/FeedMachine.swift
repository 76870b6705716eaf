import Binance

/// One combined connection to an exchange as a pure machine.
///
/// It knows which streams are wanted, which are on the wire, what may be sent when, and whether the peer is alive. Time is a value; the effects are the returned actions.
struct FeedMachine: Sendable {
    struct Settings: Sendable {
        var messagesPerSecond = 5
        var streamsPerMessage = SubscriptionMessage.streamsPerMessage
        var pingInterval: Duration = .seconds(5)
        var silenceLimit: Duration = .seconds(10)
        var connectLimit: Duration = .seconds(10)
        var acknowledgeLimit: Duration = .seconds(10)
        /// Binance ends connections after 24 h; ours are replaced so long after their start, or up to `lifetimeSpread` earlier.
        var lifetime: Duration = .seconds(23 * 3600 + 1800)
        var lifetimeSpread: Duration = .seconds(600)
        /// So long after a replacement was asked for it is asked for again.
        var replacementRetry: Duration = .seconds(90)
        /// A connection that spoke for so long and left nothing unacknowledged was no failure: its loss is answered at once.
        var stableAfter: Duration = .seconds(10)
        var firstRetry: Duration = .milliseconds(250)
        /// A connection that has only begun is not replaced yet, lest an exchange that announces a shutdown to every new
        /// connection makes us use up the attempts.
        var leastAge: Duration = .seconds(5)
        var refusedRetry: Duration = .seconds(60)
    }

    enum Connection: Equatable, Sendable {
        case idle
        case waiting(until: Duration)
        case connecting(since: Duration)
        case open(since: Duration)
    }

    enum Method: String, Sendable { case subscribe = "SUBSCRIBE", unsubscribe = "UNSUBSCRIBE" }

    enum Action: Equatable, Sendable {
        case connect
        /// Drop the connection; `closed` is to be called at once, nothing of it is believed any more.
        case close(FeedEnd)
        /// Bring up another connection with the same streams, then close this one.
        case replace(FeedEnd)
        case send(Method, id: Int64, streams: [String])
        case ping
        /// The exchange acknowledged these streams: their events follow from now on.
        case subscribed([String])
        case refused(stream: String, code: Int, message: String)
    }

    private enum Wire: Equatable {
        case none
        case subscribing(Int64)
        case subscribed
        case unsubscribing(Int64)
    }

    private struct Stream {
        var isWanted = true
        /// Take it off the wire and subscribe again: it is acknowledged but dead.
        var mustRenew = false
        /// Was in a refused batch: ask for it alone, so that the culprit is found.
        var goesAlone = false
        var notBefore: Duration = .zero
        /// Was wanted again before it left the wire: whoever wants it now has not heard that it is acknowledged.
        var isRegained = false
        var wire = Wire.none
    }

    let settings: Settings
    private(set) var connection = Connection.idle
    private(set) var backoff = RetryBackoff()
    private var streams: [String: Stream] = [:]
    private var pending: [Int64: (streams: [String], since: Duration)] = [:]
    private var nextID: Int64 = 1
    private var window: RateWindow
    private var lastReceived: Duration = .zero
    private var lastPing: Duration = .zero
    private var replacement: (at: Duration, cause: FeedEnd)?
    /// Whether this connection has proved itself, however it may end.
    private var isProven = false

    init(settings: Settings = Settings()) {
        self.settings = settings
        window = RateWindow(limit: settings.messagesPerSecond, period: .seconds(1))
    }

    var streamCount: Int { streams.count }
    var isOpen: Bool { if case .open = connection { true } else { false } }
    var isEmpty: Bool { streams.isEmpty }

    mutating func add(_ name: String) {
        var stream = streams[name, default: Stream()]
        if !stream.isWanted, stream.wire == .subscribed { stream.isRegained = true }
        stream.isWanted = true
        streams[name] = stream
    }

    mutating func remove(_ name: String) {
        guard var stream = streams[name] else { return }
        stream.isWanted = false
        streams[name] = stream.wire == .none ? nil : stream
    }

    /// Asks for the stream anew; one that is not acknowledged is asked for anyway.
    mutating func renew(_ name: String) {
        if streams[name]?.wire == .subscribed { streams[name]?.mustRenew = true }
    }

    /// Anything that arrived proves the peer alive.
    mutating func received(now: Duration) { lastReceived = now }

    mutating func opened(now: Duration) {
        connection = .open(since: now)
        isProven = false
        lastReceived = now
        lastPing = now
        window = RateWindow(limit: settings.messagesPerSecond, period: .seconds(1))
        let early = settings.lifetimeSpread * Double.random(in: 0...1)
        replacement = (now + settings.lifetime - early, .lifetime)
    }

    /// Another connection is to take this one's place soon.
    mutating func mustBeReplaced(_ cause: FeedEnd, now: Duration) {
        guard case .open(let since) = connection, let planned = replacement else { return }
        replacement = (min(planned.at, max(now, since + settings.leastAge)), cause)
    }

    /// Why another connection is to take its place.
    var replacementCause: FeedEnd? { replacement?.cause }

    /// The replacement cannot begin now and is asked for again after `delay`.
    mutating func postponeReplacement(by delay: Duration, now: Duration) {
        if let due = replacement { replacement = (now + delay, due.cause) }
    }

    /// The connection is gone: nothing is on the wire, and the next attempt comes at once, or when it is the backoff's turn.
    mutating func closed(now: Duration) {
        let wait: Duration? = isProven ? settings.firstRetry * Double.random(in: 0..<1) : nil
        isProven = false
        pending = [:]
        replacement = nil
        for (name, stream) in streams {
            var stream = stream
            stream.wire = .none
            stream.mustRenew = false
            stream.isRegained = false
            streams[name] = stream.isWanted ? stream : nil
        }
        connection = streams.isEmpty ? .idle : .waiting(until: now + (wait ?? backoff.next()))
    }

    /// A reply to one of our messages; `error` is the exchange's code and text.
    mutating func replied(id: Int64, error: (code: Int, message: String)?, now: Duration) -> [Action] {
        guard let batch = pending.removeValue(forKey: id) else { return [] }
        var live: [String] = []
        var actions: [Action] = []
        for name in batch.streams {
            guard var stream = streams[name] else { continue }
            switch (stream.wire, error) {
            case (.subscribing(id), nil):
                stream.wire = .subscribed
                stream.goesAlone = false
                live.append(name)
            case (.subscribing(id), let error?):
                stream.wire = .none
                if batch.streams.count > 1 {
                    stream.goesAlone = true
                } else {
                    stream.notBefore = now + settings.refusedRetry
                    actions.append(.refused(stream: name, code: error.code, message: error.message))
                }
            case (.unsubscribing(id), _):
                stream.wire = .none
                stream.mustRenew = false
            default: continue
            }
            streams[name] = stream.isWanted || stream.wire != .none ? stream : nil
        }
        if !live.isEmpty { actions.append(.subscribed(live)) }
        return actions
    }

    /// What is due now.
    ///
    /// `mayConnect` is the limit on attempts that all connections to the exchange share.
    mutating func tick(now: Duration, mayConnect: Bool = true) -> [Action] {
        switch connection {
        case .idle:
            guard !streams.isEmpty else { return [] }
            connection = .waiting(until: now)
            return tick(now: now, mayConnect: mayConnect)
        case .waiting(let until):
            guard !streams.isEmpty else {
                connection = .idle
                return []
            }
            guard until <= now, mayConnect else { return [] }
            connection = .connecting(since: now)
            return [.connect]
        case .connecting(let since):
            return since + settings.connectLimit <= now ? [.close(.unanswered(settings.connectLimit))] : []
        case .open(let since):
            prove(since: since)
            return tickOpen(now: now)
        }
    }

    /// To be open is no proof: a connection that says nothing, or acknowledges nothing, would be opened again for ever.
    private mutating func prove(since: Duration) {
        guard !isProven, pending.isEmpty, lastReceived - since >= settings.stableAfter else { return }
        isProven = true
        backoff.reset()
    }

    private mutating func tickOpen(now: Duration) -> [Action] {
        if streams.isEmpty { return [.close(.notWanted)] }
        if lastReceived + settings.silenceLimit <= now {
            return [.close(.silent(settings.silenceLimit))]
        }
        if pending.values.contains(where: { $0.since + settings.acknowledgeLimit <= now }) {
            return [.close(.notAcknowledged)]
        }
        var actions = regained()
        if let due = replacement, due.at <= now {
            replacement = (now + settings.replacementRetry, due.cause)
            actions.append(.replace(due.cause))
        }
        if lastPing + settings.pingInterval <= now, window.hasRoom(now: now, reserve: 1) {
            actions.append(ping(now: now))
        }
        while window.hasRoom(now: now, reserve: 2), let message = nextMessage(now: now) {
            actions.append(message)
        }
        return actions
    }

    /// Streams that are acknowledged already are said to be so once more; those about to be renewed are not.
    private mutating func regained() -> [Action] {
        let names = streams.filter(\.value.isRegained).keys.sorted()
        for name in names { streams[name]?.isRegained = false }
        let live = names.filter {
            streams[$0]?.wire == .subscribed && streams[$0]?.isWanted == true
                && streams[$0]?.mustRenew == false
        }
        return live.isEmpty ? [] : [.subscribed(live)]
    }

    /// A ping out of turn, for a loop that was away and wants to hear the peer before it believes its books.
    mutating func pingNow(now: Duration) -> [Action] {
        guard isOpen, window.hasRoom(now: now) else { return [] }
        return [ping(now: now)]
    }

    private mutating func ping(now: Duration) -> Action {
        lastPing = now
        window.take(now: now)
        return .ping
    }

    private mutating func nextMessage(now: Duration) -> Action? {
        var toRemove: [String] = []
        var toAdd: [String] = []
        var alone: String?
        for (name, stream) in streams {
            switch stream.wire {
            case .subscribed where !stream.isWanted || stream.mustRenew: toRemove.append(name)
            case .none where stream.isWanted && stream.notBefore <= now:
                if stream.goesAlone { alone = name } else { toAdd.append(name) }
            default: continue
            }
        }
        if !toRemove.isEmpty { return message(.unsubscribe, toRemove, now) { .unsubscribing($0) } }
        if toAdd.isEmpty, let alone { toAdd = [alone] }
        guard !toAdd.isEmpty else { return nil }
        return message(.subscribe, toAdd, now) { .subscribing($0) }
    }

    private mutating func message(
        _ method: Method, _ names: [String], _ now: Duration, _ wire: (Int64) -> Wire
    ) -> Action {
        let batch = Array(names.sorted().prefix(settings.streamsPerMessage))
        let id = nextID
        nextID += 1
        for name in batch { streams[name]?.wire = wire(id) }
        pending[id] = (batch, now)
        window.take(now: now)
        return .send(method, id: id, streams: batch)
    }
}
