/// Where a book is on its way; the names are those of a replica's status.
package enum BookPhase: String, Sendable, CaseIterable {
    /// No stream is open.
    case connecting = "Connecting"
    /// The stream is open and the first snapshot is awaited.
    case synchronizing = "Synchronizing"
    case synchronized = "Synchronized"
    /// It was synchronised and lost that.
    case resyncing = "Resyncing"
    /// It cannot be synchronised until something outside changes.
    case failed = "Failed"
}

/// Why a book is not synchronised; the raw value is the reason in status, events, metrics and logs.
package enum OutOfSyncReason: String, Error, Sendable, CaseIterable {
    case notConnected = "NotConnected"
    case awaitingSnapshot = "AwaitingSnapshot"
    case snapshotTooOld = "SnapshotTooOld"
    case disconnected = "Disconnected"
    case connectionSilent = "ConnectionSilent"
    case streamSilent = "StreamSilent"
    case loopStalled = "LoopStalled"
    case gap = "Gap"
    case regression = "Regression"
    case feedBehind = "FeedBehind"
    case bufferOverflow = "BufferOverflow"
    case malformedData = "MalformedData"
    case coverageExhausted = "CoverageExhausted"
    case crossedBook = "CrossedBook"
    case emptyBook = "EmptyBook"
    case marketNotTrading = "MarketNotTrading"
    case unknownMarket = "UnknownMarket"
    case refreshRequested = "RefreshRequested"
    case auditMismatch = "AuditMismatch"
    case feedLate = "FeedLate"
    case clockSkew = "ClockSkew"

    /// Whether a copy of another worker's book will not do afterwards: ids or prices that did not fit the stream may have
    /// come from there.
    var needsExchange: Bool {
        switch self {
        case .regression, .feedBehind, .crossedBook, .auditMismatch: true
        default: false
        }
    }
}

/// A snapshot that is to be fetched; its answer must carry the same `number`.
package struct SnapshotRequest: Sendable, Equatable {
    /// Counts the requests of one book; answers to earlier ones are dropped.
    package var number: Int
    /// How many requests in a row did not lead to a synchronised book; waits should grow with it.
    package var attempt: Int
    package var reason: OutOfSyncReason
    /// Whether a copy of another worker's book will not do.
    package var needsExchange: Bool
}

/// What the owner of a book has to do now.
package enum SyncAction: Sendable, Equatable {
    case fetchSnapshot(SnapshotRequest)
    /// Both sides are empty: ask exchangeInfo and report with `marketStatus(isTrading:)`.
    case askMarketStatus
}

/// What became of one event.
package enum EventOutcome: Sendable, Equatable {
    case applied
    case ignored
    case buffered
    /// No stream is open, or the book has failed: events mean nothing.
    case dropped
}
