import Testing

@testable import K8sClient

@Suite struct WatchPatienceTests {
    private var patience = WatchPatience(Backoff(initial: .seconds(1), maximum: .seconds(8), jitter: 0))

    @Test mutating func `failures in a row wait longer and longer`() {
        let waits = (0..<5).map { _ in patience.failed(code: 500, hadLived: false, retryAfter: .zero) }
        #expect(waits == [1, 2, 4, 8, 8].map { .seconds($0) })
        #expect(patience.failures == 5)
    }

    @Test mutating func `a watch that has lived makes earlier failures forgotten`() {
        for _ in 0..<4 { _ = patience.failed(code: 0, hadLived: false, retryAfter: .zero) }
        #expect(patience.failed(code: 0, hadLived: true, retryAfter: .zero) == .seconds(1))
    }

    @Test mutating func `an expired version is listed anew at once, also after failures`() {
        for _ in 0..<4 { _ = patience.failed(code: 0, hadLived: false, retryAfter: .zero) }
        #expect(patience.failed(code: 410, hadLived: true, retryAfter: .zero) == nil)
    }

    @Test mutating func `a version that expires again without a watch having lived waits`() {
        #expect(patience.failed(code: 410, hadLived: false, retryAfter: .zero) == nil)
        #expect(patience.failed(code: 410, hadLived: false, retryAfter: .zero) == .seconds(1))
        // The list in between went well, as it does with a server that refuses each of its own versions.
        patience.wentWell(hadLived: false)
        #expect(patience.failed(code: 410, hadLived: false, retryAfter: .zero) == .seconds(1))
        #expect(patience.failed(code: 410, hadLived: true, retryAfter: .zero) == nil)
    }

    @Test mutating func `a watch that ended in order has lived, too`() {
        #expect(patience.failed(code: 410, hadLived: false, retryAfter: .zero) == nil)
        patience.wentWell(hadLived: true)
        #expect(patience.failed(code: 410, hadLived: false, retryAfter: .zero) == nil)
    }

    @Test mutating func `the server's own wait is kept where it is longer`() {
        #expect(patience.failed(code: 429, hadLived: false, retryAfter: .seconds(5)) == .seconds(5))
        #expect(patience.failed(code: 429, hadLived: false, retryAfter: .seconds(1)) == .seconds(2))
    }

    @Test mutating func `a watch that is closed at once counts as a failure`() {
        #expect(patience.closedAtOnce() == .seconds(1))
        #expect(patience.failed(code: 0, hadLived: false, retryAfter: .zero) == .seconds(2))
    }
}
