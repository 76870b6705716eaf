/// The socket of a session, as far as the session knows it.
protocol SessionWire: AnyObject {
    /// Sends a text of its own to this client.
    func send(text: [UInt8])
    /// Sends a frame that others get too, in one of its forms.
    func send(_ frame: StreamFrame, isCombined: Bool)
    func ping(_ payload: [UInt8])
    func close(code: UInt16, reason: String)
    /// Cuts the connection without a word.
    func abort()
    /// Stops reading, so that not even pings are answered.
    func stall(until microseconds: Int64)
}

/// One WebSocket client: its subscriptions, its manners and what it is told.
final class StreamSession: StreamSubscriber {
    private let engine: ExchangeEngine
    private weak var wire: (any SessionWire)?
    private(set) var isCombined: Bool
    /// Whether depth streams flow on this path; on others they are acknowledged and silent.
    private let carriesDepth: Bool
    private(set) var names: [String] = []
    private var meter: RateMeter
    private var stalledUntil: Int64 = 0
    private let pingMicroseconds: Int64
    private var nextPing: Int64 = 0
    /// The pings that no pong has answered, oldest first.
    private var unanswered: [(payload: [UInt8], since: Int64)] = []
    private let lifetimeMicroseconds: Int64
    private var endsAt: Int64 = .max
    private(set) var isOver = false

    init(
        _ engine: ExchangeEngine, wire: any SessionWire, path: StreamPath, pingSeconds: Int? = nil,
        lifetimeSeconds: Int = 86_400
    ) {
        lifetimeMicroseconds = Int64(lifetimeSeconds) * 1_000_000
        pingMicroseconds = Int64(pingSeconds ?? engine.exchange.pingSeconds) * 1_000_000
        self.engine = engine
        self.wire = wire
        isCombined = path.isCombined
        carriesDepth = path.carriesDepth
        meter = RateMeter(
            limit: engine.exchange.messagesPerSecond, intervalMicroseconds: 1_000_000)
    }

    /// Subscribes to the streams named in the URL.
    func open(_ names: [String], at microseconds: Int64) {
        nextPing = microseconds + pingMicroseconds
        endsAt = microseconds + lifetimeMicroseconds
        for name in names { add(name, at: microseconds) }
    }

    /// Pings when it is time, and ends a connection whose client has stopped answering.
    func keepAlive(at microseconds: Int64) {
        guard !isOver, microseconds >= stalledUntil else { return }
        if let oldest = unanswered.first,
            microseconds - oldest.since > Int64(engine.exchange.pongSeconds) * 1_000_000
        {
            return finish(code: 1008, reason: "Pong timeout")
        }
        if microseconds >= endsAt { return finish(code: 1001, reason: "Connection lifetime is over") }
        guard microseconds >= nextPing else { return }
        nextPing = microseconds + pingMicroseconds
        let payload = Array(String(microseconds / 1000).utf8)
        unanswered.append((payload, microseconds))
        wire?.ping(payload)
    }

    /// Takes a pong; it counts as a message, and proves life only if it carries what a ping of ours did.
    func receivePong(_ payload: [UInt8], at microseconds: Int64) {
        if let index = unanswered.firstIndex(where: { $0.payload == payload }) {
            unanswered.removeFirst(index + 1)
        }
        _ = countMessage(at: microseconds)
    }

    /// Takes a ping, which the transport answers; it counts as a message.
    func receivePing(at microseconds: Int64) {
        if !isOver { _ = countMessage(at: microseconds) }
    }

    private func finish(code: UInt16, reason: String) {
        end()
        wire?.close(code: code, reason: reason)
    }

    private func add(_ name: String, at microseconds: Int64) {
        guard !names.contains(name) else { return }
        names.append(name)
        if carriesDepth { engine.subscribe(self, to: name, at: microseconds) }
    }

    /// Takes a message of the client.
    func receive(_ bytes: [UInt8], at microseconds: Int64) {
        guard !isOver, microseconds >= stalledUntil, countMessage(at: microseconds) else { return }
        do throws(ControlError) {
            wire?.send(text: try carryOut(ControlMessage.parse(bytes), at: microseconds))
        } catch { wire?.send(text: error.bytes) }
    }

    /// Counts a message of any kind, pongs and pings included; one too many ends the connection.
    func countMessage(at microseconds: Int64) -> Bool {
        if meter.allows(at: microseconds) { return true }
        finish(code: 1008, reason: "Too many requests")
        return false
    }

    private func carryOut(
        _ message: ControlMessage, at microseconds: Int64
    ) throws(ControlError) -> [UInt8] {
        switch message.method {
        case .subscribe(let wanted):
            let fresh = Set(wanted).subtracting(names)
            guard names.count + fresh.count <= engine.exchange.streamsPerConnection else {
                throw ControlError(
                    code: 2,
                    message:
                        "Invalid request: too many parameters, at most \(engine.exchange.streamsPerConnection) streams per connection",
                    id: message.id)
            }
            for name in wanted { add(name, at: microseconds) }
            return ControlMessage.reply("null", message.id)
        case .unsubscribe(let unwanted):
            for name in unwanted { engine.unsubscribe(self, from: name) }
            names.removeAll(where: unwanted.contains)
            return ControlMessage.reply("null", message.id)
        case .listSubscriptions:
            var writer = ByteWriter(capacity: 64 + names.count * 32)
            writer.literal("[")
            for (index, name) in names.enumerated() {
                if index > 0 { writer.literal(",") }
                writer.string(name)
            }
            writer.literal("]")
            return ControlMessage.reply(String(decoding: writer.bytes, as: UTF8.self), message.id)
        case .setCombined(let combined):
            isCombined = combined
            return ControlMessage.reply("null", message.id)
        case .getCombined: return ControlMessage.reply(isCombined ? "true" : "false", message.id)
        }
    }

    func send(_ frame: StreamFrame) {
        guard !isOver, engine.now >= stalledUntil else { return }
        wire?.send(frame, isCombined: isCombined)
    }

    func drop(reason: String) {
        end()
        wire?.abort()
    }

    func stall(until microseconds: Int64) {
        stalledUntil = microseconds
        wire?.stall(until: microseconds)
    }

    /// Forgets all subscriptions; the connection is closed or about to be.
    func end() {
        guard !isOver else { return }
        isOver = true
        for name in names { engine.unsubscribe(self, from: name) }
        names = []
    }
}

/// What the URL of a WebSocket says.
struct StreamPath: Equatable {
    var isCombined: Bool
    var carriesDepth: Bool
    var streams: [String]

    /// Understands `[/public]/ws[/name…]` and `[/public]/stream[?streams=…]`, after the exchange's name; nil for other paths.
    init?(_ path: String, _ query: QueryString, kind: MarketKind) {
        var parts = path.split(separator: "/").map { QueryString.decode($0) }
        carriesDepth = true
        if kind.isRoutedByCategory, let category = parts.first,
            ["public", "market", "private"].contains(category)
        {
            carriesDepth = category == "public"
            parts.removeFirst()
        }
        switch parts.first {
        case "ws":
            isCombined = false
            streams = Array(parts.dropFirst())
        case "stream" where parts.count == 1:
            isCombined = true
            streams = query["streams"]?.split(separator: "/").map(String.init) ?? []
        default: return nil
        }
    }
}
