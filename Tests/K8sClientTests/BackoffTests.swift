import K8sClient
import Testing

@Suite struct BackoffTests {
    @Test func `a backoff doubles to its limit and its jitter only shortens`() {
        var backoff = Backoff(initial: .seconds(1), maximum: .seconds(5), jitter: 0.5)
        #expect(
            [0, 0, 0, 0].map { backoff.next(random: $0) } == [
                .seconds(1), .seconds(2), .seconds(4), .seconds(5),
            ])
        backoff.reset()
        #expect(backoff.next(random: 1) == .milliseconds(500))
        for _ in 0..<100 { #expect(backoff.next() <= .seconds(5)) }
    }
}
