import Binance
import DepthCacheAPI
import K8sClient
import Telemetry

/// Brings the books in line with the replicas that are assigned, and tells what has become of each.
actor ReplicaKeeper {
    /// Tells people of an object what happened to it.
    typealias Announce = @Sendable (ObjectReference, CoreEvent.Kind, Reason, String) -> Void
    private static let log = Log("replicas")

    private let incarnation: String
    private let exchanges: ExchangeDirectory
    private let venues: [String: Venue]
    private let loops: [FeedLoop]
    private let directory: BookDirectory
    let metrics: MetricRegistry
    private let clock: WorkerClock
    let announce: Announce?
    private(set) var assignments: Assignments
    private(set) var books: [BookID: (book: KeptBook, loop: FeedLoop, demand: BookDemand)] = [:]
    private(set) var reports: [BookID: KeptBook.Report] = [:]
    var reachGauges: [BookID: ReachGauges] = [:]
    private(set) var statuses: [String: DepthCacheReplicaStatus] = [:]
    private var uids: [String: String] = [:]
    private var meter = LoadMeter()
    /// What the replicas cost, for whoever asks.
    nonisolated let loads = Guarded(LoadReport(rates: [:]))
    private(set) var queue = StatusQueue<DepthCacheReplicaStatus>()

    init(
        incarnation: String, exchanges: ExchangeDirectory, venues: [String: Venue], loops: [FeedLoop],
        directory: BookDirectory, metrics: MetricRegistry, clock: WorkerClock, linger: Duration,
        announce: Announce? = nil
    ) {
        self.announce = announce
        self.incarnation = incarnation
        self.exchanges = exchanges
        self.venues = venues
        self.loops = loops
        self.directory = directory
        self.metrics = metrics
        self.clock = clock
        assignments = Assignments(linger: linger)
    }

    /// Takes all replicas that are labelled for this worker.
    func assign(_ replicas: [DepthCacheReplica]) {
        let now = clock.now
        assignments.replace(
            with: replicas.filter { !$0.metadata.isBeingDeleted }.compactMap(assignment), now: now)
        settle()
    }

    /// Why no data flows although there should be some; nil if it does, or if there is nothing to keep.
    var unreadiness: String? {
        // What has failed will not come back by waiting, and says nothing about the worker.
        let hopeful = books.keys.filter { reports[$0]?.phase != .failed }
        guard let first = hopeful.min(by: { $0.description < $1.description }),
            !hopeful.contains(where: { reports[$0]?.phase == .synchronized })
        else { return nil }
        let why =
            reports[first].map { "\(first) is \($0.phase.rawValue), \($0.reason)" } ?? "they have just begun"
        return "none of \(hopeful.count) books is synchronised: \(why)"
    }

    /// Nothing is assigned, and nothing that was lingers.
    var isEmpty: Bool { assignments.isEmpty }

    /// Lets time pass: what has lingered long enough goes.
    func tick() {
        if assignments.expire(now: clock.now) { settle() }
        showPhases()
        showReach()
        if meter.isDue(now: clock.now) { measure() }
    }

    private func measure() {
        meter.look(books.mapValues { $0.book.state.withLock { $0.messages } }, now: clock.now)
        let rates = assignments.replicas.compactMapValues { $0.book.flatMap { meter.rate($0) } }
        loads.withLock { $0 = LoadReport(rates: rates) }
    }

    private func assignment(_ replica: DepthCacheReplica) -> Assignment? {
        guard let name = replica.metadata.name, let uid = replica.metadata.uid else { return nil }
        let spec = replica.spec
        var assignment = Assignment(
            replica: name, uid: uid, exchange: spec.exchange, market: spec.market, depth: spec.depth,
            refreshInterval: spec.refreshIntervalSeconds.map { .seconds($0) })
        assignment.objects = [ObjectReference(replica)]
        if let owner = replica.metadata.ownerReferences.first(where: { $0.controller == true }) {
            assignment.objects.append(
                ObjectReference(
                    apiVersion: owner.apiVersion, kind: owner.kind, name: owner.name,
                    namespace: replica.metadata.namespace, uid: owner.uid))
        }
        guard let exchange = exchanges[name: spec.exchange.asciiLowercased],
            venues[exchange.marketDataName] != nil
        else {
            assignment.problem = .init(
                reason: .unknownExchange,
                message:
                    "unknown exchange \(spec.exchange); known are \(exchanges.names.joined(separator: ", "))")
            return assignment
        }
        let market = Exchange.canonicalMarket(spec.market)
        let interval = spec.updateIntervalMilliseconds ?? exchange.defaultUpdateInterval
        guard exchange.depthStream(market, intervalMilliseconds: interval) != nil else {
            let offered = exchange.updateIntervals.map(String.init).joined(separator: ", ")
            assignment.problem = .init(
                reason: .unsupportedInterval,
                message: "\(exchange.name) offers \(offered) ms, not \(interval) ms")
            return assignment
        }
        assignment.book = BookID(
            venue: exchange.marketDataName, market: market, intervalMilliseconds: interval)
        return assignment
    }

    /// Makes and ends books, points queries at them, and brings statuses up to date.
    private func settle() {
        let wanted = assignments.books
        for (id, entry) in books where wanted[id] == nil {
            entry.loop.perform { [book = entry.book] in $0.letGo(book) }
            books[id] = nil
            reports[id] = nil
            reachGauges[id] = nil
            metrics.removeSeries(ofMarket: id.market, with: id.metricLabels)
        }
        for (id, demand) in wanted {
            if let entry = books[id] {
                guard entry.demand != demand else { continue }
                books[id]?.demand = demand
                entry.loop.perform { [book = entry.book] in $0.changeDemand(book, to: demand) }
            } else {
                begin(id, demand)
            }
        }
        directory.replace(assignments.routes.mapValues { ids in ids.compactMap { books[$0]?.book } })
        for name in statuses.keys where assignments.replicas[name] == nil {
            statuses[name] = nil
            uids[name] = nil
            queue.forget(name)
        }
        for assignment in assignments.replicas.values { show(assignment) }
    }

    private func begin(_ id: BookID, _ demand: BookDemand) {
        guard let venue = venues[id.venue], let first = loops.first,
            let stream = venue.exchange.depthStream(id.market, intervalMilliseconds: id.intervalMilliseconds)
        else { return }
        let loads = Dictionary(grouping: books.values) { ObjectIdentifier($0.loop) }.mapValues(\.count)
        let loop =
            loops.min { (loads[ObjectIdentifier($0)] ?? 0) < (loads[ObjectIdentifier($1)] ?? 0) } ?? first
        let book = KeptBook(id: id, stream: stream, family: venue.exchange.family)
        books[id] = (book, loop, demand)
        loop.perform { $0.keep(book, demand: demand, venue: venue) }
    }

    /// Takes in what loops reported.
    func take(_ news: [BookID: KeptBook.Report]) {
        for (id, report) in news where books[id] != nil {
            count(report, id, before: reports[id])
            tell(report, id, before: reports[id])
            reports[id] = report
            for name in assignments.replicas(of: id) {
                if let assignment = assignments.replicas[name] { show(assignment) }
            }
        }
    }

    private func show(_ assignment: Assignment) {
        if uids[assignment.replica] != assignment.uid {
            if uids[assignment.replica] != nil { queue.invalidate(assignment.replica) }
            uids[assignment.replica] = assignment.uid
        }
        var status = DepthCacheReplicaStatus(
            phase: .pending, reason: .starting, restarts: 0, incarnation: incarnation,
            updateIntervalMilliseconds: assignment.book?.intervalMilliseconds)
        if let problem = assignment.problem {
            status.phase = .failed
            status.reason = problem.reason
            status.message = problem.message
        } else if let report = assignment.book.flatMap({ reports[$0] }) {
            status.phase = report.phase
            status.reason = report.reason
            // Not an empty one: old API servers take an empty string for no string at all, and refuse the whole status.
            status.message = report.message.isEmpty ? nil : report.message
            status.restarts = report.restarts
            status.lastAudit = report.lastAudit.map(ReplicaAudit.init)
            if report.phase == .synchronized, let standing = report.standings[assignment.depth] {
                Self.tell(standing, of: assignment, in: &status)
            }
        }
        let before = statuses[assignment.replica]
        status.since = before?.phase == status.phase ? before?.since : Timestamp.now.description
        statuses[assignment.replica] = status
        queue.set(status, for: assignment.replica)
    }

    func nextWrite() -> (name: String, status: DepthCacheReplicaStatus)? { queue.take(now: clock.now) }

    func finished(_ name: String, wrote status: DepthCacheReplicaStatus?) {
        queue.finished(name, wrote: status, now: clock.now)
    }
}
