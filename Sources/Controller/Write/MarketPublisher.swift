internal import Binance
internal import DepthCacheAPI
internal import FoundationEssentials
internal import K8sClient
internal import Telemetry
internal import Transport

/// Publishes the markets of exchanges as ConfigMaps, so that gateways can refuse unknown ones.
///
/// An exchange that cannot be reached is asked again with growing waits, said once, and holds nothing else up.
actor MarketPublisher {
    private struct Target {
        var due: ContinuousClock.Instant
        var backoff = Backoff(initial: .seconds(5), maximum: .seconds(300))
        var problem: String?
        /// Whether it is being asked at the moment.
        var isUnderWay = false
    }

    private let client: KubernetesClient
    private let http: HTTPClient
    private let exchanges: ExchangeDirectory
    private let interval: Duration
    private let budget: GrantDesk
    private let metrics: ControllerMetrics
    private let log = Log("markets")
    private var targets: [String: Target] = [:]

    init(
        client: KubernetesClient, http: HTTPClient, exchanges: ExchangeDirectory, interval: Duration,
        budget: GrantDesk, metrics: ControllerMetrics
    ) {
        self.budget = budget
        self.client = client
        self.http = http
        self.exchanges = exchanges
        self.interval = interval
        self.metrics = metrics
    }

    /// Publishes until cancelled; `inUse` tells which exchanges matter now.
    func run(inUse: @Sendable () -> Set<String>) async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                for exchange in begin(inUse()) { group.addTask { await self.attempt(exchange) } }
                do { try await Task.sleep(for: .seconds(1)) } catch { return }
            }
        }
    }

    /// The exchanges whose turn it is, from now on under way.
    private func begin(_ inUse: Set<String>) -> [Exchange] {
        let wanted = Set(inUse.compactMap { exchanges[name: $0.asciiLowercased]?.name })
        targets = targets.filter { wanted.contains($0.key) || $0.value.isUnderWay }
        var due: [Exchange] = []
        for name in wanted.sorted() {
            var target = targets[name] ?? Target(due: .now)
            guard !target.isUnderWay, target.due <= .now, let exchange = exchanges[name: name] else {
                continue
            }
            target.isUnderWay = true
            targets[name] = target
            due.append(exchange)
        }
        return due
    }

    private func attempt(_ exchange: Exchange) async {
        let name = exchange.name
        var target = targets[name] ?? Target(due: .now)
        target.isUnderWay = false
        // Nobody else touches a target that is under way.
        defer { targets[name] = target }
        do {
            let count = try await publish(exchange)
            if target.problem != nil || target.backoff.failures == 0 {
                log.info("Published the markets of an exchange", ["exchange": name, "count": "\(count)"])
            }
            target.problem = nil
            target.backoff.reset()
            target.due = .now + interval
            metrics.exchangeReachable(name).set(1)
        } catch {
            guard !Task.isCancelled else { return }
            if target.problem == nil {
                log.warning(
                    "Cannot publish the markets of an exchange, will be repeated",
                    ["exchange": name, "reason": "\(error)"])
            }
            target.problem = "\(error)"
            var wait = target.backoff.next()
            if case .wait(let milliseconds, _) = (error as? RequestFailure)?.remedy {
                wait = max(wait, .milliseconds(milliseconds))
            }
            target.due = .now + wait
            metrics.exchangeReachable(name).set(0)
        }
    }

    private func publish(_ exchange: Exchange) async throws -> Int {
        let info = try await fetch(exchange)
        guard !info.markets.isEmpty else {
            throw ControllerError("\(exchange.name): exchangeInfo lists no markets")
        }
        let list = MarketList(
            exchange: exchange.name,
            markets: Dictionary(
                info.markets.map { ($0.symbol, $0.status) }, uniquingKeysWith: { first, _ in first }))
        for configMap in list.configMaps(namespace: client.namespace) { try await write(configMap) }
        return list.markets.count
    }

    /// Reads `exchangeInfo` within the budget, and tells the budget what it says of the limit.
    private func fetch(_ exchange: Exchange) async throws -> ExchangeInfo {
        let asked = exchange.exchangeInfoRequest()
        let reservation = try await reservation(exchange, asked.weight)
        var request = HTTPClientRequest(
            method: "GET", url: asked.url, tls: TLSClientSettings(authorityFile: exchange.caFile))
        request.timeout = .seconds(20)
        let sent = Self.wallMilliseconds
        let response: HTTPClientResponse
        do { response = try await http.send(request) } catch {
            await budget.observe(exchange, reservation, nil)
            throw error
        }
        var reply = GrantDesk.Reply(
            usedWeight: RequestWeight.usedWeight { response.headers.value(of: $0) },
            date: response.headers.value(of: "date"), sent: sent)
        do {
            guard response.status == 200 else {
                let failure = RequestFailure(
                    status: response.status, retryAfter: response.headers.value(of: "retry-after"),
                    body: response.body, nowMilliseconds: Self.wallMilliseconds)
                reply.failure = failure
                throw failure
            }
            let info = try ExchangeInfo(parsing: response.body)
            // Binance says to ignore that of USD-M futures.
            reply.serverTime = exchange.family == .usdMargined ? nil : info.serverTime
            reply.limit = info.weightPerMinute
            await budget.observe(exchange, reservation, reply)
            return info
        } catch {
            await budget.observe(exchange, reservation, reply)
            throw error
        }
    }

    private func reservation(_ exchange: Exchange, _ weight: Int) async throws -> RequestWeight.Reservation {
        let end = ContinuousClock.now + .seconds(15)
        while ContinuousClock.now < end {
            if let reservation = await budget.reserve(exchange, weight: weight) { return reservation }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw ControllerError("\(exchange.name): no request weight is left for exchangeInfo")
    }

    static var wallMilliseconds: Int64 { Int64(Date.now.timeIntervalSince1970 * 1000) }

    private func write(_ configMap: ConfigMap) async throws {
        let known: ConfigMap? = try await client.find(ConfigMap.self, configMap.metadata.name ?? "")
        guard var next = known else {
            try await client.create(configMap)
            return
        }
        guard next.data != configMap.data else { return }
        next.data = configMap.data
        next.metadata.labels.merge(configMap.metadata.labels) { $1 }
        try await client.update(next)
    }
}
