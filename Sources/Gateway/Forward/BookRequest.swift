internal import DepthCacheAPI

/// Told the payload of a worker's answer, or why there is none; on the loop.
typealias WorkerLinkCompletion = (Result<[UInt8], WorkerLinkError>) -> Void

/// A loop's connection to one worker, as the forwarding needs it; every call happens on the loop.
protocol WorkerLink: AnyObject {
    var condition: LinkCondition { get }
    /// Why the link is not up, for people.
    var trouble: String { get }
    /// Sends a book query; the completion is called once, on the loop, with the answer's payload or a reason.
    func ask(
        _ query: [UInt8], timeout: Duration, completion: @escaping WorkerLinkCompletion)
    /// Sends a `BooksQuery`, in the same way.
    func askBooks(
        _ query: [UInt8], timeout: Duration, completion: @escaping WorkerLinkCompletion)
    /// Sends an `MarketQuery`, in the same way.
    func audit(
        _ query: [UInt8], timeout: Duration, completion: @escaping WorkerLinkCompletion)
    /// Sends a `MarketQuery`, in the same way.
    func describe(
        _ query: [UInt8], timeout: Duration, completion: @escaping WorkerLinkCompletion)
}

/// Why a worker gave no answer.
struct WorkerLinkError: Error, Equatable {
    var reason: String
}

/// A replica that was tried, or passed over, in vain.
struct ReplicaFailure: Equatable {
    var index: Int
    var detail: String
}

/// What became of a forwarded query.
enum BookOutcome {
    case served(ArraySlice<UInt8>, BookMark?, by: Int, after: [ReplicaFailure])
    /// All that could be asked stand before the id that was asked for, the latest of them here.
    case behind(Int64)
    case outOfSync(reason: String)
    case unreachable([ReplicaFailure])
    case badRequest(parameter: String, message: String)
}

/// One query on its way: tries replica after replica until one serves it or the time is up.
///
/// Bound to its loop. A replica that stays silent is not given up: the next one is asked beside it, and whoever answers
/// first is believed.
///
/// Nearly always every copy is well and the first one that is asked answers: then nothing is kept but which that was. The
/// lists of who is asked, waits or has failed are made by `spread`, when there is a second thing to do.
final class BookRequest {
    /// A worker that has not answered for so long is doubted.
    static let doubtAfter = Duration.milliseconds(600)
    /// How long links that are just being made are waited for when there is nothing else.
    static let connectPatience = Duration.seconds(1)
    /// How long a copy that stands before the wanted id is waited for.
    static let catchUpPatience = Duration.seconds(1)
    /// How long a copy that was moved is waited for to show up elsewhere.
    static let moveSightPatience = Duration.seconds(1)
    private static let spared = "not asked, because too many queries had to be asked again"

    private let route: MarketRoute
    private let question: BookQuestion
    private let loopLinks: LoopLinks
    private let ledger: RetryLedger
    private let start: ContinuousClock.Instant
    private let deadline: ContinuousClock.Instant
    /// Told what became of it, and which replicas the outcome's numbers mean.
    private var completion: ((BookOutcome, [ReplicaRoute]) -> Void)?
    /// Whose turn it is among the copies.
    private let turn: Int
    /// The link to the copy whose turn it is, where all copies are well; asked first.
    private var first: (any WorkerLink)?
    /// Whether the lists below are in use.
    private var isSpread = false
    /// A copy that could have been asked was not, because the budget of retries is used up.
    private var isOutOfRetries = false
    private var wasAsked = false
    private var lastAsked: ContinuousClock.Instant
    /// Since when it is known that the routes are behind: a copy that was said to run is not there.
    private var movedSince: ContinuousClock.Instant?
    /// All that were found, also those that a later look at the routes has brought.
    private var replicas: [ReplicaRoute]
    private var links: [(any WorkerLink)?] = []
    private var waiting: [Int] = []
    private var asked: [Int] = []
    private var failures: [ReplicaFailure] = []
    private var reasons: [String] = []
    /// Those that were in sync but stood before the wanted id; asked again until they have caught up.
    private var behind: [Int] = []
    private var latest: Int64?

    init(
        route: MarketRoute, question: BookQuestion, deadline: Duration, now: ContinuousClock.Instant,
        ledger: RetryLedger, loopLinks: LoopLinks,
        completion: @escaping (BookOutcome, [ReplicaRoute]) -> Void
    ) {
        self.route = route
        self.question = question
        self.loopLinks = loopLinks
        self.ledger = ledger
        self.completion = completion
        replicas = route.replicas
        turn = route.nextTurn()
        start = now
        lastAsked = now
        self.deadline = now + deadline
        first = usualFirst(now)
    }

    /// How many copies the routes gave at first.
    private var routedCount: Int { route.replicas.count }

    private var firstIndex: Int { ReplicaChoice.first(routedCount, turn: turn) }

    /// The link to the copy whose turn it is if all copies are well; nil where somebody must be passed over.
    private func usualFirst(_ now: ContinuousClock.Instant) -> (any WorkerLink)? {
        var first: (any WorkerLink)?
        for index in route.replicas.indices {
            let replica = route.replicas[index]
            guard replica.isRunning, !ledger.isShunned(replica, at: now),
                let link = loopLinks.link(to: replica), link.condition == .up
            else { return nil }
            if index == firstIndex { first = link }
        }
        return first
    }

    /// Makes the lists: of the copies as they are now, in the order in which they are to be asked.
    private func spread(_ now: ContinuousClock.Instant) {
        guard !isSpread else { return }
        isSpread = true
        links = replicas.map(loopLinks.link)
        if wasAsked {
            // All were well; the one whose turn it was has been asked, and its answer may still come.
            links[firstIndex] = first
            asked = [firstIndex]
            waiting = ReplicaChoice.rotated(routedCount, turn).filter { $0 != firstIndex }
            return
        }
        let candidates = zip(replicas, links).map { replica, link in
            ReplicaChoice.Candidate(
                condition: link?.condition ?? .down, isRunning: replica.isRunning,
                isShunned: ledger.isShunned(replica, at: now))
        }
        waiting = ReplicaChoice.order(candidates, turn: turn)
        if let index = ReplicaChoice.passedOver(candidates, turn: turn) {
            failures.append(ReplicaFailure(index: index, detail: trouble(index)))
        }
    }

    var isDone: Bool { completion == nil }

    /// Asks the next replica that can be asked, or ends when none is left and none may still answer.
    func advance(_ now: ContinuousClock.Instant) {
        guard !isDone else { return }
        if !isSpread {
            guard !wasAsked, let first else {
                spread(now)
                return advance(now)
            }
            return ask(firstIndex, first, now)
        }
        if let position = waiting.firstIndex(where: { isReachable($0) }) {
            guard mayAsk(waiting[position], now) else { return }
            ask(waiting.remove(at: position), now)
        } else if asked.isEmpty {
            guard behind.isEmpty || now - start >= Self.catchUpPatience else { return }
            let mayConnect =
                now - start < Self.connectPatience && waiting.contains { links[$0]?.condition == .connecting }
            if !mayConnect { lookAgain(now) }
        }
    }

    /// Whether the budget allows this attempt; if not, a query that nobody can answer any more ends.
    ///
    /// Free are the first attempt, one where a copy has moved to since, and those while copies catch up, which have a pace of
    /// their own: so whoever has one copy is never refused.
    private func mayAsk(_ index: Int, _ now: ContinuousClock.Instant) -> Bool {
        let isFree = !wasAsked || index >= routedCount || latest != nil
        if isFree || ledger.mayRetry(at: now) { return true }
        if !isOutOfRetries { ledger.countWithheld() }
        isOutOfRetries = true
        if asked.isEmpty { conclude() }
        return false
    }

    /// Goes on with copies that were made since the routes were read; waits for one if a copy has just been moved away.
    private func lookAgain(_ now: ContinuousClock.Instant) {
        let known = replicas.count
        for replica in loopLinks.look(for: route.cache)?.replicas ?? []
        where !replicas.contains(where: { $0.replica.name == replica.replica.name }) {
            let link = loopLinks.link(to: replica)
            replicas.append(replica)
            links.append(link)
            if link != nil { waiting.append(replicas.count - 1) }
        }
        if waiting.contains(where: { isReachable($0) }) { return advance(now) }
        let mayShow = movedSince.map { now - $0 < Self.moveSightPatience } ?? false
        let mayConnect = replicas.count > known && waiting.contains { links[$0]?.condition == .connecting }
        if !mayShow, !mayConnect { conclude() }
    }

    /// Looks after the request from time to time: gives up at the deadline, asks others beside a silent one.
    func check(_ now: ContinuousClock.Instant) {
        guard !isDone else { return }
        if !isSpread {
            let isWell = now - lastAsked < Self.doubtAfter && first?.condition == .up && now < deadline
            guard !isWell else { return }
            spread(now)
        }
        guard now < deadline else { return conclude() }
        if asked.isEmpty, !behind.isEmpty, now - start < Self.catchUpPatience {
            waiting += behind
            behind = []
        }
        guard let latest = asked.last else { return advance(now) }
        let isDoubtful = now - lastAsked >= Self.doubtAfter || links[latest]?.condition == .suspect
        guard isDoubtful, waiting.contains(where: { links[$0]?.condition == .up }) else { return }
        ledger.shun(replicas[latest], at: now)
        note(latest, "silent for \(Int((now - start) / .milliseconds(1))) ms")
        advance(now)
    }

    private func ask(_ index: Int, _ now: ContinuousClock.Instant) {
        asked.append(index)
        guard let link = links[index] else { return }
        ask(index, link, now)
    }

    private func ask(_ index: Int, _ link: any WorkerLink, _ now: ContinuousClock.Instant) {
        if !wasAsked { ledger.countQuery(at: now) }
        wasAsked = true
        lastAsked = now
        question.ask(link, timeout: deadline - now) { [self] in finish(index, $0) }
    }

    private func finish(_ index: Int, _ result: Result<[UInt8], WorkerLinkError>) {
        guard !isDone else { return }
        let answer = read(result)
        if case .success(.served(let json, let mark)) = answer {
            ledger.forgive(replicas[index])
            return end(.served(json, mark, by: index, after: failures.filter { $0.index != index }))
        }
        spread(.now)
        asked.removeAll { $0 == index }
        switch answer {
        case .failure(let error): fail(index, error.reason)
        case .success(.served): break
        case .success(.behind(let id)):
            behind.append(index)
            latest = max(latest ?? id, id)
        case .success(.badRequest(let parameter, let message)):
            return end(.badRequest(parameter: parameter, message: message))
        case .success(.notSynchronized(let reason)):
            reasons.append(reason)
            fail(index, "#6000 out of sync: \(reason)")
        case .success(.notHere):
            let isMoved = replicas[index].isRunning
            if isMoved, movedSince == nil { movedSince = .now }
            reasons.append(
                isMoved
                    ? "the replica has left \(replicas[index].workerName)"
                    : "the replica has not started on \(replicas[index].workerName)")
            fail(index, "has no replica of the market")
        }
        advance(.now)
    }

    private func read(
        _ result: Result<[UInt8], WorkerLinkError>
    ) -> Result<ReplicaAnswer, WorkerLinkError> {
        switch result {
        case .failure(let error): return .failure(error)
        case .success(let bytes):
            do throws(LinkPayloadError) {
                return .success(try question.read(bytes))
            } catch {
                return .failure(WorkerLinkError(reason: "unreadable answer: \(error)"))
            }
        }
    }

    private func isReachable(_ index: Int) -> Bool {
        guard let condition = links[index]?.condition else { return false }
        return condition == .up || condition == .suspect
    }

    private func conclude() {
        if let latest { return end(.behind(latest)) }
        let spared = isOutOfRetries ? waiting.filter { isReachable($0) } : []
        for index in replicas.indices where !failures.contains(where: { $0.index == index }) {
            note(
                index,
                asked.contains(index)
                    ? "no answer within \(Int((deadline - start) / .milliseconds(1))) ms"
                    : spared.contains(index) ? Self.spared : trouble(index))
        }
        guard !reasons.isEmpty else { return end(.unreachable(failures)) }
        if !spared.isEmpty { reasons.append("\(spared.count) more \(Self.spared)") }
        end(.outOfSync(reason: reasons.joined(separator: "; ")))
    }

    private func end(_ outcome: BookOutcome) {
        let completion = completion
        self.completion = nil
        completion?(outcome, replicas)
    }

    /// Notes what went wrong with a copy, which is asked last for a while.
    private func fail(_ index: Int, _ detail: String) {
        ledger.shun(replicas[index], at: .now)
        note(index, detail)
    }

    private func note(_ index: Int, _ detail: String) {
        if let known = failures.firstIndex(where: { $0.index == index }) {
            failures[known].detail = detail
        } else {
            failures.append(ReplicaFailure(index: index, detail: detail))
        }
    }

    private func trouble(_ index: Int) -> String {
        links[index]?.trouble ?? "its worker has no Lease with an endpoint"
    }
}
