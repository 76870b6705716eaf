import Books
import Telemetry

/// How far one book is known, on the page of metrics; the gauges are kept, since they are set twice a second for every book.
struct ReachGauges {
    /// What the gauges are called.
    static let families: Set<String> = [levelsName, wholeName, priceName]
    private static let levelsName = "fathom_worker_covered_levels"
    private static let wholeName = "fathom_worker_covered_whole"
    private static let priceName = "fathom_worker_covered_to"

    private struct Side {
        let labels: [String: String]
        let levels: Gauge
        let whole: Gauge
        /// Not on the page before there is a price to show.
        var price: Gauge?
    }

    private let metrics: MetricRegistry
    private var bids: Side
    private var asks: Side

    init(_ book: BookID, _ metrics: MetricRegistry) {
        func side(_ name: String) -> Side {
            let labels = book.metricLabels.merging(["side": name]) { first, _ in first }
            return Side(
                labels: labels,
                levels: metrics.gauge(
                    Self.levelsName, help: "Levels inside the coverage.", labels: labels),
                whole: metrics.gauge(
                    Self.wholeName, help: "Whether the whole side is known.", labels: labels))
        }
        self.metrics = metrics
        bids = side("bids")
        asks = side("asks")
    }

    mutating func show(_ reach: BookReach) {
        show(reach.bids, &bids)
        show(reach.asks, &asks)
    }

    private func show(_ known: BookReach.Side, _ side: inout Side) {
        side.levels.set(known.levels)
        side.whole.set(known.isWhole ? 1 : 0)
        guard let price = known.to else { return }
        let gauge =
            side.price
            ?? metrics.gauge(
                Self.priceName, help: "The price up to which the side is complete.",
                labels: side.labels)
        gauge.set(Self.number(price))
        side.price = gauge
    }

    private static func number(_ decimal: FixedDecimal) -> Double {
        var value = Double(decimal.mantissa)
        for _ in 0..<decimal.scale { value /= 10 }
        return value
    }
}
