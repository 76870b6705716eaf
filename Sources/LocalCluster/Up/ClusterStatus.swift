import FoundationEssentials
package import K8sClient

/// The state of a cluster as `/get_cluster_info` tells it, in the table that people know from the peer.
package struct ClusterStatus: Sendable {
    /// One program of the cluster.
    package struct Member: Equatable, Sendable {
        package var role, name, port, status, version: String
        package var cells: [String] { [role, name, port, status, version] }
    }

    /// A market whose copies had to be synchronised anew.
    struct Restart: Equatable {
        var exchange, market: String
        var count: Int64
        /// Seconds since 1970; 0: not known.
        var last: Double
    }

    package private(set) var members: [Member] = []
    private(set) var caches = 0
    private(set) var running = 0
    private(set) var starting = 0
    private(set) var fullyRedundant = 0
    private(set) var degraded = 0
    private(set) var notRedundant = 0
    private(set) var unavailable = 0
    private(set) var inactive = 0
    private(set) var restarts: [Restart] = []
    private let version: String
    private let gateway: String
    private let now: Double

    /// Reads the answer of `gateway`, a URL without a slash at its end.
    package init(_ answer: JSONValue, gateway: String) {
        self.gateway = gateway
        version = answer["version"]?.text ?? "?"
        let database = answer["db"] ?? [:]
        now = database["timestamp"]?.double ?? 0
        let order = ["ubdcc-restapi": 0, "ubdcc-dcn": 1]
        members = (database["pods"]?.fields ?? [:]).values.map(Self.member).sorted {
            (order[$0.role] ?? 9, $0.name) < (order[$1.role] ?? 9, $1.name)
        }
        for (exchange, markets) in database["depthcaches"]?.fields ?? [:] {
            for (market, cache) in markets.fields ?? [:] { count(cache, exchange, market) }
        }
        restarts.sort { ($1.count, $0.exchange, $0.market) < ($0.count, $1.exchange, $1.market) }
    }

    /// The controller, which gateways do not list, as the first row.
    package mutating func insertManager(name: String, port: Int?, isRunning: Bool) {
        members.insert(
            Member(
                role: "ubdcc-mgmt", name: name, port: port.map(String.init) ?? "-",
                status: isRunning ? "running" : "down", version: isRunning ? version : "?"), at: 0)
    }

    private static func member(_ pod: JSONValue) -> Member {
        func text(_ name: String) -> String {
            pod[name]?.text ?? pod[name]?.number.map(String.init) ?? "?"
        }
        let library = pod["UBLDC_VERSION"]?.text.map { " (ubldc \($0))" } ?? ""
        return Member(
            role: text("ROLE"), name: text("NAME"), port: text("API_PORT_REST"), status: text("STATUS"),
            version: text("VERSION") + library)
    }

    private mutating func count(_ cache: JSONValue, _ exchange: String, _ market: String) {
        caches += 1
        let copies = Array((cache["DISTRIBUTION"]?.fields ?? [:]).values)
        let inSync = copies.count { $0["STATUS"] == "running" }
        running += inSync
        starting += copies.count - inSync
        let desired = Int(cache["DESIRED_QUANTITY"]?.number ?? 1)
        switch (desired, inSync) {
        case (0, _): inactive += 1
        case (_, 0): unavailable += 1
        case (1, _): notRedundant += 1
        case (_, desired...): fullyRedundant += 1
        default: degraded += 1
        }
        let count = copies.reduce(0) { $0 + ($1["RESTARTS"]?.number ?? 0) }
        guard count > 0 else { return }
        let last = copies.compactMap { $0["LAST_RESTART_TIME"]?.double }.max() ?? 0
        restarts.append(Restart(exchange: exchange, market: market, count: count, last: last))
    }

    // MARK: For people

    package static let titles = ["ROLE", "NAME", "PORT", "STATUS", "VERSION"]
    private static let widths = [16, 20, 8, 10, 0]
    private static let rule = String(repeating: "-", count: 70)

    package var text: String {
        var lines = [Self.line(Self.titles, Self.widths), Self.rule]
        lines += members.map { Self.line($0.cells, Self.widths) }
        lines += [
            "",
            "DepthCaches: \(caches) (\(running + starting) replicas: \(running) running, \(starting) starting)",
            "Redundancy: \(fullyRedundant) fully redundant, \(degraded) degraded, \(notRedundant) no redundancy, "
                + "\(unavailable) unavailable" + (inactive > 0 ? ", \(inactive) inactive" : ""),
            "Version: \(version)",
        ]
        if !restarts.isEmpty {
            lines += ["", Self.restartLine("EXCHANGE", "MARKET", "RESTARTS", "LAST RESTART"), Self.rule]
            lines += restarts.map {
                Self.restartLine($0.exchange, $0.market, String($0.count), age($0.last))
            }
        }
        lines += ["", "REST API: \(gateway)/", "Cluster info: \(gateway)/get_cluster_info"]
        return lines.joined(separator: "\n")
    }

    /// Each cell at least as wide as its column, and a blank between two in any case.
    private static func line(_ cells: [String], _ widths: [Int]) -> String {
        zip(cells, widths).map { padded($0, $1) }.joined(separator: " ")
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private static func restartLine(_ exchange: String, _ market: String, _ count: String, _ last: String)
        -> String
    {
        let blanks = String(repeating: " ", count: max(0, 8 - count.count))
        return "\(padded(exchange, 28)) \(padded(market, 16)) \(blanks)\(count)  \(last)"
    }

    private func age(_ time: Double) -> String {
        guard time > 0 else { return "-" }
        let seconds = max(0, Int(now - time))
        return switch seconds {
        case ..<60: "\(seconds)s ago"
        case ..<3600: "\(seconds / 60)min ago"
        case ..<86_400: "\(seconds / 3600)h ago"
        default: "\(seconds / 86_400)d ago"
        }
    }

    // MARK: For programs

    package var json: JSONValue {
        [
            "version": .string(version), "url": .string(gateway),
            "members": .array(
                members.map {
                    [
                        "role": .string($0.role), "name": .string($0.name),
                        "port": Int64($0.port).map { .int($0) } ?? .null, "status": .string($0.status),
                        "version": .string($0.version),
                    ]
                }),
            "depthcaches": [
                "count": .int(Int64(caches)), "running_replicas": .int(Int64(running)),
                "starting_replicas": .int(Int64(starting)), "fully_redundant": .int(Int64(fullyRedundant)),
                "degraded": .int(Int64(degraded)), "no_redundancy": .int(Int64(notRedundant)),
                "unavailable": .int(Int64(unavailable)), "inactive": .int(Int64(inactive)),
            ],
            "restarts": .array(
                restarts.map {
                    [
                        "exchange": .string($0.exchange), "market": .string($0.market),
                        "count": .int($0.count),
                        "last": .double($0.last),
                    ]
                }),
        ]
    }
}
