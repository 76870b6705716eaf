import Telemetry

/// The workers of the local cluster, which come and go while it runs.
final class WorkerTeam: Sendable {
    private struct State {
        var members: [KeptChild] = []
        /// Not kept running by anybody yet.
        var newcomers: [KeptChild] = []
    }

    private let state: Guarded<State>
    private let make: @Sendable (_ name: String, _ port: Int) -> KeptChild

    init(_ ports: [Int], make: @escaping @Sendable (_ name: String, _ port: Int) -> KeptChild) {
        self.make = make
        let members = ports.enumerated().map { make(Self.name($0), $1) }
        state = Guarded(State(members: members))
    }

    private static func name(_ index: Int) -> String { "fathom-worker-\(index)" }

    var members: [KeptChild] { state.withLock { $0.members } }

    /// One more, under the first name that nobody has; `port` gets the number in that name.
    func add(port: (_ index: Int) throws(LocalClusterError) -> Int) throws(LocalClusterError) -> KeptChild {
        let taken = Set(members.map(\.name))
        let index = (0...taken.count).first { !taken.contains(Self.name($0)) } ?? taken.count
        let child = make(Self.name(index), try port(index))
        state.withLock { state in
            state.members.append(child)
            state.newcomers.append(child)
        }
        return child
    }

    /// Those that were added since the last call.
    func takeNewcomers() -> [KeptChild] {
        state.withLock { state in
            let newcomers = state.newcomers
            state.newcomers = []
            return newcomers
        }
    }

    func remove(_ child: KeptChild) {
        state.withLock { state in state.members.removeAll { $0 === child } }
    }

    /// The worker of a name or a pod's uid.
    func find(_ word: String) -> KeptChild? {
        members.first { child in
            child.name == word || child.state.withLock { !$0.podUID.isEmpty && $0.podUID == word }
        }
    }
}
