internal import Telemetry

/// The questions of one link that have not left yet, so that an equal one can wait for the same answer; bound to the loop.
///
/// Nobody gets an answer older than his question: the worker reads the book after the batch has left, with all of them in it.
final class QuestionSharing {
    private struct Question: Hashable {
        var kind: UInt8
        var bytes: [UInt8]
    }
    private struct Unsent {
        /// Under which the answer is awaited.
        var number: UInt64
        var due: ContinuousClock.Instant
    }
    /// Those that are waited for much longer or shorter are not shared: both would end at the time of the first.
    private static let tolerance = Duration.milliseconds(50)
    private var unsent: [Question: Unsent] = [:]
    private var batch: UInt64?
    let shared: Counter

    init(shared: Counter) { self.shared = shared }

    /// The number of an equal question that is in this batch too and is waited for as long.
    func find(_ kind: UInt8, _ bytes: [UInt8], due: ContinuousClock.Instant, batch: UInt64) -> UInt64? {
        if self.batch != batch {
            unsent.removeAll(keepingCapacity: true)
            self.batch = batch
        }
        guard let known = unsent[Question(kind: kind, bytes: bytes)] else { return nil }
        let isAsLong = known.due - due <= Self.tolerance && due - known.due <= Self.tolerance
        return isAsLong ? known.number : nil
    }

    /// Keeps a question of the batch that `find` was last asked for.
    func add(_ kind: UInt8, _ bytes: [UInt8], _ number: UInt64, due: ContinuousClock.Instant) {
        unsent[Question(kind: kind, bytes: bytes)] = Unsent(number: number, due: due)
    }
}
