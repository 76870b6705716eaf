/// How the markets of an exchange are made.
struct EngineSettings: Sendable {
    var symbolCount = 50
    /// So many of the last symbols never change.
    var quietCount = 0
    var ratePerSecond = 10.0
    var changesPerEvent = 20
    var depth = 1100
    var spread = OrderSpread()
    /// Ticks per second that prices move by, on average.
    var driftPerSecond = 0.0
    var seed: UInt64 = 1
    var pace = 1.0
    var loopsReplays = false
    var weightLimit: Int?
    /// For so long the options exchange gives out the same snapshot of a symbol.
    var cacheSeconds = 0
}

/// One exchange: its markets, their streams and the clock that drives them.
///
/// Without sockets and without a clock of its own: time comes in as microseconds since 1970, frames go out to `StreamSubscriber`s.
final class ExchangeEngine {
    let exchange: Exchange
    let settings: EngineSettings
    private(set) var markets: [String: Market] = [:]
    /// The symbols in the order in which they are listed.
    private(set) var symbols: [String] = []
    private var streams: [String: DepthStream] = [:]
    private var active: [Market] = []
    private var renderer = EventRenderer()
    /// The source of ids, if the symbols share one.
    private let counter: IDCounter?
    /// When the next contract expires, in milliseconds.
    private var nextExpiry: Int64 = .max
    /// The time of the last tick, in microseconds.
    private(set) var now: Int64 = 0
    private(set) var eventCount = 0
    private(set) var frameCount = 0

    /// How many more requests get this status, and until when (microseconds).
    var forcedStatus: (status: Int, count: Int, until: Int64)?
    /// Until then (microseconds) new connections are refused.
    var refusesUntil: Int64 = 0

    init(_ exchange: Exchange, settings: EngineSettings, recordings: [Recording] = []) {
        self.exchange = exchange
        self.settings = settings
        counter =
            exchange.kind.chainsByPreviousID
            ? IDCounter(startingAt: exchange.firstID, seed: settings.seed) : nil
        let replayed = recordings.filter { $0.exchange == exchange.name }
        let names = exchange.syntheticSymbols(count: settings.symbolCount)
        for (index, symbol) in (names + [exchange.brokenSymbol]).enumerated() {
            guard !replayed.contains(where: { $0.symbol == symbol }) else { continue }
            let isQuiet = index >= names.count - settings.quietCount
            addSynthetic(symbol, ratePerSecond: isQuiet ? 0 : settings.ratePerSecond)
            markets[symbol]?.isTrading = index < names.count
        }
        for recording in replayed {
            markets[recording.symbol] = Market(
                replaying: ReplaySource(
                    recording: recording, pace: settings.pace, loops: settings.loopsReplays),
                kind: exchange.kind)
        }
        symbols = names.filter { markets[$0] != nil }
        for recording in replayed where !symbols.contains(recording.symbol) {
            symbols.append(recording.symbol)
        }
        symbols.append(exchange.brokenSymbol)
        nextExpiry = markets.values.compactMap(\.expiry).min() ?? .max
    }

    private func addSynthetic(_ symbol: String, ratePerSecond rate: Double) {
        let seed = SeededRandom.seed(settings.seed, exchange.name + "/" + symbol)
        let market = Market(
            symbol: symbol, exchange: exchange,
            source: SyntheticSource(
                shape: .of(symbol, kind: exchange.kind), depth: settings.depth, spread: settings.spread,
                driftPerEvent: rate > 0 ? settings.driftPerSecond / rate : 0, seed: seed),
            ratePerSecond: rate, counter: counter, seed: seed)
        market.changesPerEvent = settings.changesPerEvent
        if exchange.kind == .options { market.cacheMicroseconds = Int64(settings.cacheSeconds) * 1_000_000 }
        markets[symbol] = market
    }

    /// Ends a contract: it is listed no more, REST does not know it and its streams are silent for ever.
    ///
    /// The same contract of the next day takes its place; returns that one's symbol.
    @discardableResult func expire(_ market: Market) -> String? {
        guard let next = Expiry.successor(of: market.symbol), markets[next] == nil else { return nil }
        market.isTrading = false
        markets[market.symbol] = nil
        active.removeAll { $0 === market }
        addSynthetic(next, ratePerSecond: settings.ratePerSecond)
        symbols = symbols.map { $0 == market.symbol ? next : $0 }
        nextExpiry = markets.values.compactMap(\.expiry).min() ?? .max
        return next
    }

    /// The stream of that name, made at its first mention; nil if there is no such stream.
    private func stream(_ name: String) -> (DepthStream, Market)? {
        guard let mark = name.firstIndex(of: "@") else { return nil }
        let symbol = name[..<mark]
        // Stream names are in lower case; others are acknowledged and stay silent.
        guard symbol.utf8.allSatisfy({ !(65...90).contains($0) }), let market = markets[symbol.uppercased()],
            let milliseconds = exchange.kind.speeds[String(name[name.index(after: mark)...])]
        else { return nil }
        if let known = streams[name] { return (known, market) }
        let stream = DepthStream(name: name, symbol: market.symbol, milliseconds: milliseconds)
        streams[name] = stream
        return (stream, market)
    }

    func subscribe(_ subscriber: any StreamSubscriber, to name: String, at microseconds: Int64) {
        guard let (stream, market) = stream(name) else { return }
        guard !stream.subscribers.contains(where: { $0 === subscriber }) else { return }
        stream.subscribers.append(subscriber)
        if !market.streams.contains(where: { $0 === stream }) { market.streams.append(stream) }
        guard !active.contains(where: { $0 === market }) else { return }
        active.append(market)
        market.activate(at: microseconds)
    }

    func unsubscribe(_ subscriber: any StreamSubscriber, from name: String) {
        // A stream outlives its contract.
        guard let stream = streams[name] else { return }
        stream.subscribers.removeAll { $0 === subscriber }
        guard stream.subscribers.isEmpty else { return }
        _ = stream.take()
        markets[stream.symbol]?.streams.removeAll { $0 === stream }
    }

    var marketsUnderWay: Int { active.count }

    /// Lets everything happen that is due.
    func tick(at microseconds: Int64) {
        now = microseconds
        if microseconds / 1000 >= nextExpiry {
            for market in Array(markets.values) where (market.expiry ?? .max) <= microseconds / 1000 {
                expire(market)
            }
        }
        for market in active {
            var budget = 1000
            while let due = market.due, due <= microseconds, budget > 0 {
                guard let event = market.produce(at: microseconds) else { break }
                market.advance(now: microseconds)
                publish(event, of: market, at: microseconds)
                budget -= 1
            }
            for stream in market.streams where stream.hasWaiting && stream.flushDue <= microseconds {
                flush(stream, of: market)
            }
        }
    }

    /// Gives an event to the streams of its market.
    func publish(_ event: MarketEvent, of market: Market, at microseconds: Int64) {
        eventCount += 1
        guard !market.streams.isEmpty else { return }
        guard microseconds >= market.silentUntil else {
            for stream in market.streams { _ = stream.take() }
            return
        }
        var isRendered = false
        for stream in market.streams {
            guard stream.interval == 0 else {
                stream.merge(event, at: microseconds)
                continue
            }
            if !isRendered { renderer.render(event, of: market) }
            isRendered = true
            send(renderer.writer, to: stream)
        }
    }

    /// Sends what waits in a merged stream.
    func flush(_ stream: DepthStream, of market: Market) {
        guard let event = stream.take() else { return }
        send(event, to: stream, of: market)
    }

    func send(_ event: MarketEvent, to stream: DepthStream, of market: Market) {
        renderer.render(event, of: market)
        send(renderer.writer, to: stream)
    }

    /// Sends the text in `writer` to all subscribers of a stream, built once for each form.
    private func send(_ writer: borrowing ByteWriter, to stream: DepthStream) {
        let frame = StreamFrame(writer, prefix: stream.combinedPrefix, for: stream.subscribers)
        deliver(frame, to: stream)
    }

    func deliver(_ frame: StreamFrame, to stream: DepthStream) {
        frameCount += 1
        for subscriber in stream.subscribers { subscriber.send(frame) }
    }

    /// Everybody who is subscribed to a stream of one of these markets.
    func subscribers(of markets: [Market]) -> [any StreamSubscriber] {
        var found: [ObjectIdentifier: any StreamSubscriber] = [:]
        for market in markets {
            for stream in market.streams {
                for subscriber in stream.subscribers { found[ObjectIdentifier(subscriber)] = subscriber }
            }
        }
        return Array(found.values)
    }

    /// The markets that somebody listens to.
    var watchedMarkets: [Market] { active.filter { !$0.streams.isEmpty } }
}
