internal import DepthCacheAPI

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
/// Nearly always every copy is well and the first one that is asked answers: then nothing is kept but which that was. How
/// all of them stand is kept from when there is a second thing to do.
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
    /// How all copies stand; nil as long as at most the first one was asked.
    private var attempts: CopyAttempts?
    /// A copy that could have been asked was not, because the budget of retries is used up.
    private var isOutOfRetries = false
    private var wasAsked = false
    private var lastAsked: ContinuousClock.Instant
    /// Since when it is known that the routes are behind: a copy that was said to run is not there.
    private var movedSince: ContinuousClock.Instant?
    /// Why books are out of sync, of each copy that said so.
    private var reasons: [String] = []
    /// The latest id of copies that stood before the wanted one.
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
        turn = route.nextTurn()
        start = now
        lastAsked = now
        self.deadline = now + deadline
        first = usualFirst(now)
    }

    private var replicas: [ReplicaRoute] { attempts?.replicas ?? route.replicas }

    private var firstIndex: Int { ReplicaChoice.first(route.replicas.count, turn: turn) }

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

    /// How all copies stand, as of now if that was not kept before.
    private func standings(_ now: ContinuousClock.Instant) -> CopyAttempts {
        if let attempts { return attempts }
        let links = route.replicas.map(loopLinks.link)
        let made =
            wasAsked
            ? CopyAttempts(route.replicas, links: links, turn: turn, asked: first)
            : CopyAttempts(route.replicas, links: links, turn: turn) { ledger.isShunned($0, at: now) }
        attempts = made
        return made
    }

    var isDone: Bool { completion == nil }

    /// Asks the next replica that can be asked, or ends when none is left and none may still answer.
    func advance(_ now: ContinuousClock.Instant) {
        guard !isDone else { return }
        if attempts == nil, !wasAsked, let first { return ask(firstIndex, first, now) }
        let attempts = standings(now)
        if let next = attempts.next {
            guard mayAsk(next, attempts, now), let link = attempts.ask(next) else { return }
            ask(next, link, now)
        } else if !attempts.isAnswerDue {
            guard !attempts.isSomeoneBehind || now - start >= Self.catchUpPatience else { return }
            let mayConnect = now - start < Self.connectPatience && attempts.isConnecting
            if !mayConnect { lookAgain(attempts, now) }
        }
    }

    /// Whether the budget allows this attempt; if not, a query that nobody can answer any more ends.
    ///
    /// Free are the first attempt, one where a copy has moved to since, and those while copies catch up, which have a pace of
    /// their own: so whoever has one copy is never refused.
    private func mayAsk(_ index: Int, _ attempts: CopyAttempts, _ now: ContinuousClock.Instant) -> Bool {
        let isFree = !wasAsked || index >= route.replicas.count || latest != nil
        if isFree || ledger.mayRetry(at: now) { return true }
        if !isOutOfRetries { ledger.countWithheld() }
        isOutOfRetries = true
        if !attempts.isAnswerDue { conclude(attempts) }
        return false
    }

    /// Goes on with copies that were made since the routes were read; waits for one if a copy has just been moved away.
    private func lookAgain(_ attempts: CopyAttempts, _ now: ContinuousClock.Instant) {
        let found = loopLinks.look(for: route.cache)?.replicas ?? []
        let hasNew = attempts.add(found, link: loopLinks.link)
        if attempts.next != nil { return advance(now) }
        let mayShow = movedSince.map { now - $0 < Self.moveSightPatience } ?? false
        let mayConnect = hasNew && attempts.isConnecting
        if !mayShow, !mayConnect { conclude(attempts) }
    }

    /// Looks after the request from time to time: gives up at the deadline, asks others beside a silent one.
    func check(_ now: ContinuousClock.Instant) {
        guard !isDone else { return }
        if attempts == nil, now - lastAsked < Self.doubtAfter, first?.condition == .up, now < deadline {
            return
        }
        let attempts = standings(now)
        guard now < deadline else { return conclude(attempts) }
        if !attempts.isAnswerDue, now - start < Self.catchUpPatience { attempts.askAgain() }
        guard let silent = attempts.latest else { return advance(now) }
        let isDoubtful = now - lastAsked >= Self.doubtAfter || attempts.isSuspect(silent)
        guard isDoubtful, attempts.hasHealthyOther else { return }
        ledger.shun(replicas[silent], at: now)
        attempts.note(silent, "silent for \(Int((now - start) / .milliseconds(1))) ms")
        advance(now)
    }

    private func ask(_ index: Int, _ link: any WorkerLink, _ now: ContinuousClock.Instant) {
        if !wasAsked { ledger.countQuery(at: now) }
        wasAsked = true
        lastAsked = now
        question.ask(link, timeout: deadline - now) { [self] in finish(index, $0) }
    }

    private func finish(_ index: Int, _ result: Result<[UInt8], WorkerLinkError>) {
        guard !isDone else { return }
        switch read(result) {
        case .success(.served(let json, let mark)):
            ledger.forgive(replicas[index])
            let others = attempts?.failures.filter { $0.index != index } ?? []
            return end(.served(json, mark, by: index, after: others))
        case .success(.badRequest(let parameter, let message)):
            return end(.badRequest(parameter: parameter, message: message))
        case .success(.behind(let id)):
            standings(.now).fallBehind(index)
            latest = max(latest ?? id, id)
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
        case .failure(let error):
            fail(index, error.reason)
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

    private func conclude(_ attempts: CopyAttempts) {
        if let latest { return end(.behind(latest)) }
        attempts.conclude(
            silentFor: Int((deadline - start) / .milliseconds(1)), spared: isOutOfRetries ? Self.spared : nil)
        guard !reasons.isEmpty else { return end(.unreachable(attempts.failures)) }
        let spares = isOutOfRetries ? attempts.spareCount : 0
        if spares > 0 { reasons.append("\(spares) more \(Self.spared)") }
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
        standings(.now).fail(index, detail)
    }
}
