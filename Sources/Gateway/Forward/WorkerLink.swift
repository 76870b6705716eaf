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
