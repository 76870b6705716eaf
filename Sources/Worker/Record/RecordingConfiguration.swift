package import Binance

/// What to record, and where to.
package struct RecordingConfiguration: Sendable {
    package var exchange: Exchange
    package var markets: [String]
    /// One market is written right here, several each into a folder of its name.
    package var directory: String
    /// How long after the first stream is acknowledged; nil: until cancelled.
    package var duration: Duration?
    /// The feed speed; nil: the exchange's fastest.
    package var intervalMilliseconds: Int?
    package var snapshotLimit: Int
    /// A further snapshot each time this has passed; nil: only one for each connection.
    package var snapshotInterval: Duration?
    /// Hears one line of progress every few seconds.
    package var onProgress: @Sendable (String) -> Void

    package init(
        exchange: Exchange, markets: [String], directory: String, duration: Duration? = nil,
        intervalMilliseconds: Int? = nil, snapshotLimit: Int = 1000, snapshotInterval: Duration? = nil,
        onProgress: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.exchange = exchange
        self.markets = markets
        self.directory = directory
        self.duration = duration
        self.intervalMilliseconds = intervalMilliseconds
        self.snapshotLimit = snapshotLimit
        self.snapshotInterval = snapshotInterval
        self.onProgress = onProgress
    }
}

/// Why a recording cannot go on, in words for the person who asked for it.
package struct RecordingError: Error, Equatable, Sendable, CustomStringConvertible {
    package var description: String
    init(_ description: String) { self.description = description }
}
