internal import DepthCacheAPI

/// What is asked of the copies of one market, as the bytes that go to a worker.
enum BookQuestion {
    /// A `BookQuery`.
    case side([UInt8])
    /// A `BooksQuery` of one market.
    case both([UInt8])

    func ask(
        _ link: any WorkerLink, timeout: Duration,
        completion: @escaping (Result<[UInt8], WorkerLinkError>) -> Void
    ) {
        switch self {
        case .side(let query): link.ask(query, timeout: timeout, completion: completion)
        case .both(let query): link.askBooks(query, timeout: timeout, completion: completion)
        }
    }

    func read(_ bytes: [UInt8]) throws(LinkPayloadError) -> ReplicaAnswer {
        switch self {
        case .side: return ReplicaAnswer(try BookAnswer(decoding: bytes))
        case .both:
            let entries = try BooksAnswer.entries(decoding: bytes)
            guard let entry = entries.first, entries.count == 1 else {
                throw LinkPayloadError("expected one book, was \(entries.count)")
            }
            return ReplicaAnswer(entry)
        }
    }
}

/// What one copy has answered, whichever way it was asked.
enum ReplicaAnswer {
    case served(ArraySlice<UInt8>, BookMark?)
    case behind(Int64)
    case notSynchronized(reason: String)
    case notHere
    case badRequest(parameter: String, message: String)

    init(_ answer: BookAnswer) {
        self =
            switch answer {
            case .served(let json): .served(json, nil)
            case .notSynchronized(let reason): .notSynchronized(reason: reason)
            case .notHere: .notHere
            case .badRequest(let parameter, let message): .badRequest(parameter: parameter, message: message)
            }
    }

    init(_ entry: BooksAnswer.Entry) {
        self =
            switch entry {
            case .served(let mark, let json): .served(json, mark)
            case .behind(let id): .behind(id)
            case .notSynchronized(let reason): .notSynchronized(reason: reason)
            case .notHere: .notHere
            }
    }
}
