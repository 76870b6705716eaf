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
        _ = registry.gauge("levels", help: "Levels.", labels: ["market": "A", "side": "asks"])
        _ = registry.gauge("levels", help: "Levels.", labels: ["market": "AB", "side": "asks"])
        registry.remove(labels: ["market": "A"])
        let page = String(decoding: registry.render(), as: UTF8.self)
        #expect(!page.contains("\"A\"") && page.contains("\"AB\""))
    }

    @Test func `the same name and labels are the same counter`() {
        let registry = MetricRegistry()
        registry.counter("n", help: "N.").add()
        registry.counter("n", help: "N.").add()
        #expect(registry.counter("n", help: "N.").value == 2)
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
