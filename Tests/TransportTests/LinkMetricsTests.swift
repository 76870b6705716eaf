import Telemetry
import Testing

@testable import Transport

struct LinkMetricsTests {
    @Test func `links are counted in the state that they are in, and changes once each`() {
        let registry = MetricRegistry()
        let metrics = LinkMetrics(registry)
        let (first, second) = (metrics.follow(), metrics.follow())
        for state in [LinkState.up, .suspect, .up, .down("a"), .down("b")] { first(state) }
        second(.up)
        func line(_ text: String) -> Bool {
            String(decoding: registry.render(), as: UTF8.self).split(separator: "\n").contains(
                Substring(text))
        }
        for (state, count, changes) in [
            ("connecting", 0, 0), ("up", 1, 3), ("suspect", 0, 1), ("down", 1, 1),
        ] {
            #expect(line("fathom_links{state=\"\(state)\"} \(count)"))
            #expect(line("fathom_link_changes_total{state=\"\(state)\"} \(changes)"))
        }
        first(.stopped)
        second(.stopped)
        for state in ["connecting", "up", "suspect", "down"] {
            #expect(line("fathom_links{state=\"\(state)\"} 0"))
        }
    }
}
