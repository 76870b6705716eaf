import Glibc
import K8sClient
import Telemetry

/// Workers that come and go, the way a rolling update does it: first the new one, then the old one hands over and ends.
extension Supervisor {
    typealias Say = @Sendable (String) -> Void

    static let mostWorkers = 64
    /// Beyond a worker's own `--drain-seconds` (110): then it hangs.
    private static let leaveDeadline: Duration = .seconds(125)

    /// Starts workers and waits until they are ready; returns their names.
    func addWorkers(_ count: Int, _ say: @escaping Say) async throws -> [String] {
        try await alone {
            guard count >= 1, self.plan.workers.count + count <= Self.mostWorkers else {
                throw LocalClusterError(
                    "there are \(self.plan.workers.count) workers, and there can be 1 to \(Self.mostWorkers)")
            }
            var names: [String] = []
            for _ in 0..<count { names.append(try await self.begin(say).name) }
            return names
        }
    }

    /// Has these workers hand over, one after the other, and ends them; returns their names.
    func removeWorkers(_ targets: [String], _ say: @escaping Say) async throws -> [String] {
        try await alone {
            let leaving = try self.find(targets)
            guard self.plan.workers.count > leaving.count else {
                throw LocalClusterError(
                    "one worker has to stay, there are \(self.plan.workers.count); 'fathom stop' ends the cluster"
                )
            }
            try await self.end(leaving, say)
            return leaving.map(\.name)
        }
    }

    /// Replaces workers, each by a new one that is ready before the old one goes; returns the new ones' names.
    func restartWorkers(_ targets: [String], _ say: @escaping Say) async throws -> [String] {
        try await alone {
            let leaving = targets.isEmpty ? self.plan.workers : try self.find(targets)
            var names: [String] = []
            for child in leaving {
                names.append(try await self.begin(say).name)
                try await self.end([child], say)
            }
            return names
        }
    }

    /// Ends the controller or the gateway, which is started again at the same port.
    func restart(_ child: KeptChild, _ say: @escaping Say) async throws {
        try await alone {
            guard let old = child.process else {
                throw LocalClusterError("\(child.name) is not running; it is started again by itself")
            }
            say("\(child.name) ends and is started again ...")
            await old.stop(within: self.plan.configuration.drainDeadline)
            let end = ContinuousClock.now + .seconds(30)
            while child.process == nil || child.process === old, !self.stopped, ContinuousClock.now < end {
                try? await Task.sleep(for: .milliseconds(50))
            }
            guard await self.waitUntilReady(child, within: .seconds(30)) else {
                throw LocalClusterError("\(child.name) is not ready yet; see \(self.logFile(child))")
            }
            say("\(child.name) is ready (PID \(child.process?.pid ?? 0))")
        }
    }

    /// By a count, the first ones of the list, as people know it from the peer.
    func firstWorkers(_ count: Int) throws(LocalClusterError) -> [String] {
        let names = plan.workers.map(\.name)
        guard count >= 1, count < names.count else {
            throw LocalClusterError(
                "cannot remove \(count) of \(names.count) workers: at least one goes and one stays")
        }
        return Array(names.prefix(count))
    }

    private func alone<Result: Sendable>(_ change: () async throws -> Result) async throws -> Result {
        let isFree = isChanging.withLock { isChanging in
            defer { isChanging = true }
            return !isChanging
        }
        guard isFree else {
            throw LocalClusterError("another change of the workers is under way; try again when it is done")
        }
        defer { isChanging.withLock { $0 = false } }
        return try await change()
    }

    private func find(_ targets: [String]) throws(LocalClusterError) -> [KeptChild] {
        var found: [KeptChild] = []
        for target in targets {
            guard let child = plan.team.find(target) else {
                let names = plan.workers.map(\.name).joined(separator: ", ")
                throw LocalClusterError("there is no worker '\(target)'; there are \(names)")
            }
            if !found.contains(where: { $0 === child }) { found.append(child) }
        }
        return found
    }

    private func begin(_ say: Say) async throws -> KeptChild {
        let child = try plan.addWorker()
        say("\(child.name) starts on port \(child.port) ...")
        guard await waitUntilReady(child, within: .seconds(30)) else {
            throw LocalClusterError(
                stopped
                    ? "the cluster stops" : "\(child.name) is not ready after 30 s; see \(logFile(child))")
        }
        say("\(child.name) is ready (PID \(child.process?.pid ?? 0))")
        return child
    }

    /// All of them hand over at once, so that no copy goes to one that is about to go too.
    private func end(_ leaving: [KeptChild], _ say: Say) async throws {
        for child in leaving {
            child.state.withLock { $0.isLeaving = true }
            say("\(child.name) hands its copies over ...")
            child.process?.send(SIGTERM)
        }
        let began = ContinuousClock.now
        for child in leaving {
            try await awaitEnd(of: child, since: began, say)
            _ = await api.call("DELETE", child.podPath)
            plan.team.remove(child)
            plan.writeFacts()
            say("\(child.name) has ended")
        }
    }

    private func awaitEnd(of child: KeptChild, since began: ContinuousClock.Instant, _ say: Say) async throws
    {
        var told = ContinuousClock.now
        while let process = child.process, process.exitCode == nil {
            if stopped { throw LocalClusterError("the cluster stops") }
            let now = ContinuousClock.now
            if now - began > Self.leaveDeadline { process.send(SIGKILL) }
            if now - told > .seconds(1) {
                told = now
                let left = await copies(of: child.state.withLock { $0.podUID })
                let seconds = (now - began).components.seconds
                // A copy that was handed over is served for 10 s more, for queries under way.
                say(
                    left > 0
                        ? "\(child.name): \(left) copies to hand over, \(seconds) s"
                        : "\(child.name): serves queries under way, \(seconds) s")
            }
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    private func copies(of uid: String) async -> Int {
        let path = "/apis/fathom.dev/v1alpha1/namespaces/default/depthcachereplicas"
        let list = await api.call("GET", "\(path)?labelSelector=fathom.dev%2Fworker%3D\(uid)")
        return list.body["items"]?.elements?.count ?? 0
    }

    private func logFile(_ child: KeptChild) -> String { "\(plan.directory)/logs/\(child.name).log" }
}

extension LocalPlan {
    /// A further worker, which the supervisor starts at its next look.
    func addWorker() throws(LocalClusterError) -> KeptChild {
        let taken = Set(all.map(\.port) + [ports.gatewayHealth])
        let isAny = configuration.gatewayPort == 0
        let child = try team.add { index throws(LocalClusterError) in
            try Ports.prefer(
                isAny ? 0 : configuration.firstWorkerPort + index, host: configuration.host, not: taken)
        }
        // What a worker of this name wrote earlier stays readable.
        let log = "\(directory)/logs/\(child.name).log"
        unsafe rename(log, log + ".1")
        return child
    }
}
