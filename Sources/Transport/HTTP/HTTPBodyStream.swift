import Telemetry

/// The pieces of a body between libcurl's thread and one reader.
package final class HTTPBodyStream: AsyncSequence, Sendable {
    package typealias Element = [UInt8]

    /// Above this many waiting bytes the transfer pauses; it goes on when all of them are read.
    static let highWater = 256 << 10

    private struct State {
        var pieces: [[UInt8]] = []
        var waitingBytes = 0
        var isPaused = false
        var end: Result<Void, TransportError>?
        var reader: CheckedContinuation<[UInt8]?, any Error>?
    }
    private let state = Guarded(State())
    private let resume: @Sendable () -> Void
    private let abandon: @Sendable () -> Void

    init(resume: @escaping @Sendable () -> Void, abandon: @escaping @Sendable () -> Void) {
        self.resume = resume
        self.abandon = abandon
    }

    deinit { abandon() }

    /// Takes a piece from libcurl's thread; false: pause, and bring the same piece again after `resume`.
    func offer(_ piece: [UInt8]) -> Bool {
        let (reader, taken): (CheckedContinuation<[UInt8]?, any Error>?, Bool) = state.withLock { state in
            if let reader = state.reader {
                state.reader = nil
                return (reader, true)
            }
            guard state.waitingBytes < Self.highWater else {
                state.isPaused = true
                return (nil, false)
            }
            state.pieces.append(piece)
            state.waitingBytes += piece.count
            return (nil, true)
        }
        reader?.resume(returning: piece)
        return taken
    }

    /// No more pieces will come.
    func finish(_ end: Result<Void, TransportError>) {
        let reader = state.withLock { state in
            if state.end == nil { state.end = end }
            let reader = state.reader
            state.reader = nil
            return reader
        }
        switch end {
        case .success: reader?.resume(returning: nil)
        case .failure(let error): reader?.resume(throwing: error)
        }
    }

    private enum Next { case piece([UInt8], resume: Bool), ended, failed(TransportError), wait }

    private func next() async throws -> [UInt8]? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let next: Next = state.withLock { state in
                    if !state.pieces.isEmpty {
                        let piece = state.pieces.removeFirst()
                        state.waitingBytes -= piece.count
                        let resumes = state.isPaused && state.pieces.isEmpty
                        if resumes { state.isPaused = false }
                        return .piece(piece, resume: resumes)
                    }
                    switch state.end {
                    case .success: return .ended
                    case .failure(let error): return .failed(error)
                    case nil:
                        state.reader = continuation
                        return .wait
                    }
                }
                switch next {
                case .piece(let piece, let resumes):
                    if resumes { resume() }
                    continuation.resume(returning: piece)
                case .ended: continuation.resume(returning: nil)
                case .failed(let error): continuation.resume(throwing: error)
                case .wait:
                    if Task.isCancelled { cancelReader() }
                }
            }
        } onCancel: {
            cancelReader()
        }
    }

    private func cancelReader() {
        let reader = state.withLock { state in
            let reader = state.reader
            state.reader = nil
            return reader
        }
        reader?.resume(throwing: CancellationError())
        if reader != nil { abandon() }
    }

    package struct Iterator: AsyncIteratorProtocol {
        fileprivate let stream: HTTPBodyStream
        package mutating func next() async throws -> [UInt8]? { try await stream.next() }
    }
    package func makeAsyncIterator() -> Iterator { Iterator(stream: self) }
}
