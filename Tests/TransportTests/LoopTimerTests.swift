import Synchronization
import Telemetry
import Testing

@testable import Transport

/// What a loop does at a time.
struct LoopTimerTests {
    /// What fired, in which order, and how much before it was due, if it was.
    private final class Fired: Sendable {
        let numbers = Guarded<[Int]>([])
        let early = Guarded<[Duration]>([])

        func note(_ number: Int, due: ContinuousClock.Instant) {
            let now = ContinuousClock.now
            numbers.withLock { $0.append(number) }
            if now < due { early.withLock { $0.append(due - now) } }
        }
    }

    @Test func `a loop sleeps until a timer is due instead of going round`() async throws {
        let loop = try EventLoop(name: "timers")
        defer { loop.stop() }
        let fired = Fired()
        let turns = Guarded((first: UInt64(0), last: UInt64(0)))
        let count = 50
        loop.execute {
            turns.withLock { $0.first = loop.turn }
            for number in 0..<count {
                // Not whole milliseconds: what is left of the last one is what a wait must not round away.
                let delay = Duration.microseconds(3_700 * (number + 1))
                let due = ContinuousClock.now + delay
                loop.schedule(after: delay) {
                    fired.note(number, due: due)
                    turns.withLock { $0.last = loop.turn }
                }
            }
        }
        try await eventually { fired.numbers.withLock { $0.count } == count }
        #expect(fired.numbers.withLock { $0 } == Array(0..<count))
        #expect(fired.early.withLock { $0 } == [])
        let taken = turns.withLock { $0.last - $0.first }
        #expect(taken <= UInt64(4 * count))
    }

    @Test func `timers fire in the order in which they are due, however they were set`() async throws {
        let loop = try EventLoop(name: "timers")
        defer { loop.stop() }
        let fired = Fired()
        let set = Guarded<[(number: Int, due: ContinuousClock.Instant)]>([])
        loop.execute {
            for number in [7, 2, 9, 4, 1, 8, 3, 0, 6, 5] {
                let delay = Duration.milliseconds(20 + 5 * number)
                let due = ContinuousClock.now + delay
                let timer = loop.schedule(after: delay) { fired.note(number, due: due) }
                if number == 4 { timer.cancel() } else { set.withLock { $0.append((number, timer.due)) } }
            }
        }
        try await eventually { fired.numbers.withLock { $0.count } == 9 }
        let wanted = set.withLock { $0.sorted { $0.due < $1.due }.map(\.number) }
        #expect(fired.numbers.withLock { $0 } == wanted)
        #expect(fired.early.withLock { $0 } == [])
    }

    @Test func `an earlier timer is not kept by a later one, and one that is over at once fires`()
        async throws
    {
        let loop = try EventLoop(name: "timers")
        defer { loop.stop() }
        let fired = Fired()
        let late = loop.schedule(after: .seconds(600)) { fired.note(1, due: .now) }
        loop.schedule(after: .zero) {
            fired.note(2, due: .now)
            loop.schedule(after: .milliseconds(-5)) { fired.note(3, due: .now) }
            loop.schedule(after: .nanoseconds(1)) { fired.note(4, due: .now) }
        }
        try await eventually { fired.numbers.withLock { $0.count } == 3 }
        #expect(fired.numbers.withLock { $0 } == [2, 3, 4])
        late.cancel()
    }

    /// It would wait for ever if a job that a timer adds were left for the time after the next wait.
    @Test func `a job that a timer adds is not left behind`() async throws {
        let loop = try EventLoop(name: "timers")
        defer { loop.stop() }
        let done = Guarded(0)
        for _ in 0..<20 {
            let before = done.withLock { $0 }
            loop.schedule(after: .milliseconds(1)) {
                loop.execute { done.withLock { $0 += 1 } }
            }
            try await eventually { done.withLock { $0 } == before + 1 }
        }
    }

    @Test func `a timer may be set for later than a machine lives`() async throws {
        let loop = try EventLoop(name: "timers")
        defer { loop.stop() }
        let fired = Fired()
        loop.schedule(after: .seconds(1_000_000_000_000)) { fired.note(1, due: .now) }
        loop.schedule(after: .milliseconds(1)) { fired.note(2, due: .now) }
        try await eventually { fired.numbers.withLock { $0 } == [2] }
    }
}
