import Dispatch
import Glibc
import K8sClient
import Telemetry

/// What a running local cluster is told to do, over its socket or its console.
struct LocalOrders: Sendable {
    let supervisor: Supervisor

    var plan: LocalPlan { supervisor.plan }

    /// Answers an order that came over the socket.
    func answer(_ order: JSONValue, _ reply: @escaping ControlSocket.Reply) async {
        let say: Supervisor.Say = { reply(["say": .string($0)]) }
        let names = (order["names"]?.elements ?? []).compactMap(\.text)
        let count = order["count"]?.whole
        do {
            let workers: [String]
            switch order["order"]?.text {
            case "add": workers = try await supervisor.addWorkers(count ?? 1, say)
            case "remove":
                let leaving = try count.map(supervisor.firstWorkers) ?? names
                workers = try await supervisor.removeWorkers(leaving, say)
            case "restart": workers = try await supervisor.restartWorkers(names, say)
            case "stop":
                supervisor.requestStop()
                workers = []
            default: throw LocalClusterError("unknown order; is this 'fathom' as old as the cluster?")
            }
            reply(["done": true, "workers": .strings(workers)])
        } catch {
            reply(["error": .string("\(error)")])
        }
    }

    /// Does what a line of the console says; the words are those of the peer's console.
    func obey(_ line: String, _ say: @escaping Supervisor.Say) async {
        let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
        guard let first = words.first else { return }
        let command = (first.hasPrefix("/") ? String(first.dropFirst()) : first).lowercased()
        let rest = Array(words.dropFirst())
        do {
            switch command {
            case "status": say(await status())
            case "add-dcn", "add-worker": try await add(rest, say)
            case "remove-dcn", "remove-worker": try await remove(rest, say)
            case "restart": try await restart(rest, say)
            case "stop", "quit", "exit": supervisor.requestStop()
            case "help", "?": say(Self.help)
            default: say("Unknown command: \(command). Type 'help' for available commands.")
            }
        } catch {
            say("Error: \(error)")
        }
    }

    static let help = """

        Available commands:
          status                            Show cluster status
          add-dcn [count]                   Start more workers
          remove-dcn <count|name|uid>       Stop workers; others take over their copies first
          restart <name|uid|mgmt|restapi>   Replace a worker without a gap; restart controller (mgmt) or gateway (restapi)
          stop                              Shut down the cluster (also quit, exit, Ctrl-D, Ctrl-C)
          help                              Show this help

        """

    private func add(_ words: [String], _ say: @escaping Supervisor.Say) async throws {
        guard words.count <= 1, let count = words.first.map({ Int($0) }) ?? 1 else {
            throw LocalClusterError("usage: add-dcn [count]")
        }
        _ = try await supervisor.addWorkers(count, say)
    }

    private func remove(_ words: [String], _ say: @escaping Supervisor.Say) async throws {
        guard let word = words.first, words.count == 1 else {
            throw LocalClusterError("usage: remove-dcn <count|name|uid>")
        }
        let names = try Int(word).map(supervisor.firstWorkers) ?? [word]
        _ = try await supervisor.removeWorkers(names, say)
    }

    private func restart(_ words: [String], _ say: @escaping Supervisor.Say) async throws {
        guard let word = words.first, words.count == 1 else {
            throw LocalClusterError("usage: restart <name|uid|mgmt|restapi>")
        }
        for (child, others) in [
            (plan.controller, ["mgmt", "ubdcc-mgmt"]), (plan.gateway, ["restapi", "ubdcc-restapi"]),
        ] where ([child.name, child.state.withLock { $0.podUID }] + others).contains(word) {
            return try await supervisor.restart(child, say)
        }
        _ = try await supervisor.restartWorkers([word], say)
    }

    private func status() async -> String {
        let gateway = "http://\(plan.configuration.authority(plan.ports.gateway))"
        guard let text = await supervisor.api.text(url: "\(gateway)/get_cluster_info"),
            let answer = JSONValue(text: text)
        else { return "The gateway does not answer; it is started again by itself. Try again in a moment." }
        var status = ClusterStatus(answer, gateway: gateway)
        status.insertManager(
            name: plan.controller.name, port: plan.controller.port,
            isRunning: plan.controller.condition.isReady)
        return "\n\(status.text)\n"
    }
}

/// The commands that a person types into a terminal where `fathom up` runs.
struct Console: Sendable {
    static let prompt = "fathom> "
    let orders: LocalOrders

    func start() {
        // In the background a read would stop the whole process; like this it fails, and is tried again later.
        signal(SIGTTIN, SIG_IGN)
        BackgroundThread.start { run() }
    }

    private func run() {
        var lines = LineReader(descriptor: STDIN_FILENO)
        while !orders.supervisor.stopped {
            Terminal.ask(Self.prompt)
            guard let line = lines.next() else {
                Terminal.stopAsking()
                if tcgetpgrp(STDIN_FILENO) != getpgrp() {
                    sleep(1)
                    continue
                }
                Terminal.say("")
                return orders.supervisor.requestStop()
            }
            Terminal.stopAsking()
            let isDone = DispatchSemaphore(value: 0)
            Task {
                await orders.obey(line) { Terminal.say($0) }
                isDone.signal()
            }
            isDone.wait()
        }
    }
}
