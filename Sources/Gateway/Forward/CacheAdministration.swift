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

    /// Creates those that are not there yet; stops at the first that is refused, and says which.
    func create(_ specs: [DepthCacheSpec]) async -> Members {
        let table = directory.table
        var rest = specs.filter { table.routes[$0.key] == nil }[...]
        let event = Endpoint.createMany.event
        while !rest.isEmpty {
            let batch = rest.prefix(Self.parallelism)
            rest = rest.dropFirst(Self.parallelism)
            let store = directory.store
            let results = await withTaskGroup(of: (DepthCacheSpec, Result<CachePicture, StoreError>).self) {
                group in
                for spec in batch {
                    group.addTask {
                        do throws(StoreError) {
                            return (spec, .success(try await store.create(spec)))
                        } catch {
                            return (spec, .failure(error))
                        }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            await directory.noteCreated(results.compactMap { try? $0.1.get() })
            for (spec, result) in results {
                guard case .failure(let error) = result, error != .alreadyExists else { continue }
                let what = "DepthCache '\(spec.market)' for '\(spec.exchange)' was not created"
                return Self.failure(error, event, refused: .creationRefused, what: what)
            }
        }
        return Envelope.ok(event)
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
