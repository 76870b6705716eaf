import Synchronization

/// Whether a connection may be believed right now; read by every query, written by the connection's loop.
///
/// Two witnesses: the loop's own word, and its pulse. A loop that was stopped or is overloaded cannot say so itself,
/// so a pulse older than a second speaks for it.
final class FeedTrust: Sendable {
    private let isTrusted = Atomic<Bool>(false)
    private let pulse: LoopPulse

    init(pulse: LoopPulse) { self.pulse = pulse }

    func set(_ value: Bool) { isTrusted.store(value, ordering: .sequentiallyConsistent) }
    var saysTrusted: Bool { isTrusted.load(ordering: .sequentiallyConsistent) }
    func isBelievable(now: Duration) -> Bool { saysTrusted && !pulse.isStale(now: now) }
}

/// Whether a book may be believed: one connection that is believed and brings its stream is enough.
struct BookTrust: Sendable {
    var feeds: [FeedTrust] = []

    func isBelievable(now: Duration) -> Bool { feeds.contains { $0.isBelievable(now: now) } }
}

/// The last sign of life of an event loop.
final class LoopPulse: Sendable {
    static let limit: Duration = .seconds(1)
    private let last: Atomic<Int64>

    init(now: Duration) { last = Atomic(now.wholeNanoseconds) }

    func beat(now: Duration) { last.store(now.wholeNanoseconds, ordering: .sequentiallyConsistent) }
    /// How long the loop has not turned.
    func silence(now: Duration) -> Duration {
        .nanoseconds(now.wholeNanoseconds - last.load(ordering: .sequentiallyConsistent))
    }
    func isStale(now: Duration) -> Bool {
        now.wholeNanoseconds - last.load(ordering: .sequentiallyConsistent) > Self.limit.wholeNanoseconds
    }
}

/// Time since the worker's start on the clock that also counts while the machine sleeps.
struct WorkerClock: Sendable {
    private let start = ContinuousClock.now

    var now: Duration { ContinuousClock.now - start }
    func since(_ instant: ContinuousClock.Instant) -> Duration { instant - start }
    func instant(_ now: Duration) -> ContinuousClock.Instant { start + now }
}

extension Duration {
    var wholeNanoseconds: Int64 {
        components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
    }
    var wholeMilliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}
