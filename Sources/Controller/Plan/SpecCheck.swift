internal import Binance
internal import DepthCacheAPI

/// What only the table of exchanges can tell about a spec.
struct SpecCheck: Sendable {
    private let exchanges: ExchangeDirectory

    init(_ exchanges: ExchangeDirectory) { self.exchanges = exchanges }

    @Sendable func violations(_ spec: DepthCacheSpec) -> [SpecViolation] {
        guard let exchange = exchanges[name: spec.exchange.asciiLowercased] else {
            return [
                SpecViolation(
                    field: "spec.exchange",
                    expectation:
                        "unknown exchange '\(spec.exchange)'; known are \(exchanges.names.joined(separator: ", "))"
                )
            ]
        }
        guard let interval = spec.updateIntervalMilliseconds, !exchange.updateIntervals.contains(interval)
        else { return [] }
        let offered = exchange.updateIntervals.map { "\($0)" }.joined(separator: ", ")
        return [
            SpecViolation(
                field: "spec.updateIntervalMilliseconds",
                expectation: "expected one of \(offered) for \(exchange.name), was \(interval)")
        ]
    }
}
