import Books
import DepthCacheAPI
import K8sClient
import Telemetry

/// What is told of books besides their phase: metrics, Events, and how deep they are.
extension ReplicaKeeper {
    /// Compares one book with the exchange's own, as soon as its request weight allows.
    func audit(_ id: BookID) async -> AuditOutcome {
        guard let entry = books[id] else { return .notHere }
        return await withCheckedContinuation { done in
            entry.loop.perform { $0.audit(entry.book) { done.resume(returning: $0) } }
        }
    }

    /// A book that is served may still show less than this replica asks for.
    static func tell(
        _ standing: DepthPolicy.Standing, of assignment: Assignment, in status: inout DepthCacheReplicaStatus
    ) {
        switch standing {
        case .full: return
        case .shallow:
            status.reason = .shallow
            status.message = "the best levels are served; the snapshot of \(assignment.depth) is on its way"
        case .below(let limit):
            status.reason = .coverageBelowDepth
            let venue = assignment.book?.venue ?? assignment.exchange
            status.message =
                "fewer than \(assignment.depth) levels per side are covered; "
                + (limit <= assignment.depth
                    ? "\(venue) hands out no more than \(limit)"
                    : "the snapshots of \(limit) from \(venue) do not keep up")
        }
    }

    func count(_ report: KeptBook.Report, _ id: BookID, before: KeptBook.Report?) {
        let labels = id.metricLabels
        metrics.gauge(
            "fathom_worker_book_synchronized", help: "Whether the book may be served.", labels: labels
        )
        .set(report.phase == .synchronized ? 1 : 0)
        guard let audit = report.lastAudit, audit != before?.lastAudit else { return }
        metrics.gauge(
            "fathom_worker_audit_time_seconds",
            help: "When the book was last compared with the exchange's own, in seconds since 1970.",
            labels: labels
        ).set(Double(audit.time) / 1000)
        let levels = [
            "matched": audit.matched, "drifted": audit.drifted, "orphaned": audit.orphaned,
            "missed": audit.missed,
        ]
        for (result, count) in levels {
            metrics.gauge(
                "fathom_worker_audit_levels", help: "Levels of the last comparison, by result.",
                labels: labels.merging(["result": result]) { first, _ in first }
            ).set(count)
        }
    }

    /// Each loss of synchronisation is counted and told; a return, and a change of what is covered, are told.
    func take(_ losses: [ReportBoard.Loss]) {
        for loss in losses {
            metrics.counter(
                "fathom_worker_resyncs_total", help: "Losses of synchronisation, by reason.",
                labels: ["exchange": loss.book.venue, "reason": loss.reason.rawValue]
            ).add()
            let words = loss.message.isEmpty ? "the book is synchronised anew" : loss.message
            tell(loss.book, .warning, loss.reason, words)
        }
    }

    func tell(_ report: KeptBook.Report, _ id: BookID, before: KeptBook.Report?) {
        guard report.phase != before?.phase else { return }
        if report.phase == .failed {
            tell(id, .warning, report.reason, report.message)
        } else if report.phase == .synchronized, let before,
            before.phase == .resyncing || before.phase == .failed
        {
            tell(id, .normal, .synchronized, "the book is in sync again after \(before.reason)")
        }
    }

    private func tell(_ id: BookID, _ kind: CoreEvent.Kind, _ reason: Reason, _ message: String) {
        guard let announce else { return }
        for name in assignments.replicas(of: id) {
            for object in assignments.replicas[name]?.objects ?? [] {
                announce(object, kind, reason, message)
            }
        }
    }

    func showPhases() {
        for phase in ReplicaPhase.allCases {
            let count = books.keys.count { (reports[$0]?.phase ?? .pending) == phase }
            metrics.gauge("fathom_worker_books", help: "Books by phase.", labels: ["phase": phase.rawValue])
                .set(count)
        }
    }

    /// How far each served book is known; one that is not served covers nothing.
    func showReach() {
        for (id, entry) in books {
            guard let reach = entry.book.reach else {
                guard reachGauges.removeValue(forKey: id) != nil else { continue }
                metrics.removeSeries(
                    ofMarket: id.market, with: id.metricLabels, families: ReachGauges.families)
                continue
            }
            reachGauges[id, default: ReachGauges(id, metrics)].show(reach)
        }
    }
}

extension ReplicaAudit {
    init(_ record: AuditRecord) {
        self.init(
            time: Timestamp(secondsSinceEpoch: record.time / 1000).description,
            result: record.isExact ? .match : .mismatch,
            updateID: record.audit.lastID, matched: record.matched, drifted: record.drifted,
            orphaned: record.orphaned, missed: record.missed, dump: record.dump)
    }
}
