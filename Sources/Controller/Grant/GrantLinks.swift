internal import DepthCacheAPI
internal import Telemetry
internal import Transport

/// Asks every worker, again and again, for a report, and hands each its grants; as long as this process leads.
struct GrantLinks: Sendable {
    private static let log = Log("grants")
    /// Longer than any worker may hold back its report.
    private static let deadline: Duration = .seconds(3)

    /// A worker that can be asked.
    struct Worker: Hashable, Sendable {
        var uid, incarnation, endpoint: String
    }

    let desk: GrantDesk
    let loop: EventLoop
    let identity: LinkIdentity
    let keys: @Sendable () -> LinkKeys
    let metrics: LinkMetrics
    /// Told what the copies of a worker cost it.
    let measured: @Sendable ([String: Int]) -> Void
    /// How often workers are asked for that.
    static let loadInterval: Duration = .seconds(15)

    /// Follows `workers` until cancelled; nothing is granted any more when it returns.
    func run(workers: @escaping @Sendable () async -> [Worker]) async {
        await withDiscardingTaskGroup { group in
            var tasks: [Worker: Task<Void, Never>] = [:]
            while !Task.isCancelled {
                let wanted = Set(await workers())
                for (worker, task) in tasks where !wanted.contains(worker) {
                    task.cancel()
                    tasks[worker] = nil
                }
                for worker in wanted where tasks[worker] == nil {
                    let task = Task { await serve(worker) }
                    tasks[worker] = task
                    group.addTask { await task.value }
                }
                do { try await Task.sleep(for: .milliseconds(250)) } catch { break }
            }
            for task in tasks.values { task.cancel() }
        }
    }

    private func serve(_ worker: Worker) async {
        let client = LinkClient(
            loop: loop, endpoint: worker.endpoint, identity: identity, keys: keys, expectedUID: worker.uid,
            expectedIncarnation: worker.incarnation, onStateChange: metrics.follow())
        client.start()
        defer { client.stop() }
        var answered: UInt64 = 0
        var nextLoads = ContinuousClock.now
        while !Task.isCancelled {
            let grant = await desk.grant(for: worker.incarnation, report: answered)
            // Between the plan and this line leadership may have ended.
            guard !Task.isCancelled else { return }
            let answer = await ask(client, LinkMessageKind.weightGrant, grant.encoded())
            var pause = GrantDesk.gathering
            switch answer {
            case .success(let answer) where answer.kind == LinkMessageKind.weightReport:
                do {
                    let report = try WeightReport(decoding: answer.payload)
                    answered = report.number
                    await desk.take(report, from: worker.incarnation)
                } catch {
                    pause = .seconds(1)
                    Self.log.warning(
                        "Report cannot be read", ["worker": worker.uid, "reason": error.description])
                }
            case .success(let answer):
                pause = .seconds(5)
                Self.log.warning(
                    "Worker does not report", ["worker": worker.uid, "kind": "\(answer.kind)"])
            case .failure:
                // The link itself connects again, and says so.
                pause = .milliseconds(250)
            }
            if nextLoads <= .now, case .success = answer {
                nextLoads = .now + Self.loadInterval
                await askForLoads(client, worker)
            }
            do { try await Task.sleep(for: pause) } catch { return }
        }
    }

    private func ask(
        _ client: LinkClient, _ kind: UInt8, _ payload: [UInt8]
    ) async -> Result<LinkAnswer, LinkError> {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                client.request(kind: kind, payload: payload, deadline: Self.deadline) {
                    continuation.resume(returning: $0)
                }
            }
        } onCancel: {
            client.stop()
        }
    }

    /// A worker that does not know the question is left with estimates.
    private func askForLoads(_ client: LinkClient, _ worker: Worker) async {
        let answer = await ask(client, LinkMessageKind.loadQuery, [LinkPayload.version])
        guard case .success(let answer) = answer, answer.kind == LinkMessageKind.loadReport else { return }
        do {
            let report = try LoadReport(decoding: answer.payload)
            measured(report.rates.mapValues { ReplicaLoad.of(messagesPerSecond: $0) })
        } catch {
            Self.log.warning(
                "Load report cannot be read", ["worker": worker.uid, "reason": error.description])
        }
    }
}
