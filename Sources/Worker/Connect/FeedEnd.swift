/// Why a connection ended or is to end.
enum FeedEnd: Equatable, Sendable, CustomStringConvertible {
    case unanswered(Duration)
    case silent(Duration)
    case notAcknowledged
    case notWanted
    case lifetime
    case serverShutdown
    /// Its events come long after they happened.
    case late
    case replaced
    case workerStops
    /// Closed by the other side, or never opened.
    case failed(String)

    var description: String {
        switch self {
        case .unanswered(let limit): "no answer within \(limit.components.seconds) s"
        case .silent(let limit): "nothing received for \(limit.components.seconds) s"
        case .notAcknowledged: "a subscription was not acknowledged"
        case .notWanted: "no stream is wanted any more"
        case .lifetime: "the exchange's 24 h limit comes near"
        case .serverShutdown: "the exchange announced that this server goes down"
        case .late: "its events come late"
        case .replaced: "another connection has taken its place"
        case .workerStops: "the worker stops"
        case .failed(let words): words
        }
    }

    /// As metrics name it.
    var label: String {
        switch self {
        case .unanswered: "unanswered"
        case .silent: "silent"
        case .notAcknowledged: "not_acknowledged"
        case .notWanted: "not_wanted"
        case .lifetime: "lifetime"
        case .serverShutdown: "server_shutdown"
        case .late: "late"
        case .replaced: "replaced"
        case .workerStops: "worker_stops"
        case .failed: "closed"
        }
    }
}
