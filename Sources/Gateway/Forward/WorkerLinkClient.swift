internal import DepthCacheAPI
internal import Telemetry
internal import Transport

/// A `WorkerLink` over the real link; lives on its loop, inside the dispatcher.
final class WorkerLinkClient: WorkerLink {
    let worker: WorkerPicture
    private let client: LinkClient
    private let sharing: QuestionSharing?

    init(worker: WorkerPicture, client: LinkClient, sharing: QuestionSharing? = nil) {
        self.sharing = sharing
        self.worker = worker
        self.client = client
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

    func ask(_ query: [UInt8], timeout: Duration, completion: @escaping WorkerLinkCompletion) {
        ask(LinkMessageKind.bookQuery, LinkMessageKind.bookAnswer, query, timeout, completion)
    }

    func askBooks(_ query: [UInt8], timeout: Duration, completion: @escaping WorkerLinkCompletion) {
        ask(LinkMessageKind.booksQuery, LinkMessageKind.booksAnswer, query, timeout, completion)
    }

    func audit(_ query: [UInt8], timeout: Duration, completion: @escaping WorkerLinkCompletion) {
        ask(LinkMessageKind.auditQuery, LinkMessageKind.auditAnswer, query, timeout, completion)
    }

    func describe(_ query: [UInt8], timeout: Duration, completion: @escaping WorkerLinkCompletion) {
        ask(LinkMessageKind.bookInfoQuery, LinkMessageKind.bookInfoAnswer, query, timeout, completion)
    }

    private func ask(
        _ kind: UInt8, _ answerKind: UInt8, _ query: [UInt8], _ timeout: Duration,
        _ completion: @escaping WorkerLinkCompletion
    ) {
        let isShareable = kind == LinkMessageKind.bookQuery || kind == LinkMessageKind.booksQuery
        let complete: (Result<LinkAnswer, LinkError>) -> Void = { completion(Self.translate($0, answerKind)) }
        guard isShareable, let sharing else {
            _ = client.ask(kind: kind, payload: query, deadline: timeout, completion: complete)
            return
        }
        let due = ContinuousClock.now + timeout
        if let number = sharing.find(kind, query, due: due, batch: client.batchNumber),
            client.join(number, completion: complete)
        {
            return sharing.shared.add()
        }
        let number = client.ask(kind: kind, payload: query, deadline: timeout, completion: complete)
        if let number { sharing.add(kind, query, number, due: due) }
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
                worker: worker, client: client,
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
