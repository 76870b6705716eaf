import Glibc
import K8sClient
import Telemetry
import Transport

/// Starts, watches, restarts and stops the programs of the local cluster.
final class Supervisor: Sendable {
    let plan: LocalPlan
    let api: ClusterAPI
    private let isStopping = Guarded(false)
    /// Whether a change of the workers is under way: one at a time, or two could take the last worker.
    let isChanging = Guarded(false)
    private let log = Log("up")

    init(plan: LocalPlan, api: ClusterAPI) {
        self.plan = plan
        self.api = api
    }

    private var mayGoOn: Bool { !isStopping.withLock { $0 } }

    // MARK: One child

    /// Keeps one program running until the supervisor stops or the program is to leave.
    func keep(_ child: KeptChild) async {
        while mayGoOn, !child.isLeaving {
            guard let uid = await preparedPod(child) else { break }
            do {
                let process = try start(child, uid)
                // Either `stop` has seen the new process, or this sees that everything stops or this one leaves.
                if !mayGoOn || child.isLeaving {
                    await process.stop(within: plan.configuration.stopDeadline, by: SIGINT)
                }
                let code = await withTaskGroup(of: Void.self) { group in
                    group.addTask { await self.attend(child, process) }
                    let code = await process.waitForExit()
                    group.cancelAll()
                    return code
                }
                finish(child, process, code)
            } catch {
                log.error("Could not start a program", ["name": child.name, "error": error.description])
                child.noteExit(code: 127, isWanted: false)
            }
            if mayGoOn, !child.isLeaving { await pause(child.backoff) }
        }
    }

    /// Sees to it that the pod is there; its uid, or nil if the supervisor stops meanwhile.
    private func preparedPod(_ child: KeptChild) async -> String? {
        guard child.component != nil, child.component != "apiserver" else { return "" }
        while mayGoOn {
            var answer = await api.call("GET", child.podPath)
            if answer.code == 404 {
                answer = await api.call("POST", "/api/v1/namespaces/default/pods", child.record.object)
                child.state.withLock { $0.pod.restarts = 0 }
            } else if answer.code == 200, child.state.withLock({ $0.podUID.isEmpty }) {
                // After a restart of the whole cluster the count goes on.
                let restarts = answer.body.at("status", "containerStatuses")?.elements?.first?[
                    "restartCount"]?.whole
                child.state.withLock { $0.pod.restarts = restarts ?? 0 }
            }
            if let uid = answer.body.at("metadata", "uid")?.text, answer.code < 300 {
                child.state.withLock {
                    $0.podUID = uid
                    $0.written = nil
                }
                return uid
            }
            await pause(.milliseconds(200))
        }
        return nil
    }

    private func start(_ child: KeptChild, _ uid: String) throws(LocalClusterError) -> ChildProcess {
        let name = child.name
        let process = try ChildProcess.start(
            name: name, program: child.program, arguments: child.arguments(uid),
            logFile: "\(plan.directory)/logs/\(name).log"
        ) { [self] line in
            child.onLine(line)
            // While everything stops, broken connections are no news.
            guard mayGoOn else { return }
            if line.contains(" WARNING ") || line.contains(" ERROR ")
                || line.contains("\"level\":\"warning\"")
                || line.contains("\"level\":\"error\"") || line.contains("Fatal error")
            {
                Terminal.say("[\(name)] \(line)")
            }
        }
        child.noteStart(process)
        plan.writeFacts()
        return process
    }

    /// Asks for readiness and keeps the pod true while the process runs; a deleted pod ends its process.
    ///
    /// Cancelled when the process has ended, so that nobody has to look for that many times a second.
    private func attend(_ child: KeptChild, _ process: ChildProcess) async {
        var round = 0
        while process.exitCode == nil {
            let unreadiness =
                if let url = child.readyURL { await api.unreadiness(url: url) } else { nil as String? }
            if child.looked(unreadiness), let unreadiness, mayGoOn {
                log.info("Counts as not ready", ["pod": child.name, "reason": unreadiness])
            }
            if round % 10 == 5, mayGoOn, await isPodGone(child) {
                log.info("The pod was deleted, replacing it", ["pod": child.name])
                await process.stop(within: plan.configuration.drainDeadline)
                return
            }
            await writePod(child)
            round += 1
            await pause(.milliseconds(child.condition.isReady ? 500 : 100))
        }
    }

    private func isPodGone(_ child: KeptChild) async -> Bool {
        guard child.component != nil, child.component != "apiserver" else { return false }
        let answer = await api.call("GET", child.podPath)
        if answer.code == 404 { return true }
        let uid = answer.body.at("metadata", "uid")?.text
        return answer.code == 200 && uid != child.state.withLock { $0.podUID }
    }

    private func finish(_ child: KeptChild, _ process: ChildProcess, _ code: Int32) {
        let isWanted = !mayGoOn || child.isLeaving
        child.noteExit(code: code, isWanted: isWanted)
        plan.writeFacts()
        guard !isWanted else { return }
        log.warning("A program ended, starting it again", ["name": child.name, "code": "\(code)"])
    }

    func writePod(_ child: KeptChild) async {
        guard child.component != nil, child.component != "apiserver" else { return }
        let (wanted, written) = child.state.withLock { ($0.pod, $0.written) }
        guard wanted != written else { return }
        let status = child.record.status(wanted)
        let answer = await api.call("PATCH", child.podPath + "/status", ["status": status])
        if answer.code == 200 { child.state.withLock { $0.written = wanted } }
    }

    private func pause(_ duration: Duration) async { try? await Task.sleep(for: duration) }

    // MARK: All of them

    /// Waits until a child is ready or the deadline passes.
    func waitUntilReady(_ child: KeptChild, within deadline: Duration) async -> Bool {
        let end = ContinuousClock.now + deadline
        while ContinuousClock.now < end, mayGoOn {
            if child.condition.isReady { return true }
            await pause(.milliseconds(50))
        }
        return child.condition.isReady
    }

    /// Ends the children in stages, each before the next: who asks goes before who answers.
    func stop() async {
        requestStop()
        let deadline = plan.configuration.stopDeadline
        for stage in plan.stopStages {
            await withTaskGroup(of: Void.self) { group in
                for child in stage {
                    group.addTask {
                        if let process = child.process {
                            // Nobody takes over from anybody: everything ends.
                            await process.stop(within: deadline, by: SIGINT)
                            child.noteExit(code: 0, isWanted: true)
                        }
                        await self.writePod(child)
                    }
                }
            }
        }
    }

    func requestStop() { isStopping.withLock { $0 = true } }

    var stopped: Bool { !mayGoOn }
}
