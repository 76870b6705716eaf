import Arguments
import FoundationEssentials
import Glibc
import K8sClient
import LocalCluster

/// `fathom status`: who runs, and how well the books are covered.
enum StatusCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom status", summary: "Show the programs of a cluster and how redundant its books are.",
        discussion: """
            The local cluster is found through <data-dir>/up.json. Tab-separated, only the programs are listed.
            """,
        flags: ClientFlags.target + [ClientFlags.output])

    static func run(_ arguments: ParsedArguments) async throws {
        let wantsJSON = try ClientFlags.wantsJSON(arguments)
        let target = try ClusterTarget(arguments)
        let gateway = try await target.gateway()
        var status = ClusterStatus(try await gateway.ask("/get_cluster_info"), gateway: gateway.url)
        // Gateways do not list the controller.
        if let kubernetes = target.kubernetes {
            let labels = ["app.kubernetes.io/name": "fathom", "app.kubernetes.io/component": "controller"]
            let pods = try await kubernetes.list(Pod.self, Selector(labels: labels)).items
            for pod in pods.sorted(by: { ($0.metadata.name ?? "") > ($1.metadata.name ?? "") }) {
                let port = target.local?.facts.at("controller", "port")?.number.map(Int.init)
                status.insertManager(name: pod.metadata.name ?? "?", port: port, isRunning: pod.isReady)
            }
        }
        if wantsJSON {
            Screen.write(status.json.rendered + "\n")
        } else if Screen.isTerminal {
            Screen.write(status.text + "\n")
        } else {
            TextTable(titles: ClusterStatus.titles, rows: status.members.map(\.cells)).print()
        }
    }
}

/// `fathom stop`: ends the local cluster.
enum StopCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom stop",
        summary: "Stop the local cluster; its caches are there again after the next start.",
        flags: [
            ClientFlags.dataDirectory,
            .value("timeout", "s", default: "60", help: "How many seconds to wait for its end."),
        ])

    static func run(_ arguments: ParsedArguments) async throws {
        let seconds = try arguments.integer("timeout", in: 1...3600) ?? 60
        let cluster = try ClusterTarget.local(arguments)
        let progress = Progress()
        let began = ContinuousClock.now
        guard kill(pid_t(cluster.pid), SIGTERM) == 0 else {
            let reason = unsafe String(cString: strerror(errno))
            throw CommandExit(
                code: ExitCode.failed, words: "cannot signal the cluster (process \(cluster.pid)): \(reason)")
        }
        while cluster.isRunning {
            let passed = began.duration(to: .now)
            guard passed < .seconds(seconds) else {
                progress.end()
                throw CommandExit(
                    code: ExitCode.failed,
                    words:
                        "the cluster (process \(cluster.pid)) still runs after \(seconds) s; see \(cluster.directory)/logs"
                )
            }
            progress.show("stopping, \(passed.components.seconds) s ...")
            try await Task.sleep(for: .milliseconds(50))
        }
        progress.end()
        Screen.write("Stopped the local cluster in \(cluster.directory).\n")
    }
}
