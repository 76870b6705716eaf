/// All metrics of a process, by name and labels, and the page that Prometheus reads.
///
/// A name belongs to one kind; asking for it as another kind gives a metric that counts but is not shown. Label values
/// come from closed sets or from assigned replicas, never from what a client sent.
package final class MetricRegistry: Sendable {
    private enum Instrument {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)
        case reading(isCounter: Bool, @Sendable () -> Double)

        var kind: String {
            switch self {
            case .counter, .reading(isCounter: true, _): "counter"
            case .gauge, .reading: "gauge"
            case .histogram: "histogram"
            }
        }
    }
    private struct Family {
        var help: String
        var kind: String
        var series: [String: Instrument] = [:]
    }
    private struct SeriesName {
        let family: String
        let key: String
        let labels: [String: String]
    }
    private struct Series {
        var families: [String: Family] = [:]
        /// Those that carry a market, by its name: it finds its own when it goes, however many others there are.
        var ofMarket: [String: [SeriesName]] = [:]
    }
    private let series = Guarded(Series())

    package init() {}

    package func counter(_ name: String, help: String, labels: [String: String] = [:]) -> Counter {
        let made = Counter()
        guard case .counter(let kept) = keep(.counter(made), name, help, labels) else { return made }
        return kept
    }

    package func gauge(_ name: String, help: String, labels: [String: String] = [:]) -> Gauge {
        let made = Gauge()
        guard case .gauge(let kept) = keep(.gauge(made), name, help, labels) else { return made }
        return kept
    }

    package func histogram(
        _ name: String, help: String, bounds: [Double] = Histogram.latencyBounds,
        labels: [String: String] = [:]
    ) -> Histogram {
        let made = Histogram(bounds: bounds)
        guard case .histogram(let kept) = keep(.histogram(made), name, help, labels) else { return made }
        return kept
    }

    /// A gauge whose value is asked for when the page is rendered.
    package func gauge(
        _ name: String, help: String, labels: [String: String] = [:],
        reading value: @escaping @Sendable () -> Double
    ) {
        _ = keep(.reading(isCounter: false, value), name, help, labels)
    }

    /// A counter that something else keeps; it is asked for when the page is rendered.
    package func counter(
        _ name: String, help: String, labels: [String: String] = [:],
        reading value: @escaping @Sendable () -> Double
    ) {
        _ = keep(.reading(isCounter: true, value), name, help, labels)
    }

    /// Takes away every series with the label `market` whose other labels include all of `labels`: those of a book
    /// that is no longer kept, or only some `families` of them.
    package func removeSeries(
        ofMarket market: String, with labels: [String: String], families: Set<String>? = nil
    ) {
        series.withLock { series in
            guard let named = series.ofMarket.removeValue(forKey: market) else { return }
            var others: [SeriesName] = []
            for name in named {
                if families?.contains(name.family) ?? true,
                    labels.allSatisfy({ name.labels[$0.key] == $0.value })
                {
                    series.families[name.family]?.series[name.key] = nil
                } else {
                    others.append(name)
                }
            }
            if !others.isEmpty { series.ofMarket[market] = others }
        }
    }

    private func keep(_ made: Instrument, _ name: String, _ help: String, _ labels: [String: String])
        -> Instrument
    {
        let key = labels.sorted { $0.key < $1.key }.map(Self.labelText).joined(separator: ",")
        return series.withLock { series in
            if let kept = series.families[name]?.series[key] { return kept }
            guard series.families[name]?.kind ?? made.kind == made.kind else { return made }
            series.families[name, default: Family(help: help, kind: made.kind)].series[key] = made
            if let market = labels["market"] {
                series.ofMarket[market, default: []].append(
                    SeriesName(family: name, key: key, labels: labels))
            }
            return made
        }
    }

    /// One label as it stands on the page.
    private static func labelText(_ label: (key: String, value: String)) -> String {
        var value = ""
        for character in label.value {
            switch character {
            case "\\": value += "\\\\"
            case "\"": value += "\\\""
            case "\n": value += "\\n"
            default: value.append(character)
            }
        }
        return "\(label.key)=\"\(value)\""
    }

    /// The page in Prometheus' text format 0.0.4.
    package func render() -> [UInt8] {
        let families = series.withLock { $0.families }
        var page = ""
        for (name, family) in families.sorted(by: { $0.key < $1.key }) where !family.series.isEmpty {
            let help = family.help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
            page += "# HELP \(name) \(help)\n# TYPE \(name) \(family.kind)\n"
            for (labels, instrument) in family.series.sorted(by: { $0.key < $1.key }) {
                page += Self.lines(name, labels, instrument)
            }
        }
        return Array(page.utf8)
    }

    private static func lines(_ name: String, _ labels: String, _ instrument: Instrument) -> String {
        let braces = labels.isEmpty ? "" : "{\(labels)}"
        switch instrument {
        case .counter(let counter): return "\(name)\(braces) \(counter.value)\n"
        case .reading(_, let value): return "\(name)\(braces) \(number(value()))\n"
        case .gauge(let gauge): return "\(name)\(braces) \(number(gauge.value))\n"
        case .histogram(let histogram):
            let prefix = labels.isEmpty ? "" : labels + ","
            let counts = histogram.cumulative
            var text = ""
            for (bound, count) in zip(histogram.bounds, counts) {
                text += "\(name)_bucket{\(prefix)le=\"\(number(bound))\"} \(count)\n"
            }
            let total = counts.last ?? 0
            text += "\(name)_bucket{\(prefix)le=\"+Inf\"} \(total)\n"
            return text + "\(name)_sum\(braces) \(number(histogram.sum))\n\(name)_count\(braces) \(total)\n"
        }
    }

    private static func number(_ value: Double) -> String {
        if value == value.rounded(), abs(value) < 1e15 { return String(Int(value)) }
        return value.isNaN ? "NaN" : value == .infinity ? "+Inf" : value == -.infinity ? "-Inf" : "\(value)"
    }
}
