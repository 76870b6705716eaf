internal import Synchronization
import Telemetry

/// The limits of a server, as a closed set for metrics: each says why something was refused or cut off.
package enum HTTPRefusal: String, CaseIterable, Sendable {
    /// All connections of the server are taken.
    case connections
    /// All connections that one client may have are taken.
    case clientConnections = "client_connections"
    /// What came is no HTTP/1.1 request.
    case unreadable
    case headSize = "head_size"
    case bodySize = "body_size"
    /// A request that did not arrive whole in time.
    case slowSender = "slow_sender"
    /// An answer that was not taken in time.
    case slowReader = "slow_reader"
    /// Too much waits for slow clients.
    case memory
    /// A client that asks more often than it may.
    case rate
    /// A request without a token that allows it.
    case token

    /// Whose setting moves the limit; nil: there is none.
    var setting: String? {
        switch self {
        case .connections: "max-connections"
        case .clientConnections: "max-connections-per-client"
        case .unreadable, .token: nil
        case .headSize: "max-header-bytes"
        case .bodySize: "max-body-bytes"
        case .slowSender: "request-timeout-seconds"
        case .slowReader: "write-timeout-seconds"
        case .memory: "max-held-mib"
        case .rate: "request-rate"
        }
    }
}

/// Counts refusals, and writes at most one log line a minute for each limit.
package final class HTTPRefusals: Sendable {
    private struct Entry {
        var total = 0
        var said: ContinuousClock.Instant?
        var saidTotal = 0
    }
    private static let quiet = Duration.seconds(60)
    private let entries = Guarded<[HTTPRefusal: Entry]>([:])
    private let log = Log("http")

    package init() {}

    package func count(of refusal: HTTPRefusal) -> Int { entries.withLock { $0[refusal]?.total ?? 0 } }
    var total: Int { entries.withLock { $0.values.reduce(0) { $0 + $1.total } } }

    package func add(_ refusal: HTTPRefusal, client: String, now: ContinuousClock.Instant = .now) {
        guard let new = take(refusal, now: now) else { return }
        log.warning(
            "Refused by a limit",
            [
                "limit": refusal.rawValue, "setting": refusal.setting ?? "none", "client": client,
                "since_last_line": "\(new)",
            ])
    }

    /// Counts one; how many there were since the last line, if it is time for another.
    func take(_ refusal: HTTPRefusal, now: ContinuousClock.Instant) -> Int? {
        entries.withLock { entries in
            var entry = entries[refusal] ?? Entry()
            defer { entries[refusal] = entry }
            entry.total += 1
            if let said = entry.said, now - said < Self.quiet { return nil }
            let new = entry.total - entry.saidTotal
            entry.said = now
            entry.saidTotal = entry.total
            return new
        }
    }
}
