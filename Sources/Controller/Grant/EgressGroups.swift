internal import DepthCacheAPI
internal import K8sClient
internal import Telemetry

/// Which nodes share an address at the exchanges: those with the same label, and all without one together.
actor EgressGroups {
    static let common = "default"
    private static let interval: Duration = .seconds(30)
    private let client: KubernetesClient
    private let log = Log("grants")
    private var groups: [String: String] = [:]
    private var problem: String?

    init(client: KubernetesClient) { self.client = client }

    func group(node: String) -> String { groups[node] ?? Self.common }

    /// Reads the labels of all nodes until cancelled.
    ///
    /// Where nodes may not be read, all workers count as behind one address.
    func run() async {
        while !Task.isCancelled {
            do {
                let nodes = try await client.list(Node.self).items
                groups = Dictionary(
                    nodes.compactMap { node in
                        guard let name = node.metadata.name,
                            let group = node.metadata.labels[LabelKey.egressGroup]
                        else { return nil }
                        return (name, group)
                    }, uniquingKeysWith: { $1 })
                problem = nil
            } catch {
                if problem == nil, !Task.isCancelled {
                    log.info(
                        "Cannot read nodes: all workers count as behind one address", ["reason": "\(error)"])
                }
                problem = "\(error)"
            }
            do { try await Task.sleep(for: Self.interval) } catch { return }
        }
    }
}
