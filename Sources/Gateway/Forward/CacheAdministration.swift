internal import DepthCacheAPI
internal import K8sClient

/// Creates and stops DepthCaches through the Kubernetes API; what it answers can be relied on at once.
struct CacheAdministration: Sendable {
    typealias Members = [(String, JSONFragment)]
    var directory: ClusterDirectory

    /// How many objects are created at a time.
    private static let parallelism = 16

    func create(_ spec: DepthCacheSpec) async -> Members {
        let event = Endpoint.create.event
        let name = "DepthCache '\(spec.market)' for '\(spec.exchange)'"
        do throws(StoreError) {
            if try await directory.lookUp(spec.key) != nil { throw StoreError.alreadyExists }
            await directory.noteCreated([try await directory.store.create(spec)])
            return Envelope.ok(event)
        } catch .alreadyExists {
            return Envelope.error(.alreadyExists, event, "\(name) already exists!")
        } catch {
            return Self.failure(error, event, refused: .creationRefused, what: "\(name) was not created")
        }
    }

    /// Creates those that are not there yet; begins no further ones after the first that is refused, and says which that was.
    func create(_ specs: [DepthCacheSpec]) async -> Members {
        let table = directory.table
        var rest = specs.filter { table.routes[$0.key] == nil }[...]
        let store = directory.store
        let (made, refused) = await withTaskGroup(of: (DepthCacheSpec, Result<CachePicture, StoreError>).self)
        {
            group in
            func begin(_ spec: DepthCacheSpec) {
                group.addTask {
                    do throws(StoreError) {
                        return (spec, .success(try await store.create(spec)))
                    } catch {
                        return (spec, .failure(error))
                    }
                }
            }
            for _ in 0..<Self.parallelism { if let spec = rest.popFirst() { begin(spec) } }
            var made: [CachePicture] = []
            var refused: (spec: DepthCacheSpec, error: StoreError)?
            for await (spec, result) in group {
                switch result {
                case .success(let cache): made.append(cache)
                case .failure(.alreadyExists): break
                case .failure(let error): refused = refused ?? (spec: spec, error: error)
                }
                if refused == nil, let spec = rest.popFirst() { begin(spec) }
            }
            return (made, refused)
        }
        // Once for all: each note makes a table.
        await directory.noteCreated(made)
        let event = Endpoint.createMany.event
        guard let refused else { return Envelope.ok(event) }
        let what = "DepthCache '\(refused.spec.market)' for '\(refused.spec.exchange)' was not created"
        return Self.failure(refused.error, event, refused: .creationRefused, what: what)
    }

    /// Deletes every DepthCache of the market, duplicates too, or one of them would take its place.
    func stop(exchange: String, market: String) async -> Members {
        let event = Endpoint.stop.event
        let key = MarketKey(exchange: exchange, market: market)
        let name = "DepthCache '\(market)' for '\(exchange)'"
        do throws(StoreError) {
            guard try await directory.lookUp(key) != nil else {
                return Envelope.error(.notFound, event, "\(name) not found!")
            }
            let caches = directory.table.caches(of: key)
            for cache in caches { try await directory.store.delete(cache) }
            await directory.noteDeleted(caches)
            return Envelope.ok(event)
        } catch {
            return Self.failure(error, event, refused: .stopRefused, what: "\(name) was not stopped")
        }
    }

    private static func failure(_ error: StoreError, _ event: String, refused: ErrorID, what: String)
        -> Members
    {
        switch error {
        case .alreadyExists: Envelope.error(.alreadyExists, event, "\(what): it already exists")
        case .refused(let reason): Envelope.error(refused, event, "\(what): \(reason)")
        case .unavailable(let reason): unavailable(event, reason)
        }
    }

    /// `#9000`: the Kubernetes API is away, and only it could have helped.
    static func unavailable(_ event: String, _ reason: String) -> Members {
        Envelope.error(
            .stateUnavailable, event, "The Kubernetes API cannot be reached, please try again!",
            [("error", JSONFragment(reason))])
    }
}
