import Binance
import DepthCacheAPI
import FoundationEssentials
import Telemetry
import Transport

/// What a worker makes of the table of exchanges before anything runs.
extension Worker {
    static func exchanges(_ file: String?) throws -> ExchangeDirectory {
        guard let file else { return ExchangeDirectory() }
        let bytes: [UInt8]
        do { bytes = [UInt8](try Data(contentsOf: URL(filePath: file))) } catch {
            throw WorkerError("cannot read the exchanges file \(file): \(error)")
        }
        do { return try ExchangeDirectory(overridesYAML: bytes) } catch {
            throw WorkerError("exchanges file \(file): \(error)")
        }
    }

    /// One venue for each exchange that has books of its own; exchanges of one pool share its weight.
    static func venues(
        _ exchanges: ExchangeDirectory, _ peers: PeerDesk, _ keys: ExchangeKeys, _ clock: WorkerClock,
        _ metrics: MetricRegistry
    ) throws -> ([Venue], [WeightPool]) {
        let http = try HTTPClient(connectionsPerHost: SnapshotDesk.parallelRequests)
        let own = exchanges.all.filter { $0.marketDataName == $0.name }
        var venues: [Venue] = []
        let pools = Dictionary(grouping: own, by: \.weightPool).sorted { $0.key < $1.key }.map {
            name, exchanges in
            let limit = exchanges.map(\.weightPerMinute).min() ?? 0
            let weight = Guarded(RequestWeight(limitPerMinute: limit, isShared: true))
            let desks = exchanges.map { exchange in
                SnapshotDesk(
                    exchange: exchange, http: http, weight: weight, clock: clock, keys: keys,
                    desksOfPool: exchanges.count, metrics: metrics)
            }
            venues += zip(exchanges, desks).map {
                Venue(exchange: $0, desk: $1, peers: peers, metrics: metrics)
            }
            return WeightPool(name: name, weight: weight, desks: desks)
        }
        return (venues, pools)
    }
}
