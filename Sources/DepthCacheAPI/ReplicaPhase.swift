/// Where a replica stands, as its worker last said; for people and the controller, never proof of being in sync.
package enum ReplicaPhase: String, Codable, CaseIterable, Sendable {
    case pending = "Pending"
    case connecting = "Connecting"
    case synchronizing = "Synchronizing"
    case synchronized = "Synchronized"
    case resyncing = "Resyncing"
    case failed = "Failed"
}

/// Why a replica or a cache is as it is; the same words in status, Events, logs and answers.
package struct Reason: RawRepresentable, Hashable, Codable, Sendable, CustomStringConvertible {
    package let rawValue: String

    package init(rawValue: String) { self.rawValue = rawValue }
    private init(_ rawValue: String) { self.rawValue = rawValue }

    package var description: String { rawValue }

    // Said by workers of a replica.
    package static let starting = Reason("Starting")
    package static let connecting = Reason("Connecting")
    package static let awaitingSnapshot = Reason("AwaitingSnapshot")
    /// Another worker asks the exchange for the same market; its copy will do.
    package static let awaitingPeer = Reason("AwaitingPeer")
    package static let synchronized = Reason("Synchronized")
    /// Synchronised from a first, shallow snapshot; the deep one is on its way.
    package static let shallow = Reason("Shallow")
    package static let coverageBelowDepth = Reason("CoverageBelowDepth")
    package static let exchangeUnreachable = Reason("ExchangeUnreachable")
    package static let disconnected = Reason("Disconnected")
    package static let feedSilent = Reason("FeedSilent")
    package static let connectionSilent = Reason("ConnectionSilent")
    package static let streamSilent = Reason("StreamSilent")
    package static let feedBehind = Reason("FeedBehind")
    package static let gap = Reason("Gap")
    package static let regression = Reason("Regression")
    package static let malformedData = Reason("MalformedData")
    package static let loopStalled = Reason("LoopStalled")
    /// The stream is silent and the exchange does not say whether it lives.
    package static let probeFailed = Reason("ProbeFailed")
    package static let auditMismatch = Reason("AuditMismatch")
    package static let feedLate = Reason("FeedLate")
    package static let clockSkew = Reason("ClockSkew")
    package static let snapshotFailed = Reason("SnapshotFailed")
    package static let rateLimited = Reason("RateLimited")
    package static let banned = Reason("Banned")
    package static let unknownMarket = Reason("UnknownMarket")
    package static let unknownExchange = Reason("UnknownExchange")
    package static let marketNotTrading = Reason("MarketNotTrading")
    package static let unsupportedInterval = Reason("UnsupportedInterval")
    package static let missingCredentials = Reason("MissingCredentials")

    // Said by the controller.
    package static let invalidSpec = Reason("InvalidSpec")
    package static let duplicateMarket = Reason("DuplicateMarket")
    package static let noWorkers = Reason("NoWorkers")
    package static let tooFewWorkers = Reason("TooFewWorkers")
    package static let workerLost = Reason("WorkerLost")
    package static let replicasPending = Reason("ReplicasPending")
    package static let placing = Reason("Placing")
    package static let moving = Reason("Moving")
    package static let settled = Reason("Settled")
    package static let asDesired = Reason("AsDesired")
    package static let notPlaced = Reason("NotPlaced")
    package static let deleting = Reason("Deleting")
    package static let replicaCreated = Reason("ReplicaCreated")
    package static let replicaDeleted = Reason("ReplicaDeleted")
    /// A move to a worker was given up.
    package static let moveAbandoned = Reason("MoveAbandoned")
    package static let writeFailed = Reason("WriteFailed")
}

/// The types of a DepthCache's conditions.
package enum ConditionType {
    /// At least one replica is synchronised.
    package static let ready = "Ready"
    /// Fewer replicas are ready than desired, or coverage is below the target.
    package static let degraded = "Degraded"
    /// Work is planned or under way.
    package static let progressing = "Progressing"
}
