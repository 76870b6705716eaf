internal import DepthCacheAPI
internal import Telemetry
internal import Transport

/// `/v1/depthcaches` and `/v1/cluster`: read from the table, changed through the Kubernetes API.
extension Dispatcher {
    func listCaches(_ values: V1Values, _ reply: V1Reply) throws(Problem) {
        let api = service.directory.apiState
        guard api.hasSynced else { throw .unread(api) }
        let wanted = values.text("exchange")?.asciiUppercased
        let routes = service.directory.table.ordered.filter {
            wanted == nil || $0.cache.exchange.asciiUppercased == wanted
        }
        let pages = service.pages
        reply(json(JSONFragment([("depthcaches", JSONFragment(routes.map { pages.cache($0) }))])))
    }

    func getCluster(_ reply: V1Reply) throws(Problem) {
        let api = service.directory.apiState
        guard api.hasSynced else { throw .unread(api) }
        let conditions = links.mapValues { "\($0.condition)" }
        reply(json(service.pages.cluster(service.directory.table, api, links: conditions)))
    }

    func changeCache(_ operation: V1Operation, _ values: V1Values, _ reply: @escaping V1Reply) {
        let directory = service.directory
        let pages = service.pages
        let known = service.markets.withLock { $0 }
        Task {
            do throws(Problem) {
                switch operation.name {
                case .createDepthCache:
                    let route = try await directory.create(values, known)
                    let cache = route.cache
                    let location = V1Path.text(.cache, exchange: cache.exchange, market: cache.market)
                    reply(json(pages.cache(route), status: 201, [HTTPHeader("location", location)]))
                case .changeDepthCache:
                    reply(json(pages.cache(try await directory.changeReplicas(values))))
                default:
                    try await directory.delete(values)
                    reply(GatewayReply(status: 204, body: []))
                }
            } catch {
                reply(error.reply)
            }
        }
    }
}

extension ClusterDirectory {
    fileprivate func create(_ values: V1Values, _ known: MarketDirectory) async throws(Problem) -> MarketRoute
    {
        let (exchange, market) = (values.exchange, values.market)
        let what = "\(market) of \(exchange) is not created"
        let interval = values.whole("update_interval").map { Int($0) }
        for (name, problem) in [
            ("market", known.problem(market: market, of: exchange)),
            ("update_interval", interval.flatMap { known.problem(updateInterval: $0, of: exchange) }),
        ] {
            guard let problem else { continue }
            throw Problem(
                status: 422, id: .creationRefused, detail: problem.description,
                members: [Problem.Member(name: "parameter", value: JSONFragment(name))])
        }
        let spec = DepthCacheSpec(
            exchange: exchange, market: market,
            replicas: Int(values.whole("replicas") ?? Int64(SpecBounds.defaultReplicas)),
            depth: Int(values.whole("depth") ?? Int64(SpecBounds.defaultDepth)),
            updateIntervalMilliseconds: interval,
            refreshIntervalSeconds: values.whole("refresh_interval").map { Int($0) })
        do throws(StoreError) {
            if try await lookUp(spec.key) != nil { throw StoreError.alreadyExists }
            let cache = try await store.create(spec)
            noteCreated([cache])
            return table.routes[spec.key] ?? MarketRoute(cache)
        } catch {
            throw Problem(error, what: what)
        }
    }

    fileprivate func changeReplicas(_ values: V1Values) async throws(Problem) -> MarketRoute {
        let replicas = Int(values.whole("replicas") ?? 0)
        do throws(StoreError) {
            if let route = try await lookUp(values.key),
                let changed = try await store.setReplicas(replicas, of: route.cache)
            {
                return MarketRoute(changed, replicas: route.replicas)
            }
        } catch {
            throw Problem(error, what: "\(values.market) of \(values.exchange) is not changed")
        }
        throw Problem.notFound(values.exchange, values.market)
    }

    /// Deletes every DepthCache of the market, duplicates too, or one of them would take its place.
    fileprivate func delete(_ values: V1Values) async throws(Problem) {
        var isKnown = false
        do throws(StoreError) {
            isKnown = try await lookUp(values.key) != nil
            let caches = table.caches(of: values.key)
            for cache in caches { try await store.delete(cache) }
            noteDeleted(caches)
        } catch {
            throw Problem(error, what: "\(values.market) of \(values.exchange) is not deleted")
        }
        guard isKnown else { throw Problem.notFound(values.exchange, values.market) }
    }
}

extension Problem {
    /// Nothing is known of the cluster yet.
    static func unread(_ api: ClusterDirectory.APIState) -> Problem {
        guard let trouble = api.trouble else {
            return .unavailable(.notReady, "The gateway has not read the cluster's state yet")
        }
        return .unavailable(.stateUnavailable, trouble)
    }
}
