import Telemetry
import Testing

@testable import Transport

@Suite struct HealthEndpointTests {
    private func ask(
        _ health: Health, _ requests: [(method: String, path: String)],
        metrics: MetricRegistry = MetricRegistry()
    ) async throws -> [HTTPClientResponse] {
        let loop = try EventLoop(name: "health")
        defer { loop.stop() }
        let server = try HTTPServer(
            HTTPServerConfiguration(), loops: [loop],
            handler: HealthEndpoint(health: health, metrics: metrics))
        defer { server.stop() }
        let client = try HTTPClient()
        var answers: [HTTPClientResponse] = []
        for (method, path) in requests {
            answers.append(
                try await client.send(
                    HTTPClientRequest(method: method, url: "http://127.0.0.1:\(server.port)\(path)")))
        }
        return answers
    }

    private func text(_ response: HTTPClientResponse) -> String {
        String(decoding: response.body, as: UTF8.self)
    }

    @Test func `a process that waits is alive, not ready, and says why`() async throws {
        let health = Health(waitingFor: ["cluster": "has not been read"])
        let answers = try await ask(health, [("GET", "/healthz"), ("GET", "/readyz")])
        #expect(answers.map(\.status) == [200, 503])
        #expect(answers.map(text) == ["ok\ncluster: has not been read\n", "cluster: has not been read\n"])
    }

    @Test func `a process that must be restarted is neither alive nor ready`() async throws {
        let health = Health()
        let good = try await ask(health, [("GET", "/healthz"), ("GET", "/readyz")])
        #expect(good.map(\.status) == [200, 200])
        #expect(good.map(text) == ["ok\n", "ok\n"])
        health.setFailed("loop", "does not turn")
        let bad = try await ask(health, [("GET", "/healthz"), ("HEAD", "/readyz")])
        #expect(bad.map(\.status) == [503, 503])
        #expect(text(bad[0]) == "loop: does not turn\n")
    }

    @Test func `metrics are text, and nothing else is there`() async throws {
        let metrics = MetricRegistry()
        metrics.counter("fathom_test_total", help: "For this test.").add()
        let answers = try await ask(
            Health(), [("GET", "/metrics"), ("GET", "/elsewhere"), ("POST", "/metrics")], metrics: metrics)
        #expect(answers.map(\.status) == [200, 404, 405])
        #expect(text(answers[0]).contains("fathom_test_total 1\n"))
    }
}
