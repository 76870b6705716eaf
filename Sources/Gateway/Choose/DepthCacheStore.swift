internal import DepthCacheAPI

/// What the gateway writes to, and asks of, the Kubernetes API.
protocol DepthCacheStore: Sendable {
    /// Creates the object under its deterministic name.
    func create(_ spec: DepthCacheSpec) async throws(StoreError) -> CachePicture
    /// Deletes exactly this object; one that is gone already is no error.
    func delete(_ cache: CachePicture) async throws(StoreError)
    /// Changes how many copies are wanted; nil if the object is gone.
    func setReplicas(_ count: Int, of cache: CachePicture) async throws(StoreError) -> CachePicture?
    /// The object that a gateway would have created for the market.
    func find(_ key: MarketKey) async throws(StoreError) -> CachePicture?
    func list() async throws(StoreError) -> [CachePicture]
}

/// Why the Kubernetes API did not do as it was asked.
enum StoreError: Error, Equatable, CustomStringConvertible {
    case alreadyExists
    /// It answered, and refused.
    case refused(String)
    /// It did not answer.
    case unavailable(String)

    var description: String {
        switch self {
        case .alreadyExists: "an object of this name already exists"
        case .refused(let reason), .unavailable(let reason): reason
        }
    }
}
