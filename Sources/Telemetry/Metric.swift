import Synchronization

/// A number that only grows.
package final class Counter: Sendable {
    private let total = Atomic<Int>(0)
    package init() {}
    package func add(_ amount: Int = 1) { total.wrappingAdd(amount, ordering: .relaxed) }
    package var value: Int { total.load(ordering: .relaxed) }
}

/// A number that goes up and down.
package final class Gauge: Sendable {
    private let bits = Atomic<UInt64>(0)
    package init() {}
    package func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }
    package func set(_ value: Int) { set(Double(value)) }
    package func add(_ difference: Double) {
        var known = bits.load(ordering: .relaxed)
        while true {
            let sum = (Double(bitPattern: known) + difference).bitPattern
            let (isDone, seen) = bits.weakCompareExchange(
                expected: known, desired: sum, ordering: .relaxed)
            if isDone { return }
            known = seen
        }
    }
    package var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }
}

/// How often values fell at or under each bound; recording is two atomic additions.
package final class Histogram: Sendable {
    /// Upper bounds in ascending order, in the metric's unit.
    package let bounds: [Double]
    private let counts: [Counter]
    private let sumInMillionths = Atomic<Int>(0)

    /// Seconds from 50 µs to 10 s, for latencies.
    package static let latencyBounds: [Double] = [
        0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
        2.5, 5, 10,
    ]

    package init(bounds: [Double] = latencyBounds) {
        self.bounds = bounds
        counts = (0...bounds.count).map { _ in Counter() }
    }

    package func observe(_ value: Double) {
        var index = 0
        while index < bounds.count && value > bounds[index] { index += 1 }
        counts[index].add()
        let millionths = value * 1e6
        if millionths.isFinite && abs(millionths) < 1e15 {
            sumInMillionths.wrappingAdd(Int(millionths), ordering: .relaxed)
        }
    }

    package func observe(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        observe(Double(seconds) + Double(attoseconds) * 1e-18)
    }

    /// Counts at or under each bound, then of all.
    var cumulative: [Int] {
        var total = 0
        return counts.map {
            total += $0.value; return total
        }
    }
    var sum: Double { Double(sumInMillionths.load(ordering: .relaxed)) / 1e6 }
}
