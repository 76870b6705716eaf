/// What a fault did to one market, so that a test can find the place.
struct FaultEffect: Equatable {
    var symbol: String
    var first: Int64?
    var last: Int64?
    /// Why nothing was done.
    var skipped: String?
}

/// What a fault did.
struct FaultReport: Equatable {
    var request: FaultRequest
    var effects: [FaultEffect] = []
    var connections = 0

    var wasDone: Bool { request.fault.isExchangeWide || effects.contains { $0.skipped == nil } }

    var json: [UInt8] {
        var writer = ByteWriter(capacity: 512)
        writer.literal("{\"exchange\":")
        writer.string(request.exchange)
        writer.literal(",\"fault\":")
        writer.string(request.fault.rawValue)
        writer.literal(",\"connections\":")
        writer.integer(Int64(connections))
        writer.literal(",\"symbols\":[")
        for (index, effect) in effects.enumerated() {
            if index > 0 { writer.literal(",") }
            writer.literal("{\"symbol\":")
            writer.string(effect.symbol)
            if let first = effect.first, let last = effect.last {
                writer.literal(",\"first\":")
                writer.integer(first)
                writer.literal(",\"last\":")
                writer.integer(last)
            }
            if let skipped = effect.skipped {
                writer.literal(",\"skipped\":")
                writer.string(skipped)
            }
            writer.literal("}")
        }
        writer.literal("]}")
        return writer.bytes
    }
}

extension ExchangeEngine {
    /// Makes trouble.
    ///
    /// `connections` are all open connections to this exchange.
    func inject(
        _ request: FaultRequest, connections: [any StreamSubscriber], at now: Int64
    ) throws(SimulatorError) -> FaultReport {
        var report = FaultReport(request: request)
        let until = now + Int64(request.durationMilliseconds) * 1000
        switch request.fault {
        case .tooManyRequests, .banned, .unavailable:
            forcedStatus = (Int(request.fault.rawValue) ?? 503, request.count, until)
        case .refuse: refusesUntil = until
        case .serverShutdown:
            let event = Array("{\"e\":\"serverShutdown\",\"E\":\(now / 1000)}".utf8)
            let prefix = Array("{\"stream\":\"!serverShutdown\",\"data\":".utf8)
            let frame = StreamFrame(raw: event, combined: prefix + event + [UInt8(ascii: "}")])
            for connection in connections { connection.send(frame) }
            report.connections = connections.count
        case .disconnect:
            let all = request.symbol == nil ? connections : subscribers(of: try targets(request))
            let victims = all.prefix(request.connectionLimit ?? all.count)
            for victim in victims { victim.drop(reason: "fault disconnect") }
            report.connections = victims.count
            report.effects = try targets(request).map(Self.standing)
        case .pingLoss:
            let victims = request.symbol == nil ? connections : subscribers(of: try targets(request))
            for victim in victims { victim.stall(until: until) }
            report.connections = victims.count
            report.effects = try targets(request).map(Self.standing)
        case .resume:
            forcedStatus = nil
            refusesUntil = 0
            for market in try targets(request) {
                market.isTrading = market.symbol != exchange.brokenSymbol
                market.isCancelOnly = false
                (market.silentUntil, market.slowUntil, market.staleUntil, market.lateUntil) = (0, 0, 0, 0)
                report.effects.append(Self.standing(market))
            }
        default:
            let markets = try targets(request)
            for market in markets { report.effects.append(afflict(market, request, until: until, at: now)) }
            report.connections = subscribers(of: markets).count
        }
        return report
    }

    private static func standing(_ market: Market) -> FaultEffect {
        FaultEffect(symbol: market.symbol, first: market.lastID, last: market.lastID)
    }

    private func targets(_ request: FaultRequest) throws(SimulatorError) -> [Market] {
        guard let symbol = request.symbol else {
            return watchedMarkets.isEmpty || request.fault == .resume ? Array(markets.values) : watchedMarkets
        }
        guard let market = markets[symbol.uppercased()] else {
            throw SimulatorError("unknown symbol '\(symbol)' of \(exchange.name)")
        }
        return [market]
    }

    /// Afflicts one market.
    ///
    /// Events that a fault needs happen now, not at their time, so that the answer can name them.
    private func afflict(
        _ market: Market, _ request: FaultRequest, until: Int64, at now: Int64
    ) -> FaultEffect {
        var effect = Self.standing(market)
        switch request.fault {
        case .silence: market.silentUntil = until
        case .halt: market.isTrading = false
        case .cancelOnly: market.isCancelOnly = true
        case .slowsnapshot: (market.slowUntil, market.slowMilliseconds) = (until, request.delayMilliseconds)
        case .stalesnapshot:
            (market.staleUntil, market.staleMilliseconds) = (until, request.delayMilliseconds)
        case .idreset:
            if !market.resetIDs(to: 1000) { effect.skipped = "a recording keeps its ids" }
            (effect.first, effect.last) = (effect.last, market.lastID)
        case .expire:
            if expire(market) == nil { effect.skipped = "no contract that can expire" }
        case .late: (market.lateUntil, market.lateMilliseconds) = (until, request.delayMilliseconds)
        case .corrupt:
            if !market.corrupt(rank: request.rank, isAsks: request.isAsks) {
                effect.skipped = "the side has fewer levels"
            }
        case .garbage: sendGarbage(request, to: market, at: now)
        case .gap:
            for index in 0..<request.count {
                guard let event = market.produce(at: now) else { return skipped(effect, at: index) }
                for stream in market.streams { _ = stream.take() }
                effect.first = index == 0 ? event.first : effect.first
                effect.last = event.last
            }
        case .duplicate:
            for index in 0..<request.count {
                guard let event = market.produce(at: now) else { return skipped(effect, at: index) }
                for stream in market.streams {
                    let whole = joined(event, stream, at: now)
                    for _ in 0..<2 { send(whole, to: stream, of: market) }
                }
                effect.first = index == 0 ? event.first : effect.first
                effect.last = event.last
            }
        case .reorder:
            for index in 0..<request.count {
                guard let one = market.produce(at: now), let two = market.produce(at: now) else {
                    return skipped(effect, at: index)
                }
                for stream in market.streams {
                    let whole = joined(one, stream, at: now)
                    send(two, to: stream, of: market)
                    send(whole, to: stream, of: market)
                }
                effect.first = index == 0 ? one.first : effect.first
                effect.last = two.last
            }
        default: effect.skipped = "not a fault of a single market"
        }
        return effect
    }

    private func skipped(_ effect: FaultEffect, at index: Int) -> FaultEffect {
        guard index == 0 else { return effect }
        return FaultEffect(
            symbol: effect.symbol, skipped: "no further event: not trading, or the recording is over")
    }

    /// The event together with what waited in the stream before it.
    private func joined(_ event: MarketEvent, _ stream: DepthStream, at now: Int64) -> MarketEvent {
        guard stream.hasWaiting else { return event }
        stream.merge(event, at: now)
        return stream.take() ?? event
    }

    private func sendGarbage(_ request: FaultRequest, to market: Market, at now: Int64) {
        let id = market.lastID
        let head = "{\"e\":\"depthUpdate\",\"E\":\(now / 1000),\"s\":\"\(market.symbol)\""
        let body: String
        switch request.form {
        case .text: body = "\u{1}garbage"
        case .truncated: body = head + ",\"U\":\(id + 1),\"u\":\(id + 2),\"b\":[[\"1.0"
        case .level:
            body = head + ",\"U\":\(id + 1),\"u\":\(id + 2),\"pu\":\(id),\"b\":[[\"1.2.3\",\"x\"]],\"a\":[]}"
        case .fields: body = head + "}"
        }
        let raw = Array(body.utf8)
        for stream in market.streams {
            var combined = raw
            if request.form != .text {
                combined = stream.combinedPrefix + raw
                if request.form != .truncated { combined.append(UInt8(ascii: "}")) }
            }
            for _ in 0..<request.count { deliver(StreamFrame(raw: raw, combined: combined), to: stream) }
        }
    }
}
