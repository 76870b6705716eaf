import Glibc
import Telemetry
import Transport

/// What `fathom up` needs to know.
package struct UpConfiguration: Sendable {
    package var workers: Int = 2
    /// On how many connections each worker receives each stream.
    package var feeds: Int = 1
    package var host: String = "127.0.0.1"
    /// Ports, where 0 takes any free one; the actual ports are in `<data-dir>/up.json`.
    package var gatewayPort: Int = 42081
    package var kubernetesPort: Int = 42080
    /// Controller and worker ports are wishes: a taken one is replaced by a free one, since nobody types them.
    package var controllerPort: Int = 42079
    package var firstWorkerPort: Int = 42082
    package var dataDirectory: String = ".fathom"
    package var simulate: Bool = false
    package var exchangesFile: String?
    /// Where the key of the links is kept instead of a file in the data directory.
    package var linkKeySecret: String?
    /// Whether the gateway adds and removes credentials; nil: if it listens on loopback.
    package var credentialEndpoints: Bool?
    package var simulatorArguments: [String] = []
    /// How the programs are told what to log.
    package var logArguments: [String] = []
    /// The program to start children with; the running one unless a test says otherwise.
    package var executable: String?
    /// How long children may take to end before they are killed.
    package var stopDeadline: Duration = .seconds(10)
    /// How long a program whose pod was deleted may take to hand over before it is killed.
    package var drainDeadline: Duration = .seconds(30)

    package init() {}

    /// Whether the gateway adds and removes credentials: nobody else's business than this machine's, unless told otherwise.
    var hasCredentialEndpoints: Bool {
        credentialEndpoints ?? (host == "localhost" || IPAddress(host)?.isLoopback == true)
    }

    /// A port of the cluster as it stands in URLs.
    func authority(_ port: Int) -> String { IPAddress.authority(IPAddress.reachable(host), port) }
}

/// Why the local cluster could not be started or kept; the message is for the person at the terminal.
package struct LocalClusterError: Error, CustomStringConvertible, Sendable {
    package var description: String

    package init(_ description: String) {
        self.description = description
    }
}

/// Runs the local cluster until the task is cancelled, then ends all children in order.
///
/// A second signal may end this process at once: the children's lifelines tell them then.
package func runUp(_ configuration: UpConfiguration) async throws {
    let directory = Files.absolute(configuration.dataDirectory)
    guard configuration.workers >= 1, configuration.workers <= 64 else {
        throw LocalClusterError("--workers must be from 1 to 64, was \(configuration.workers)")
    }
    if let file = configuration.exchangesFile, unsafe access(file, R_OK) != 0 {
        throw LocalClusterError("cannot read the exchanges file \(file): \(Files.reason())")
    }
    try Files.makeDirectory(directory)
    guard let lock = try Files.lock("\(directory)/up.lock") else {
        throw LocalClusterError(
            "another 'fathom up' uses the data directory \(directory); stop it or choose another with --data-dir"
        )
    }
    defer { close(lock) }
    // What a killed run left behind is not true any more.
    unsafe unlink("\(directory)/up.json")
    let credentials = try Credentials.prepare(in: directory)
    let linkKey = try Credentials.prepareLinkKey(in: directory)
    let ports = try LocalPorts.find(configuration)
    let plan = LocalPlan(
        configuration, directory: directory, ports: ports,
        executable: configuration.executable ?? ownExecutable(),
        linkKeyFile: linkKey)
    rotateLogs(plan)
    var tls = TLSClientSettings()
    tls.authorityPEM = credentials.authority.credential.certificatePEM
    let api = ClusterAPI(
        client: try HTTPClient(), server: "https://\(configuration.authority(ports.kubernetes))",
        token: credentials.tokens[.admin] ?? "", tls: tls)
    let supervisor = Supervisor(plan: plan, api: api)
    // Not a child of this task: ending the programs in order must go on after the cancellation.
    let work = Task { try await supervisor.run() }
    defer { unsafe unlink("\(directory)/up.json") }
    try await withTaskCancellationHandler {
        try await work.value
    } onCancel: {
        supervisor.requestStop()
    }
}

/// The path of the running program.
private func ownExecutable() -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = unsafe readlink("/proc/self/exe", &buffer, buffer.count)
    guard count > 0 else { return "/proc/self/exe" }
    return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// The logs of the last run stay readable beside those of this one.
private func rotateLogs(_ plan: LocalPlan) {
    let folder = "\(plan.directory)/logs"
    unsafe mkdir(folder, 0o700)
    for child in plan.all {
        unsafe rename("\(folder)/\(child.name).log", "\(folder)/\(child.name).log.1")
    }
}
