import DepthCacheAPI
import Telemetry

/// Where loops leave what has become of their books, for the control side to pick up: only the newest of each.
final class ReportBoard: Sendable {
    /// A book that could be believed and no longer can.
    struct Loss: Equatable, Sendable {
        var book: BookID
        var reason: Reason
        var message: String
    }

    /// So many losses are told one by one; of more, the oldest are forgotten.
    static let lossLimit = 2000

    private let reports = Guarded<[BookID: KeptBook.Report]>([:])
    private let losses = Guarded<[Loss]>([])
    let signal: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    init() { (signal, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1)) }

    func post(_ book: BookID, _ report: KeptBook.Report) {
        reports.withLock { $0[book] = report }
        wake.yield()
    }

    /// Unlike reports, every loss counts, also one that is over already when it is looked at.
    func lost(_ loss: Loss) {
        losses.withLock { losses in
            if losses.count >= Self.lossLimit { losses.removeFirst(losses.count / 2) }
            losses.append(loss)
        }
        wake.yield()
    }

    func takeLosses() -> [Loss] {
        losses.withLock { losses in
            defer { losses = [] }
            return losses
        }
    }

    func nudge() { wake.yield() }

    func take() -> [BookID: KeptBook.Report] {
        reports.withLock { reports in
            defer { reports = [:] }
            return reports
        }
    }
}
