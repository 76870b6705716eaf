/// Measures how many events per second one core generates, applies, keeps and renders.
struct SelfBenchmark {
    var settings: EngineSettings
    var seconds = 3.0

    /// A subscriber that looks at nothing.
    private final class Sink: StreamSubscriber {
        let isCombined = true
        private(set) var byteCount = 0
        func send(_ frame: StreamFrame) { byteCount += frame.combined?.count ?? 0 }
        func drop(reason: String) {}
        func stall(until microseconds: Int64) {}
    }

    /// Runs and gives one line of JSON.
    func run() throws(SimulatorError) -> String {
        guard let exchange = Exchange.named("binance.com") else { throw SimulatorError("no binance.com") }
        let engine = ExchangeEngine(exchange, settings: settings)
        let sink = Sink()
        var now: Int64 = 1_800_000_000_000_000
        for symbol in engine.symbols {
            engine.subscribe(sink, to: symbol.lowercased() + "@depth@100ms", at: now)
        }
        let clock = ContinuousClock()
        let start = clock.now
        while clock.now - start < .seconds(seconds) {
            now += 10_000
            engine.tick(at: now)
        }
        let elapsed = (clock.now - start) / .seconds(1)
        let rate = Int(Double(engine.eventCount) / elapsed)
        let bytes = sink.byteCount / max(1, engine.frameCount)
        return
            "{\"events_per_second\":\(rate),\"levels_per_event\":\(settings.changesPerEvent),\"bytes_per_event\":\(bytes),\"symbols\":\(engine.symbols.count),\"events\":\(engine.eventCount)}"
    }
}
