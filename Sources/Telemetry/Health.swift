/// What `/healthz` and `/readyz` say: whether the process lives, and what it still waits for.
package final class Health: Sendable {
    private struct State {
        var waitingFor: [String: String] = [:]
        var failures: [String: String] = [:]
    }
    private let state = Guarded(State())

    /// A process that is ready once nothing is left of `waitingFor` (name to reason).
    package init(waitingFor: [String: String] = [:]) {
        state.withLock { $0.waitingFor = waitingFor }
    }

    /// Says that the process is not ready, and why; `nil` takes the reason back.
    package func setUnready(_ name: String, _ reason: String?) {
        state.withLock { $0.waitingFor[name] = reason }
    }

    /// Says that the process has to be restarted, and why; `nil` takes the reason back.
    package func setFailed(_ name: String, _ reason: String?) {
        state.withLock { $0.failures[name] = reason }
    }

    package var isReady: Bool { state.withLock { $0.waitingFor.isEmpty && $0.failures.isEmpty } }
    package var isAlive: Bool { state.withLock { $0.failures.isEmpty } }

    /// Why the process is not ready, one `name: reason` a line; empty when it is.
    package var reasons: [String] {
        state.withLock { state in
            (state.failures.merging(state.waitingFor) { first, _ in first })
                .map { "\($0.key): \($0.value)" }.sorted()
        }
    }
}
