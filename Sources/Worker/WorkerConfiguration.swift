/// What a worker has to be told before it starts: plain values, so flags and environment meet in one place.
package struct WorkerConfiguration: Sendable {
    /// Pod name, also the name of the worker's Lease.
    package var name: String
    package var uid: String
    package var namespace: String
    package var node: String
    /// The address other programs reach this worker by; it goes into the Lease's endpoint annotation.
    package var advertisedAddress: String
    package var listenAddress: String
    /// 0 lets the system choose; `onListening` tells the port that was chosen.
    package var port: Int
    /// Event loops, each with its own thread and its own connections to the exchanges.
    package var loopCount: Int
    /// Path of a kubeconfig; nil means in-cluster, or what the environment says.
    package var kubeconfigPath: String?
    /// Overrides of the exchange table (design 9).
    package var exchangesFile: String?
    /// File with the link key as hex, and on an optional second line the previous one.
    package var linkKeyFile: String?
    /// Name of the Secret with that key instead.
    package var linkKeySecret: String?
    /// Where the evidence of audits that found a difference is kept, the newest few files.
    package var dumpDirectory: String
    /// How long the worker serves on at most, after it was told to stop, until its copies are kept elsewhere.
    package var drainPeriod: Duration
    /// Asked while it does: whether it has to end at once.
    package var mustHurry: @Sendable () -> Bool = { false }
    /// How long a deleted replica is still kept and served.
    package var lingerPeriod: Duration
    /// On how many connections each stream is received.
    package var feeds: Int
    /// When connections to exchanges are replaced; nil: shortly before the exchange ends them.
    package var feedLifetime: Duration?
    package var onListening: (@Sendable (Int) -> Void)?
    package var version = "unknown"

    package init(
        name: String, uid: String, namespace: String = "default", node: String = "local",
        advertisedAddress: String = "127.0.0.1", listenAddress: String = "127.0.0.1", port: Int = 0,
        loopCount: Int = 1, kubeconfigPath: String? = nil, exchangesFile: String? = nil,
        linkKeyFile: String? = nil, dumpDirectory: String = "tmp",
        drainPeriod: Duration = .seconds(110), lingerPeriod: Duration = .seconds(10),
        feeds: Int = 1, feedLifetime: Duration? = nil, onListening: (@Sendable (Int) -> Void)? = nil
    ) {
        self.name = name
        self.uid = uid
        self.namespace = namespace
        self.node = node
        self.advertisedAddress = advertisedAddress
        self.listenAddress = listenAddress
        self.port = port
        self.loopCount = loopCount
        self.kubeconfigPath = kubeconfigPath
        self.exchangesFile = exchangesFile
        self.linkKeyFile = linkKeyFile
        self.dumpDirectory = dumpDirectory
        self.drainPeriod = drainPeriod
        self.lingerPeriod = lingerPeriod
        self.feeds = feeds
        self.feedLifetime = feedLifetime
        self.onListening = onListening
    }

    var lines: LineSettings {
        var lines = LineSettings()
        lines.lanes = max(1, feeds)
        if let feedLifetime { lines.lifetime = feedLifetime }
        return lines
    }
}

/// Why a worker could not start or go on.
package struct WorkerError: Error, Equatable, CustomStringConvertible {
    package let description: String
    init(_ description: String) { self.description = description }
}
