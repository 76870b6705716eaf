/// The error ids of the HTTP answers; the one table of them.
package struct ErrorID: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: String

    package init(rawValue: String) { self.rawValue = rawValue }
    private init(_ rawValue: String) { self.rawValue = rawValue }

    package var description: String { rawValue }

    /// `exchange` or `market` is missing (`get_depthcache_info`).
    package static let missingInfoParameter = ErrorID("#1006")
    /// The Kubernetes API has not been read yet; ask again in some seconds.
    package static let notReady = ErrorID("#1014")
    /// `exchange` or `market(s)` is missing (create).
    package static let missingCreateParameter = ErrorID("#1016")
    /// Refused at creation, with the reason.
    package static let creationRefused = ErrorID("#1017")
    package static let creationFailed = ErrorID("#1018")
    /// `exchange` or `market` is missing (`stop_depthcache`).
    package static let missingStopParameter = ErrorID("#1019")
    package static let stopRefused = ErrorID("#1020")
    package static let stopFailed = ErrorID("#1021")
    package static let alreadyExists = ErrorID("#1024")
    /// `exchange` or `market` is missing, or another parameter is malformed (`get_asks`, `get_bids`), or the request
    /// itself cannot be read.
    package static let badQueryParameter = ErrorID("#1025")
    /// A parameter of a credential endpoint is missing, or they were sent by GET.
    package static let badCredentialParameter = ErrorID("#1030")
    package static let unknownAccountGroup = ErrorID("#1031")
    package static let credentialRefused = ErrorID("#1032")
    package static let missingCredentialID = ErrorID("#1033")
    package static let credentialNotFound = ErrorID("#1034")
    /// `/v1`: there is no such path.
    package static let unknownPath = ErrorID("#1040")
    /// `/v1`: the path does not take this method.
    package static let methodNotAllowed = ErrorID("#1041")
    /// The request comes from a page or under a name that this gateway does not serve.
    package static let forbidden = ErrorID("#1042")
    /// The request needs a token, or one that allows more.
    package static let tokenNeeded = ErrorID("#1043")
    /// The client asks more often than it may.
    package static let tooManyRequests = ErrorID("#1044")
    /// The cache is known and no replica is placed.
    package static let noReplicaPlaced = ErrorID("#4000")
    /// No worker of the cache could be reached.
    package static let noWorkerReachable = ErrorID("#5000")
    /// With `result: OK`: served after at least one replica failed.
    package static let servedAfterFailover = ErrorID("#5001")
    /// A worker answered and no replica is synchronised.
    package static let notSynchronized = ErrorID("#6000")
    /// `/v1`: no replica has come to the `min_update_id` that was asked for.
    package static let behind = ErrorID("#6001")
    /// There is no such DepthCache.
    package static let notFound = ErrorID("#7000")
    /// The Kubernetes API is away; the payload is the last known state.
    package static let cachedState = ErrorID("#8000")
    /// The Kubernetes API is away and nothing is known.
    package static let stateUnavailable = ErrorID("#9000")
}
