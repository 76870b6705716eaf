import TestSupport
import Testing

@testable import Telemetry

@Suite struct LogLineTests {
    @Test func `a value cannot forge a second line or break the JSON`() {
        let line = LogLine(
            time: "t", level: .info, component: "c", message: "Got it", fields: ["key": "a\"b\nc\u{1}"])
        #expect(
            String(decoding: line.rendered(as: .text), as: UTF8.self)
                == #"t INFO c: Got it key="a\"b\nc\u0001""#)
        #expect(
            String(decoding: line.rendered(as: .json), as: UTF8.self)
                == #"{"time":"t","level":"info","component":"c","message":"Got it","key":"a\"b\nc\u0001"}"#)
    }
}

@Suite struct MetricRegistryTests {
    @Test func `the page has help, type, labels and cumulative buckets`() {
        let registry = MetricRegistry()
        registry.counter("requests_total", help: "Requests.", labels: ["code": "a\"b"]).add(2)
        let histogram = registry.histogram("wait_seconds", help: "Waiting.", bounds: [0.5, 1])
        for value in [0.25, 0.75, 3] { histogram.observe(value) }
        #expect(
            String(decoding: registry.render(), as: UTF8.self) == """
                # HELP requests_total Requests.
                # TYPE requests_total counter
                requests_total{code="a\\"b"} 2
                # HELP wait_seconds Waiting.
                # TYPE wait_seconds histogram
                wait_seconds_bucket{le="0.5"} 1
                wait_seconds_bucket{le="1"} 2
                wait_seconds_bucket{le="+Inf"} 3
                wait_seconds_sum 4
                wait_seconds_count 3

                """)
    }

    @Test func `the series of an unassigned replica go, the others stay`() {
        let registry = MetricRegistry()
        let gauge = { (exchange: String, market: String) in
            registry.gauge(
                "levels", help: "Levels.",
                labels: ["exchange": exchange, "market": market, "side": "asks"])
        }
        for market in ["A", "AB"] { for exchange in ["x", "y"] { gauge(exchange, market).set(1) } }
        _ = registry.counter("sum_total", help: "A sum.", labels: ["exchange": "x"])
        let before = registry.shown
        registry.removeSeries(ofMarket: "A", with: ["exchange": "x"])
        #expect(before.subtracting(registry.shown) == [#"levels{exchange="x",market="A",side="asks"} 1"#])
        #expect(registry.shown.isSubset(of: before))
        registry.removeSeries(ofMarket: "A", with: ["exchange": "x", "side": "bids"])
        registry.removeSeries(ofMarket: "A", with: ["exchange": "z"])
        registry.removeSeries(ofMarket: "B", with: ["exchange": "x"])
        #expect(before.subtracting(registry.shown).count == 1)
        gauge("x", "A").set(1)
        #expect(registry.shown == before)
    }

    @Test func `whatever comes and goes, the page has what is there`() {
        var random = SplitMix64(seed: 5)
        let registry = MetricRegistry()
        var there: Set<String> = []
        for _ in 0..<5000 {
            let (exchange, market) = ("e\(Int.random(in: 0..<3, using: &random))", "m\(random.next() % 7)")
            if Int.random(in: 0..<4, using: &random) == 0 {
                registry.removeSeries(ofMarket: market, with: ["exchange": exchange])
                there = there.filter { !$0.contains("{exchange=\"\(exchange)\",market=\"\(market)\"") }
            } else {
                let name = "n\(random.next() % 3)"
                _ = registry.gauge(name, help: "N.", labels: ["exchange": exchange, "market": market])
                there.insert("\(name){exchange=\"\(exchange)\",market=\"\(market)\"} 0")
            }
            if there.count.isMultiple(of: 16) { #expect(registry.shown == there) }
        }
        #expect(registry.shown == there)
    }

    @Test func `the same name and labels are the same counter`() {
        let registry = MetricRegistry()
        registry.counter("n", help: "N.").add()
        registry.counter("n", help: "N.").add()
        #expect(registry.counter("n", help: "N.").value == 2)
    }

    @Test func `what something else keeps is read when the page is`() {
        let registry = MetricRegistry()
        let kept = Guarded(1.5)
        registry.gauge("level", help: "A \\ and\na line.") { kept.withLock { $0 } }
        registry.counter("sum_total", help: "A sum.", labels: ["of": "x"]) { kept.withLock { $0 * 2 } }
        kept.withLock { $0 = 4 }
        #expect(
            String(decoding: registry.render(), as: UTF8.self) == #"""
                # HELP level A \\ and\na line.
                # TYPE level gauge
                level 4
                # HELP sum_total A sum.
                # TYPE sum_total counter
                sum_total{of="x"} 8

                """#)
    }

    @Test func `a gauge that many threads change loses nothing`() async {
        let gauge = Gauge()
        await withDiscardingTaskGroup { group in
            for _ in 0..<8 { group.addTask { for _ in 0..<1000 { gauge.add(1) } } }
        }
        gauge.add(-0.5)
        #expect(gauge.value == 7999.5)
    }

    @Test func `the process tells of itself`() throws {
        let registry = MetricRegistry()
        registry.addProcess(version: "1.2.3")
        let lines = String(decoding: registry.render(), as: UTF8.self).split(separator: "\n")
        #expect(lines.contains("fathom_build_info{version=\"1.2.3\"} 1"))
        func value(_ name: String) throws -> Double {
            let line = try #require(lines.first { $0.hasPrefix("\(name) ") })
            return try #require(Double(line.dropFirst(name.count + 1)))
        }
        #expect(try value("process_resident_memory_bytes") > 1_000_000)
        #expect(try value("process_cpu_seconds_total") > 0)
        #expect(try value("process_open_fds") >= 3)
        #expect(try value("process_max_fds") >= value("process_open_fds"))
        #expect(try value("process_start_time_seconds") > 1_700_000_000)
    }
}

@Suite struct LogLimitTests {
    @Test func `so many lines a second pass, and the next second says how many did not`() {
        let limit = LogLimit(perSecond: 2)
        let first = (0..<5).map { _ in limit.pass(second: 7) }
        #expect(first.map(\.mayWrite) == [true, true, false, false, false])
        #expect(first.allSatisfy { $0.suppressed == 0 })
        #expect(limit.pass(second: 8) == (true, 3))
        #expect(limit.pass(second: 8) == (true, 0))
    }
}

@Suite struct HealthTests {
    @Test func `ready means that nothing is waited for and nothing failed`() {
        let health = Health(waitingFor: ["api": "not listed yet"])
        #expect(!health.isReady && health.isAlive && health.reasons == ["api: not listed yet"])
        health.setUnready("api", nil)
        #expect(health.isReady)
        health.setFailed("loop", "stalled")
        #expect(!health.isReady && !health.isAlive)
    }
}

extension MetricRegistry {
    /// The page's lines, without those about families.
    fileprivate var shown: Set<String> {
        Set(
            String(decoding: render(), as: UTF8.self).split(separator: "\n").map(String.init).filter {
                !$0.hasPrefix("#")
            })
    }
}
