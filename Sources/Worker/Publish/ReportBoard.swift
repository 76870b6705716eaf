import Telemetry

/// Where loops leave what has become of their books, for the control side to pick up: only the newest of each.
final class ReportBoard: Sendable {
    private let reports = Guarded<[BookID: KeptBook.Report]>([:])
    let signal: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    init() { (signal, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1)) }

    func post(_ book: BookID, _ report: KeptBook.Report) {
        reports.withLock { $0[book] = report }
        wake.yield()
    }

    func nudge() { wake.yield() }

    func take() -> [BookID: KeptBook.Report] {
        reports.withLock { reports in
            defer { reports = [:] }
            return reports
        }
    }
}
