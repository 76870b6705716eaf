import Testing

@testable import Worker

struct StatusQueueTests {
    @Test func `only the newest status of a replica is written and an equal one never`() {
        var queue = StatusQueue<Int>()
        queue.set(1, for: "a")
        queue.set(2, for: "a")
        #expect(queue.take(now: .zero)! == ("a", 2))
        queue.set(3, for: "a")
        #expect(queue.take(now: .zero) == nil)
        queue.finished("a", wrote: 2, now: .zero)
        #expect(queue.take(now: .zero)! == ("a", 3))
        queue.finished("a", wrote: 3, now: .zero)
        queue.set(3, for: "a")
        #expect(queue.take(now: .zero) == nil)
    }

    @Test func `no more than twenty writes leave in a second`() {
        var queue = StatusQueue<Int>()
        for index in 0..<50 { queue.set(1, for: "r\(index)") }
        var writes = 0
        while queue.take(now: .zero) != nil { writes += 1 }
        #expect(writes == 20)
        while queue.take(now: .milliseconds(999)) != nil { writes += 1 }
        #expect(writes == 20)
        while queue.take(now: .seconds(1)) != nil { writes += 1 }
        #expect(writes == 40)
    }

    @Test func `a failed write comes again later with what is true then`() {
        var queue = StatusQueue<Int>()
        queue.set(1, for: "a")
        _ = queue.take(now: .zero)
        queue.finished("a", wrote: nil, now: .zero)
        #expect(queue.take(now: .zero) == nil)
        queue.set(2, for: "a")
        #expect(queue.take(now: .seconds(1))! == ("a", 2))
    }
}
