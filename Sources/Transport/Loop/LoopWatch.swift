package import Telemetry

/// Measures how late loops come to their work.
///
/// Ten times a second a timer is set on each; what it is late by is what any other work of that loop waited.
package enum LoopWatch {
    private static let interval: Duration = .milliseconds(100)
    /// A loop that was away for so long has stalled.
    private static let stall: Duration = .seconds(1)
    private static let bounds: [Double] = [
        0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
    ]

    /// Watches loops until they end.
    package static func watch(_ loops: [EventLoop], _ metrics: MetricRegistry) {
        for loop in loops {
            let labels = ["loop": loop.name]
            let lateness = metrics.histogram(
                "fathom_loop_lateness_seconds", help: "How late timers of the event loop ran.",
                bounds: bounds, labels: labels)
            let stalls = metrics.counter(
                "fathom_loop_stalls_total", help: "How often the event loop was away for over a second.",
                labels: labels)
            next(loop, lateness, stalls)
        }
    }

    private static func next(_ loop: EventLoop, _ lateness: Histogram, _ stalls: Counter) {
        let due = ContinuousClock.now + interval
        loop.schedule(after: interval) { [weak loop] in
            let late = due.duration(to: .now)
            lateness.observe(max(.zero, late))
            if late > stall { stalls.add() }
            if let loop { next(loop, lateness, stalls) }
        }
    }
}
