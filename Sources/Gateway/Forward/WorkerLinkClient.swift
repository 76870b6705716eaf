internal import DepthCacheAPI
internal import Telemetry
internal import Transport

/// The completions of questions that are under way on the links of a loop, by number; bound to the loop.
final class AwaitedAnswers {
    typealias Completion = (Result<[UInt8], WorkerLinkError>) -> Void
    private var completions: [UInt64: (first: Completion, others: [Completion])] = [:]
    private var last: UInt64 = 0

    func add(_ completion: @escaping Completion) -> UInt64 {
        last &+= 1
        completions[last] = (completion, [])
        return last
    }

    /// Lets one more wait for an answer; false if it has come already.
    func join(_ number: UInt64, _ completion: @escaping Completion) -> Bool {
        completions[number]?.others.append(completion) != nil
    }

    func complete(_ number: UInt64, _ result: Result<[UInt8], WorkerLinkError>) {
        guard let waiting = completions.removeValue(forKey: number) else { return }
        waiting.first(result)
        for other in waiting.others { other(result) }
    }
}

/// A `WorkerLink` over the real link; lives on its loop, inside the dispatcher.
final class WorkerLinkClient: WorkerLink {
    let worker: WorkerPicture
    private let client: LinkClient
    private let dispatcher: Dispatcher
    private let awaited: AwaitedAnswers
    private let sharing: QuestionSharing?

    init(
        worker: WorkerPicture, client: LinkClient, dispatcher: Dispatcher, awaited: AwaitedAnswers,
        sharing: QuestionSharing? = nil
    ) {
        self.sharing = sharing
        self.worker = worker
        self.client = client
        self.dispatcher = dispatcher
        self.awaited = awaited
    }

    var condition: LinkCondition {
        switch client.state {
        case .up: .up
        case .suspect: .suspect
        case .connecting: .connecting
        case .down, .stopped: .down
        }
    }

    var trouble: String {
        switch client.state {
        case .down(let reason): "the link to \(client.endpoint) is down: \(reason)"
        case .stopped: "the link to \(client.endpoint) was stopped"
        case .connecting: "the link to \(client.endpoint) is being made"
        case .up, .suspect: "the link to \(client.endpoint) is silent"
        }
    }

    func ask(_ query: [UInt8], timeout: Duration, completion: @escaping AwaitedAnswers.Completion) {
        ask(LinkMessageKind.bookQuery, LinkMessageKind.bookAnswer, query, timeout, completion)
    }

    func askBooks(_ query: [UInt8], timeout: Duration, completion: @escaping AwaitedAnswers.Completion) {
        ask(LinkMessageKind.booksQuery, LinkMessageKind.booksAnswer, query, timeout, completion)
    }

    func audit(_ query: [UInt8], timeout: Duration, completion: @escaping AwaitedAnswers.Completion) {
        ask(LinkMessageKind.auditQuery, LinkMessageKind.auditAnswer, query, timeout, completion)
    }

    func describe(_ query: [UInt8], timeout: Duration, completion: @escaping AwaitedAnswers.Completion) {
        ask(LinkMessageKind.bookInfoQuery, LinkMessageKind.bookInfoAnswer, query, timeout, completion)
    }

    private func ask(
        _ kind: UInt8, _ answerKind: UInt8, _ query: [UInt8], _ timeout: Duration,
        _ completion: @escaping AwaitedAnswers.Completion
    ) {
        let isShareable = kind == LinkMessageKind.bookQuery || kind == LinkMessageKind.booksQuery
        let sharing = isShareable ? sharing : nil
        let due = sharing == nil ? nil : ContinuousClock.now + timeout
        if let sharing, let due,
            let number = sharing.find(kind, query, due: due, batch: client.batchNumber),
            awaited.join(number, completion)
        {
            return sharing.shared.add()
        }
        let number = awaited.add(completion)
        if let due { sharing?.add(kind, query, number, due: due) }
        client.request(kind: kind, payload: query, deadline: timeout) { [dispatcher] result in
            dispatcher.assumeIsolated { $0.awaited.complete(number, Self.translate(result, answerKind)) }
        }
    }

    func stop() { client.stop() }

    private static func translate(
        _ result: Result<LinkAnswer, LinkError>, _ kind: UInt8
    ) -> Result<[UInt8], WorkerLinkError> {
        switch result {
        case .success(let answer) where answer.kind == kind: .success(answer.payload)
        case .success(let answer):
            .failure(WorkerLinkError(reason: "answered with a frame of kind \(answer.kind)"))
        case .failure(.notConnected(let reason)):
            .failure(WorkerLinkError(reason: "not connected: \(reason)"))
        case .failure(.connectionLost(let reason)):
            .failure(WorkerLinkError(reason: "connection lost: \(reason)"))
        case .failure(.deadlineExceeded): .failure(WorkerLinkError(reason: "no answer in time"))
        case .failure(.tooLarge): .failure(WorkerLinkError(reason: "the query is too large"))
        }
    }
}

/// How links are made.
struct LinkSettings: Sendable {
    var identity: LinkIdentity
    var keys: @Sendable () -> LinkKeys
    var timings = LinkTimings()
}

extension Dispatcher {
    /// Makes links to new workers and new incarnations, drops those to workers that are gone.
    func connect(_ workers: [String: WorkerPicture], _ settings: LinkSettings, on loop: EventLoop) {
        for (uid, link) in links {
            guard let link = link as? WorkerLinkClient else { continue }
            if let worker = workers[uid], worker.isSameEnd(as: link.worker) { continue }
            links[uid] = nil
            link.stop()
        }
        for worker in workers.values where links[worker.uid] == nil {
            let client = LinkClient(
                loop: loop, endpoint: IPAddress.authority(worker.address, worker.port),
                identity: settings.identity,
                keys: settings.keys, expectedUID: worker.uid, expectedIncarnation: worker.incarnation,
                timings: settings.timings, onStateChange: service.metrics.links.follow())
            links[worker.uid] = WorkerLinkClient(
                worker: worker, client: client, dispatcher: self, awaited: awaited,
                sharing: service.sharesAnswers ? QuestionSharing(shared: service.metrics.shared) : nil)
            client.start()
        }
    }

    func disconnect() {
        for link in links.values { (link as? WorkerLinkClient)?.stop() }
        links = [:]
        abandonQueries()
    }

    var linkCounts: [LinkCondition: Int] {
        links.values.reduce(into: [:]) { counts, link in counts[link.condition, default: 0] += 1 }
    }
}

extension WorkerPicture {
    /// Whether a link to `other` is a link to this one.
    func isSameEnd(as other: WorkerPicture) -> Bool {
        uid == other.uid && incarnation == other.incarnation && address == other.address && port == other.port
    }
}
