internal import DepthCacheAPI
internal import K8sClient
internal import Telemetry

/// What the labels of nodes say: which nodes share an address at the exchanges, and which fail together.
final class NodeLabels: Sendable {
    static let commonGroup = "default"
    private static let interval: Duration = .seconds(30)
    private struct State {
        var groups: [String: String] = [:]
        var zones: [String: String] = [:]
        var problem: String?
        var hasTried = false
        var hasRead = false
    }

    private let client: KubernetesClient
    private let log = Log("nodes")
    private let state = Guarded(State())

    init(client: KubernetesClient) { self.client = client }

    /// All nodes without a group are one.
    func group(node: String) -> String { state.withLock { $0.groups[node] } ?? Self.commonGroup }

    /// All nodes without a zone are one.
    var zones: [String: String] { state.withLock { $0.zones } }

    /// Reads the labels of all nodes until cancelled.
    ///
    /// Where nodes may not be read, all workers count as in one zone and behind one address. What was read once stays in
    /// use while they cannot be read.
    func run() async {
        while !Task.isCancelled {
            do {
                let nodes = try await client.list(Node.self).items
                let groups = Self.labels(LabelKey.egressGroup, of: nodes)
                let zones = Self.labels(LabelKey.zone, of: nodes)
                state.withLock { $0 = State(groups: groups, zones: zones, hasTried: true, hasRead: true) }
            } catch {
                if Task.isCancelled { return }
                let (isNews, hasRead) = state.withLock { state in
                    defer { (state.problem, state.hasTried) = ("\(error)", true) }
                    return (state.problem == nil, state.hasRead)
                }
                if isNews, hasRead {
                    log.info(
                        "Cannot read nodes: zones and addresses stay as they were read last",
                        ["reason": "\(error)"])
                } else if isNews {
                    log.info(
                        "Cannot read nodes: all workers count as in one zone and behind one address",
                        ["reason": "\(error)"])
                }
            }
            do { try await Task.sleep(for: Self.interval) } catch { return }
        }
    }

    private static func labels(_ key: String, of nodes: [Node]) -> [String: String] {
        Dictionary(
            nodes.compactMap { node in
                guard let name = node.metadata.name, let value = node.metadata.labels[key] else { return nil }
                return (name, value)
            }, uniquingKeysWith: { $1 })
    }

    /// Waits until nodes were read or could not be; throws only when cancelled.
    func waitUntilTried() async throws {
        while !state.withLock({ $0.hasTried }) { try await Task.sleep(for: .milliseconds(20)) }
    }
}
