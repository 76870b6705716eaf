/// What `fathom up` needs to know.
package struct UpConfiguration: Sendable {
    package var workers: Int = 2
    package var host: String = "127.0.0.1"
    /// Ports; 0 takes any free one. The actual ports are in `<data-dir>/up.json`.
    package var gatewayPort: Int = 42081
    package var kubernetesPort: Int = 42080
    /// Controller and worker ports are wishes: a taken one is replaced by a free one, since nobody types them.
    package var controllerPort: Int = 42079
    package var firstWorkerPort: Int = 42082
    package var dataDirectory: String = ".fathom"
    package var simulate: Bool = false
    package var exchangesFile: String?
    package var simulatorArguments: [String] = []
    /// The program to start children with; the running one unless a test says otherwise.
    package var executable: String?
    /// How long children may take to end before they are killed.
    package var stopDeadline: Duration = .seconds(10)

    package init() {}
}

/// Why the local cluster could not be started or kept; the message is for the person at the terminal.
package struct LocalClusterError: Error, CustomStringConvertible, Sendable {
    package var description: String

    package init(_ description: String) {
        self.description = description
    }
}

/// Runs the local cluster until the task is cancelled; `forceStop` is awaited while stopping and, when it returns,
/// ends everything at once (a second Ctrl-C).
package func runUp(
    _ configuration: UpConfiguration, forceStop: @Sendable @escaping () async -> Void = neverForced
) async throws {
    throw LocalClusterError("fathom up is not built yet")
}

/// The `forceStop` of callers that have none.
package func neverForced() async {
    let never = AsyncStream<Void> { _ in }
    for await _ in never {}
}
