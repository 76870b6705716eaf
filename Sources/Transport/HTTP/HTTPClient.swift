internal import CCurl
internal import Glibc
import Telemetry

/// Requests out, through one libcurl multi handle on a thread of its own, so that nobody's thread is blocked.
///
/// Connections are kept and used again. A cancelled task ends its transfer.
package final class HTTPClient: Sendable {
    private let engine: CurlEngine

    /// Starts the thread.
    ///
    /// - Parameter connectionsPerHost: more requests than this to one host wait for a free connection.
    /// - Throws: `TransportError` if libcurl or the thread cannot be started.
    package init(connectionsPerHost: Int = 8) throws(TransportError) {
        engine = try CurlEngine(connectionsPerHost: connectionsPerHost)
    }

    deinit { engine.stop() }

    /// Sends a request and collects its answer, whatever its status.
    package func send(_ request: HTTPClientRequest) async throws -> HTTPClientResponse {
        let answer = try await stream(request)
        var body: [UInt8] = []
        for try await piece in answer.body {
            guard body.count + piece.count <= request.maximumBodyBytes else {
                throw TransportError(
                    "\(request.method) \(request.url): the answer is larger than \(request.maximumBodyBytes) bytes",
                    source: .theirs, mayRetry: false)
            }
            body += piece
        }
        return HTTPClientResponse(status: answer.status, headers: answer.headers, body: body)
    }

    /// Sends a request and returns when the answer's head is there; the body is read as it comes.
    package func stream(_ request: HTTPClientRequest) async throws -> HTTPClientStream {
        let number = engine.nextNumber()
        let engine = engine
        let body = HTTPBodyStream(
            resume: { engine.submit(.resume(number)) }, abandon: { engine.submit(.abandon(number)) })
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                engine.submit(
                    .start(CurlJob(number: number, request: request, body: body, head: continuation)))
                if Task.isCancelled { engine.submit(.abandon(number)) }
            }
        } onCancel: {
            engine.submit(.abandon(number))
        }
    }
}

/// A request on its way to the thread.
///
/// The body stream is held weakly there, so that dropping it ends the transfer.
final class CurlJob {
    let number: UInt64
    let request: HTTPClientRequest
    private weak var weakBody: HTTPBodyStream?
    private var strongBody: HTTPBodyStream?
    private var head: CheckedContinuation<HTTPClientStream, any Error>?

    init(
        number: UInt64, request: HTTPClientRequest, body: HTTPBodyStream,
        head: CheckedContinuation<HTTPClientStream, any Error>
    ) {
        self.number = number
        self.request = request
        weakBody = body
        strongBody = body
        self.head = head
    }

    func receive(_ report: CurlTransfer.Report) {
        switch report {
        case .head(let status, let headers):
            guard let body = strongBody else { return }
            strongBody = nil
            head?.resume(returning: HTTPClientStream(status: status, headers: headers, body: body))
            head = nil
        case .finished: end(.success(()))
        case .failed(let error): end(.failure(error))
        }
    }

    func take(_ piece: [UInt8]) -> Bool { weakBody?.offer(piece) ?? true }

    func cancel() {
        head?.resume(throwing: CancellationError())
        head = nil
        weakBody?.finish(.failure(TransportError("the request was cancelled", source: .ours)))
        strongBody = nil
    }

    private func end(_ result: Result<Void, TransportError>) {
        if let head {
            let error = TransportError(
                "\(request.method) \(request.url): the answer had no head", source: .theirs)
            if case .failure(let cause) = result {
                head.resume(throwing: cause)
            } else {
                head.resume(throwing: error)
            }
        }
        head = nil
        weakBody?.finish(result)
        strongBody = nil
    }
}
