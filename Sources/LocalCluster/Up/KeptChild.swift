import Telemetry

/// A program that the supervisor keeps running, and what is known about it now.
final class KeptChild: Sendable {
    struct State {
        var process: ChildProcess?
        var pod = PodRecord.Condition()
        var podUID = ""
        /// What the pod's status said last; nil if it has to be written again.
        var written: PodRecord.Condition?
        var failures = 0
        /// How many times in a row it has said, or not been able to say, that it is not ready.
        var misses = 0
        /// Whether it is to end and not to be started again.
        var isLeaving = false
    }

    let name: String
    /// The pod's component; nil for programs that are no part of the cluster, which have no pod.
    let component: String?
    let program: String
    let port: Int
    /// Arguments for a start, with the pod's uid.
    let arguments: @Sendable (_ podUID: String) -> [String]
    /// Where to ask whether it is ready; nil: it counts as ready when it runs.
    let readyURL: String?
    /// Sees lines of its output.
    let onLine: @Sendable (String) -> Void
    let state = Guarded(State())

    init(
        name: String, component: String?, program: String, port: Int, readyURL: String?,
        onLine: @escaping @Sendable (String) -> Void = { _ in },
        arguments: @escaping @Sendable (String) -> [String]
    ) {
        self.name = name
        self.component = component
        self.program = program
        self.port = port
        self.readyURL = readyURL
        self.onLine = onLine
        self.arguments = arguments
    }

    var process: ChildProcess? { state.withLock { $0.process } }
    var isLeaving: Bool { state.withLock { $0.isLeaving } }
    var condition: PodRecord.Condition { state.withLock { $0.pod } }
    var record: PodRecord {
        PodRecord(name: name, component: component ?? "", command: ["fathom"] + arguments("").prefix(1))
    }
    var podPath: String { "/api/v1/namespaces/default/pods/\(name)" }

    /// So many answers in a row make it count as not ready, as a kubelet has it: one may be late on a busy machine.
    static let missesBeforeUnready = 3

    /// Takes what a look at its readiness has shown and says whether that changed how it counts.
    ///
    /// Nil: it is ready.
    @discardableResult func looked(_ unreadiness: String?) -> Bool {
        state.withLock { state in
            state.misses = unreadiness == nil ? 0 : state.misses + 1
            let isReady =
                unreadiness == nil || state.pod.isReady && state.misses < Self.missesBeforeUnready
            guard state.pod.isReady != isReady else { return false }
            state.pod.isReady = isReady
            state.pod.readyChangedAt = Clock.now()
            return true
        }
    }

    func noteStart(_ process: ChildProcess) {
        state.withLock { state in
            state.process = process
            state.pod.isRunning = true
            state.pod.startedAt = Clock.now()
        }
    }

    /// How long it ran; counts a restart unless the end was wanted.
    func noteExit(code: Int32, isWanted: Bool) {
        let now = Clock.now()
        state.withLock { state in
            // Without a process it could not even be started.
            let ran = state.process == nil ? 0 : now - state.pod.startedAt
            state.process = nil
            state.failures = isWanted || ran > 30_000_000 ? 0 : state.failures + 1
            state.pod.isRunning = false
            if state.pod.isReady { state.pod.readyChangedAt = now }
            state.pod.isReady = false
            state.misses = 0
            guard !isWanted else { return }
            state.pod.restarts += 1
            state.pod.lastExitCode = code
            state.pod.lastExitAt = now
            state.pod.lastStartedAt = state.pod.startedAt
        }
    }

    /// The wait before the next start: the first at once, then doubling to 10 s, each with jitter.
    var backoff: Duration {
        let failures = state.withLock { $0.failures }
        guard failures > 1 else { return .milliseconds(Int.random(in: 50...150)) }
        let most = min(10_000, 250 << min(failures - 1, 6))
        return .milliseconds(Int.random(in: (most / 2)...most))
    }
}
