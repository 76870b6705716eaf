import K8sClient
import TestSupport
import Testing

@Suite struct WorkQueueTests {
    let start = ContinuousClock.now

    @Test func `the earlier due time of a key wins`() {
        var schedule = WorkSchedule<String>()
        schedule.add("a", at: start + .seconds(5))
        schedule.add("a", at: start + .seconds(2))
        schedule.add("a", at: start + .seconds(9))
        #expect(schedule.nextDue == start + .seconds(2))
        #expect(schedule.take(at: start + .seconds(1)) == nil)
        #expect(schedule.take(at: start + .seconds(2)) == "a")
        #expect(schedule.nextDue == nil)
    }

    @Test func `a key that comes while its twin runs is held until that is done`() {
        var schedule = WorkSchedule<String>()
        schedule.add("a", at: start)
        #expect(schedule.take(at: start) == "a")
        schedule.add("a", at: start)
        schedule.add("b", at: start + .seconds(1))
        #expect(schedule.take(at: start + .seconds(1)) == "b")
        #expect(schedule.take(at: start + .seconds(1)) == nil)
        schedule.finish("a")
        #expect(schedule.take(at: start + .seconds(1)) == "a")
        #expect(!schedule.isEmpty)
    }

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

    @Test func `keys wait, wake the consumer, and come back after a failure`() async throws {
        try await withDeadline {
            let queue = WorkQueue<String>(
                backoff: Backoff(initial: .milliseconds(5), maximum: .milliseconds(10)))
            let consumer = Task { () -> [String?] in
                var seen: [String?] = []
                seen.append(await queue.next())
                await queue.failed("a")
                seen.append(await queue.next())
                await queue.done("a", again: .milliseconds(5))
                seen.append(await queue.next())
                return seen
            }
            await queue.add("a", after: .milliseconds(5))
            await queue.add("a", after: .seconds(500))
            #expect(await consumer.value == ["a", "a", "a"])
        }
    }

    @Test func `a cancelled consumer gets nothing`() async throws {
        try await withDeadline {
            let queue = WorkQueue<String>()
            let consumer = Task { await queue.next() }
            consumer.cancel()
            #expect(await consumer.value == nil)
        }
    }
}
