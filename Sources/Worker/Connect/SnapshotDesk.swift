import Binance
import Books
import DepthCacheAPI
import Telemetry
import Transport

/// What a book asks its exchange for over REST.
struct SnapshotOrder: Sendable {
    enum Purpose: Int, Sendable, Comparable, CaseIterable {
        /// A book that cannot be served until this arrives.
        case synchronize
        /// Whether the market is trading at all, of a book that is dark until that is known; failed ones go on asking.
        case status
        /// Whether a silent stream is dead.
        case probe
        /// Which of many markets trade, for all books of a loop at once.
        case check
        /// A served book that shows fewer levels than its depth.
        case deepen
        /// A served book that wants fresh levels.
        case refresh
        /// A served book that is compared with the exchange's.
        case audit

        /// How far it stands behind in the queue for weight: first copies, then depth and the few questions that come before
        /// it, then all else.
        var urgency: Int { isFirstCopy ? 0 : self <= .deepen ? 1 : 2 }

        /// Whether a book is dark until this is answered.
        var isFirstCopy: Bool { self <= .status }

        /// One over the part of the weight that it may use; nil: all of it.
        var ration: Int? {
            switch self {
            // Many markets may come back at once, and many may never: half is left for the others.
            case .status: 2
            case .probe, .check: 10
            case .audit: 50
            case .synchronize, .deepen, .refresh: nil
            }
        }

        static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    }

    var purpose: Purpose
    /// The book that asks, kept alive by `completion`; nil for a `check`, which is for many.
    var book: ObjectIdentifier?
    var market: String
    /// The markets that a `check` names; empty: it asks for all.
    var names: [String] = []
    var limit = 0
    var notBefore: Duration
    /// What a peer's copy must be to do as well; nil: only the exchange's answer will do.
    var copy: CopyTerms?
    /// Asked just before the request goes out; false: nobody wants it any more.
    ///
    /// What has to be ready for the answer begins here, so that nothing is collected while an order waits for its weight.
    var willSend: (@Sendable () -> Bool)?
    /// Called once, from any thread; never if a newer order of the same book and purpose took its place.
    var completion: @Sendable (SnapshotOutcome) -> Void
}

enum SnapshotOutcome: Sendable {
    case snapshot(BookSnapshot, limit: Int)
    /// Another worker's book, in place of a snapshot.
    case copy(BookCopy)
    case status(isTrading: Bool)
    /// All markets that a `check` was told of, and what of them.
    case statuses([String: MarketStatus])
    case unknownMarket(String)
    case failed(Reason, String)
}

/// Fetches snapshots for all books of one exchange, within its request weight and a bound on requests at once.
///
/// Orders go by purpose, the most urgent first, and none for depth while first copies come one after the other. Questions for a
/// market's status may use half of the weight, probes and questions for the status of many a tenth each, audits a fiftieth.
final class SnapshotDesk: Sendable {
    static let parallelRequests = 16
    private static let log = Log("snapshots")

    private struct State {
        var orders: [SnapshotOrder] = []
        var running = 0
        /// What the rationed purposes may spend.
        var rations: [SnapshotOrder.Purpose: WeightRation]
        var answeredAt: Duration = .zero
        /// Whether an order that could go has just been refused for want of weight.
        var lacksWeight = false
        var onLack: @Sendable () -> Void = {}
        var rush = FirstCopyRush()

        /// When it is looked again although nothing has happened; one timer is enough for all orders.
        var alarm: Duration?

        /// The purposes that may spend now, weight aside.
        func allowed(_ rations: [SnapshotOrder.Purpose: WeightRation], now: Duration) -> Set<
            SnapshotOrder.Purpose
        > {
            let isRush = rush.isOn(now: now)
            return Set(
                SnapshotOrder.Purpose.allCases.filter { purpose in
                    guard rations[purpose]?.hasRoom(now: now) != false else { return false }
                    // A silent stream cannot wait for the end of a rush: its book may be wrong. Nor can an empty one.
                    return purpose <= .probe || !isRush
                })
        }

        /// The most urgent order whose time has come, and behind it the first of each rationed purpose; thousands may
        /// wait, so none is copied.
        ///
        /// Where the most urgent one does not fit, what is rationed may pass: it is little, and would starve behind a long
        /// row of costly ones.
        func candidates(now: Duration) -> [Int] {
            let allowed = allowed(rations, now: now)
            var first = [Int?](repeating: nil, count: SnapshotOrder.Purpose.allCases.count)
            for index in orders.indices where orders[index].notBefore <= now {
                let purpose = orders[index].purpose
                guard first[purpose.rawValue] == nil, allowed.contains(purpose) else { continue }
                first[purpose.rawValue] = index
            }
            var candidates: [Int] = []
            for purpose in SnapshotOrder.Purpose.allCases where candidates.isEmpty || purpose.ration != nil {
                if let index = first[purpose.rawValue] { candidates.append(index) }
            }
            return candidates
        }
    }

    let exchange: Exchange
    private let http: HTTPClient
    private let clock: WorkerClock
    private let weight: Guarded<RequestWeight>
    private let state: Guarded<State>
    private let signal: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation
    private let weightGauge: Gauge

    private let desksOfPool: Int
    private let keys: ExchangeKeys?
    private let metrics: ExchangeRequestMetrics

    /// `weight` is shared by the `desksOfPool` exchanges of one pool.
    init(
        exchange: Exchange, http: HTTPClient, weight: Guarded<RequestWeight>, clock: WorkerClock,
        keys: ExchangeKeys? = nil, desksOfPool: Int = 1, metrics: MetricRegistry
    ) {
        self.exchange = exchange
        self.keys = keys
        self.desksOfPool = max(1, desksOfPool)
        self.http = http
        self.clock = clock
        self.weight = weight
        var rations: [SnapshotOrder.Purpose: WeightRation] = [:]
        for purpose in SnapshotOrder.Purpose.allCases {
            guard let part = purpose.ration else { continue }
            rations[purpose] = WeightRation(perMinute: Double(exchange.weightPerMinute) / Double(part))
        }
        state = Guarded(State(rations: rations))
        (signal, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        self.metrics = ExchangeRequestMetrics(exchange: exchange.name, metrics)
        weightGauge = metrics.gauge(
            "fathom_worker_request_weight_used",
            help: "Request weight used in this minute, as the exchange counts it.",
            labels: ["exchange": exchange.name])
    }

    /// Takes an order; one of the same book and purpose that still waits is dropped, since nobody wants its answer.
    ///
    /// The new order inherits the old one's time, so that a book that starts over again and again is served at last.
    func submit(_ order: SnapshotOrder) {
        let now = clock.now
        state.withLock { state in
            if order.purpose == .synchronize { state.rush.note(now: now) }
            let old = state.orders.firstIndex {
                $0.purpose == order.purpose && $0.book == order.book && $0.market == order.market
            }
            guard order.book != nil, let old else { return state.orders.append(order) }
            var order = order
            order.notBefore = min(order.notBefore, state.orders[old].notBefore)
            state.orders[old] = order
        }
        wake.yield()
    }

    /// Carries out orders until cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await _ in signal {
                while let (order, request, reservation) = next() {
                    group.addTask {
                        if order.willSend?() ?? true {
                            let started = ContinuousClock.now
                            let outcome = await self.fetch(order, request, reservation)
                            self.metrics.count(order.purpose, outcome, since: started)
                            order.completion(outcome)
                        } else {
                            self.weight.withLock { $0.giveBack(reservation) }
                        }
                        self.state.withLock { $0.running -= 1 }
                        self.wake.yield()
                    }
                }
                let onLack = state.withLock { $0.lacksWeight ? $0.onLack : nil }
                onLack?()
                if let (wait, alarm) = setAlarm() {
                    group.addTask {
                        do { try await Task.sleep(for: wait) } catch { return }
                        self.state.withLock { if $0.alarm == alarm { $0.alarm = nil } }
                        self.wake.yield()
                    }
                }
            }
        }
    }

    /// What the exchange's answers have told of its clock.
    var exchangeClock: ExchangeClock { weight.withLock { $0.clock } }

    /// How many programs share the address, as last told.
    var workers: Int { weight.withLock { $0.workers } }

    /// When the exchange last answered as it should.
    var answeredAt: Duration { state.withLock { $0.answeredAt } }

    /// The orders that wait.
    var waiting: [SnapshotOrder] { state.withLock { $0.orders } }

    /// Whether an order was refused for want of weight, and has not gone since.
    var lacksWeight: Bool { state.withLock { $0.lacksWeight } }

    /// Calls `action` whenever an order lacks weight.
    func onLack(_ action: @escaping @Sendable () -> Void) { state.withLock { $0.onLack = action } }

    /// Looks again at what may go.
    func weightChanged() { wake.yield() }

    /// What would go out now if there were weight for it, by urgency.
    func demands() -> [WeightReport.Demand] {
        let now = clock.now
        return state.withLock { state in
            var demands = [WeightReport.Demand](repeating: WeightReport.Demand(), count: 3)
            var rations = state.rations
            var allowed = state.allowed(rations, now: now)
            for order in state.orders where order.notBefore <= now && allowed.contains(order.purpose) {
                let weight = request(for: order).weight
                if rations[order.purpose] != nil {
                    rations[order.purpose]?.take(weight, now: now)
                    allowed = state.allowed(rations, now: now)
                }
                let urgency = order.purpose.urgency
                demands[urgency].weight += weight
                demands[urgency].orders += 1
                demands[urgency].largest = max(demands[urgency].largest, weight)
            }
            return demands
        }
    }

    private func request(for order: SnapshotOrder) -> RESTRequest {
        switch order.purpose {
        case .status: exchange.exchangeInfoRequest(markets: [order.market])
        case .check: exchange.exchangeInfoRequest(markets: order.names)
        default: exchange.depthRequest(market: order.market, limit: order.limit)
        }
    }

    /// The most urgent order that may go now and fits into what is left.
    private func next() -> (SnapshotOrder, RESTRequest, RequestWeight.Reservation)? {
        let now = clock.now
        return state.withLock { state in
            state.lacksWeight = false
            guard state.running < Self.parallelRequests else { return nil }
            let (limit, sharers) = weight.withLock { ($0.limitPerMinute, $0.workers * desksOfPool) }
            for purpose in SnapshotOrder.Purpose.allCases {
                guard let part = purpose.ration else { continue }
                state.rations[purpose]?.perMinute = Double(limit) / Double(part * sharers)
            }
            for index in state.candidates(now: now) {
                let order = state.orders[index]
                let request = request(for: order)
                let permission = weight.withLock {
                    $0.reserve(
                        request.weight, order.purpose.isFirstCopy ? .first : .other,
                        nowMilliseconds: WallClock.milliseconds)
                }
                guard case .granted(let reservation) = permission else {
                    state.lacksWeight = true
                    continue
                }
                state.rations[order.purpose]?.take(request.weight, now: now)
                state.orders.remove(at: index)
                state.running += 1
                return (order, request, reservation)
            }
            return nil
        }
    }

    /// How long to wait until orders may go; nil if none waits, or if something that is under way will wake us as soon.
    private func setAlarm() -> (wait: Duration, alarm: Duration)? {
        let now = clock.now
        return state.withLock { state in
            guard state.running < Self.parallelRequests, let first = state.orders.lazy.map(\.notBefore).min()
            else { return nil }
            // What is due and still here waits for weight, which is looked at again every half second.
            let alarm = max(first, now + .milliseconds(500))
            if let set = state.alarm, set <= alarm { return nil }
            state.alarm = alarm
            return (alarm - now, alarm)
        }
    }

    private func fetch(
        _ order: SnapshotOrder, _ request: RESTRequest, _ reservation: RequestWeight.Reservation
    ) async -> SnapshotOutcome {
        var call = HTTPClientRequest(url: request.url, tls: TLSClientSettings(authorityFile: exchange.caFile))
        call.timeout = .seconds(20)
        // A key crosses no network in clear text.
        let key = request.url.hasPrefix("https://") ? keys?.key(exchange.accountGroup) : nil
        if let key { call.headers.append(HTTPHeader(ExchangeCredentials.header, key.headerValue)) }
        let response: HTTPClientResponse
        let sent = WallClock.milliseconds
        do {
            response = try await http.send(call)
        } catch {
            weight.withLock {
                $0.observe(reservation, usedWeight: nil, nowMilliseconds: WallClock.milliseconds)
            }
            return failed(.exchangeUnreachable, "\(exchange.restBaseURL): \(error)", order)
        }
        let used = RequestWeight.usedWeight { response.headers.value(of: $0) }
        if let used { weightGauge.set(used) }
        let now = WallClock.milliseconds
        let failure =
            response.status == 200
            ? nil
            : RequestFailure(
                status: response.status, retryAfter: response.headers.value(of: "retry-after"),
                body: response.body,
                nowMilliseconds: now)
        weight.withLock {
            $0.observe(date: response.headers.value(of: "date"), sent: sent, received: now)
            $0.observe(reservation, usedWeight: used, failure: failure, nowMilliseconds: now)
        }
        if let failure { return judged(failure, order, sent: key) }
        state.withLock { $0.answeredAt = clock.now }
        return read(response.body, order)
    }

    private func read(_ body: [UInt8], _ order: SnapshotOrder) -> SnapshotOutcome {
        do {
            switch order.purpose {
            case .status:
                let info = try ExchangeInfo(parsing: body)
                return .status(isTrading: info.market(order.market)?.isTrading ?? false)
            case .check: return .statuses(MarketStatus.all(try ExchangeInfo(parsing: body)))
            default: return .snapshot(try SnapshotParser.parse(body), limit: order.limit)
            }
        } catch {
            return failed(
                .snapshotFailed, "\(exchange.restBaseURL) sent an unreadable answer: \(error)", order)
        }
    }

    private func judged(_ failure: RequestFailure, _ order: SnapshotOrder, sent key: APIKey?)
        -> SnapshotOutcome
    {
        // Exchanges have been seen to repeat what they were sent.
        let message = key?.removed(from: failure.message) ?? failure.message
        let words = "\(exchange.restBaseURL) answered \(failure.status): \(message)"
        if let key, failure.isAboutKey {
            keys?.refuse(key, group: exchange.accountGroup, reason: words)
            return failed(.snapshotFailed, words, order)
        }
        switch failure.remedy {
        case .unknownMarket: return .unknownMarket(words)
        case .wait(_, let isBan): return failed(isBan ? .banned : .rateLimited, words, order)
        case .retry, .permanent: return failed(.snapshotFailed, words, order)
        }
    }

    private func failed(_ reason: Reason, _ message: String, _ order: SnapshotOrder) -> SnapshotOutcome {
        Self.log.warning(
            "Exchange request failed",
            ["exchange": exchange.name, "market": order.market, "reason": reason.rawValue, "error": message])
        return .failed(reason, message)
    }
}
